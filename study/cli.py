"""The `ganstudy` command.

Only names and help live here, so that `--help` is quick: each command imports what it needs when it runs.
"""

from study.own_path import keep_to_own_code

keep_to_own_code(started=__name__ == "__main__")

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from study.exit_codes import FAILED, NO_COMPLETED_TRIAL
from study.terminal import completion, errors
from study.terminal.errors import Commands
from study.terminal.options import (
    EPILOG,
    LOOKING,
    PRODUCTION,
    RESULTS,
    SETTING_UP,
    STUDY,
    Address,
    DataPlace,
    Device,
    Exported,
    FromOlder,
    Generator,
    JsonOption,
    Name,
    Overrides,
    StorageOption,
    StudyFile,
    Trial,
    Weights,
    home,
)
from study.terminal.screen import Screen

_PIPE_WIDTH = 140  # of logs; the tables want it

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Find the GAN configuration worth training.",
    epilog=EPILOG,
)
data_app = typer.Typer(no_args_is_help=True, help="Look at data sets.")
spaces_app = typer.Typer(invoke_without_command=True)
app.add_typer(data_app, name="data", rich_help_panel=LOOKING)
app.add_typer(spaces_app, name="spaces", rich_help_panel=LOOKING)

console = Screen(width=None if (sys.stdout and sys.stdout.isatty()) or "COLUMNS" in os.environ else _PIPE_WIDTH)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"ganstudy {version('ganstudy')}")
        raise typer.Exit


@app.callback()
def program(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Find the GAN configuration worth training."""


@app.command(rich_help_panel=STUDY)
def launch(
    file: StudyFile,
    overrides: Overrides = None,
    storage: StorageOption = None,
    address: Address = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")] = False,
    from_older: FromOlder = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a dry run as JSON for scripts.")] = False,
) -> None:
    """Run a study; the same command again resumes it.

    Ctrl-C once ends it cleanly and says how to go on; nothing that was measured is lost.

    Example: ganstudy launch studies/quickstart.yaml

    Example: ganstudy launch studies/quickstart.yaml --set trials=40 --dry-run
    """
    from study.commands import running

    options = running.Launch(file, overrides or [], storage, address, dry_run, from_older, as_json)
    raise typer.Exit(running.launch(options, console))


@app.command(rich_help_panel=STUDY)
def status(name: Name, storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Show how far a study is, trial by trial.

    Example: ganstudy status quickstart
    """
    from study.commands import results as reading

    reading.status(name, storage, as_json, console)


@app.command(rich_help_panel=RESULTS)
def best(
    name: Name,
    top: Annotated[int, typer.Option(min=1, help="How many.")] = 5,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank a study's trials, equal budgets first.

    Example: ganstudy best quickstart --top 3 --json
    """
    from study.commands import results as reading

    if not reading.best(name, storage, top, as_json, console):
        raise typer.Exit(NO_COMPLETED_TRIAL)


@app.command(name="list", rich_help_panel=STUDY)
def list_studies(storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """List the studies in the storage folder, the newest first.

    Example: ganstudy list --storage runs
    """
    from study.commands import listing

    listing.list_studies(storage, as_json, console)


@app.command(rich_help_panel=RESULTS)
def export(
    name: Name,
    file: Annotated[Path, typer.Argument(help="The file to write; - for standard output.", callback=home)],
    trial: Trial = None,
    storage: StorageOption = None,
) -> None:
    """Write the best trial's configuration, and where it came from, to a file.

    Example: ganstudy export quickstart best.yaml
    """
    from study.commands import results as reading

    reading.export_trial(name, storage, file, trial, console)


@app.command(rich_help_panel=RESULTS)
def report(
    name: Name,
    out: Annotated[
        Path | None,
        typer.Option(help="Default: report.html in the study's folder; - for standard output.", callback=home),
    ] = None,
    storage: StorageOption = None,
) -> None:
    """Write a study's report: one HTML page that needs nothing else.

    Example: ganstudy report quickstart --out report.html
    """
    from study.commands import results as reading

    reading.report(name, storage, out, console)


@app.command(rich_help_panel=RESULTS)
def results(
    name: Name,
    out: Annotated[
        Path | None, typer.Option(help=".csv, .parquet or .json; default: CSV to standard output.", callback=home)
    ] = None,
    table: Annotated[str, typer.Option(help="trials: a row per trial; reports: a row per report.")] = "trials",
    storage: StorageOption = None,
) -> None:
    """Write a study's trials as a table; from Python: study.load(NAME).trials_frame().

    Example: ganstudy results quickstart --out trials.parquet
    """
    from study.commands import results as reading

    reading.results(name, storage, table, out, console)


@app.command(rich_help_panel=RESULTS)
def compare(
    a: Annotated[str, typer.Argument(help="A study's name.")],
    b: Annotated[str, typer.Argument(help="Another study's name.")],
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set two studies side by side, at equal budgets and at equal cost.

    Example: ganstudy compare quickstart other
    """
    from study.commands import results as reading

    reading.compare(a, b, storage, as_json, console)


@app.command(name="export-optuna", rich_help_panel=RESULTS)
def export_optuna(
    name: Name,
    target: Annotated[str, typer.Argument(help="sqlite:///FILE or another database's URL, or a journal file's path.")],
    storage: StorageOption = None,
) -> None:
    """Copy a study to an Optuna storage, for optuna-dashboard (pip install 'ganstudy\\[dashboard]').

    Example: ganstudy export-optuna quickstart sqlite:///quickstart.db
    """
    from study.commands import results as reading

    reading.export_optuna(name, storage, target, console)


@app.command(name="run-trial", rich_help_panel=RESULTS)
def run_trial(
    file: Exported,
    kimg: Annotated[int, typer.Option(min=1, help="Thousands of images to train for.")],
    report_kimg: Annotated[int | None, typer.Option(min=1, help="FID every so many; default: the study's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Keep checkpoints and samples here.", callback=home)] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.", autocompletion=completion.devices)] = "cpu",
    data: DataPlace = None,
    weights: Weights = None,
) -> None:
    """Run one trial without a study; it repeats the FIDs that the study measured.

    Example: ganstudy run-trial best.yaml --kimg 5
    """
    from study.places import DataPaths
    from study.production import run_trial as repeating

    options = repeating.Repeat(file, kimg, report_kimg, out, device, DataPaths(data, weights))
    if not repeating.run_trial(options, console):
        raise typer.Exit(FAILED)


@app.command(rich_help_panel=PRODUCTION)
def train(
    file: Exported,
    kimg: Annotated[int, typer.Option(min=1, help="Thousands of images to train for, in all.")],
    out: Annotated[
        Path | None, typer.Option(help="The training's folder; default: beside FILE, named after it.", callback=home)
    ] = None,
    report_kimg: Annotated[
        int | None, typer.Option(min=1, help="FID every so many kimg; default: the study's, or about 50 in all.")
    ] = None,
    device: Device = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Train afresh from this seed; default: the exported one, which repeats the trial."),
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Keep the last generator, not that of the best FID.")] = False,
    mlflow: Annotated[str | None, typer.Option(help="Record it in the MLflow store at this address.")] = None,
    devices: Annotated[
        int, typer.Option(help="GPUs (with --device cpu: cores) that share every batch; needs that many.")
    ] = 1,
    register: Annotated[
        bool, typer.Option("--register", help="Register the generator in that MLflow store, as the champion.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("--as", help="The registered model's name; default: the study's.")
    ] = None,
    data: DataPlace = None,
    weights: Weights = None,
) -> None:
    """Train an exported configuration for production; the same command again goes on where it was.

    It ends with generator.safetensors, config.yaml, metrics.json, samples.png and a model card, README.md.

    Example: ganstudy train best.yaml --kimg 5000

    Example: ganstudy train best.yaml --kimg 5000 --mlflow http://127.0.0.1:5000 --register
    """
    from study.places import DataPaths
    from study.production import train as production

    paths = DataPaths(data, weights)
    order = production.Order(file, kimg, out, report_kimg, device, seed, last, mlflow, devices, register, model, paths)
    production.train(order, console)


@app.command(rich_help_panel=PRODUCTION)
def sample(
    path: Generator,
    count: Annotated[
        int | None, typer.Option("-n", "--count", min=1, help="How many; default: 64, of a strip 8.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides latents and classes.")] = 0,
    label: Annotated[
        int | None, typer.Option("--class", min=0, help="The class of all, of a generator that takes one.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The picture; default: samples.png; - for standard output.", callback=home),
    ] = None,
    npz: Annotated[
        Path | None, typer.Option(help="Write the images as an array to this .npz file.", callback=home)
    ] = None,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="A strip of images from one latent to another.")
    ] = False,
    device: Device = None,
) -> None:
    """Draw images of a trained generator; the data is not needed.

    Example: ganstudy sample best -n 64 --seed 1 --out grid.png
    """
    from study.production import generators

    wanted = generators.SampleOptions(count, seed, label, out, npz, interpolate)
    generators.sample(path, wanted, device, console)


@app.command(rich_help_panel=PRODUCTION)
def evaluate(
    path: Generator,
    split: Annotated[
        str | None,
        typer.Option(help="validation or test; default: that of its training.", autocompletion=completion.splits),
    ] = None,
    device: Device = None,
    data: DataPlace = None,
    weights: Weights = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a trained generator: FID and all other metrics, with the fingerprint that says what they mean.

    Example: ganstudy evaluate best --split test
    """
    from study.places import DataPaths
    from study.production import generators

    generators.evaluate(path, split, device, as_json, console, DataPaths(data, weights))


@app.command(rich_help_panel=PRODUCTION)
def promote(
    name: Name,
    trial: Trial = None,
    model: Annotated[
        str | None, typer.Option("--as", help="The registered model's name; default: the study's.")
    ] = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a study's best generator in MLflow, as the champion that people load without ganstudy.

    Example: ganstudy promote quickstart

    Example: ganstudy promote quickstart --trial 3 --as clothes
    """
    from study.production import champion

    if not champion.promote(champion.Promote(name, storage, trial, model, as_json), console):
        raise typer.Exit(NO_COMPLETED_TRIAL)


@app.command(rich_help_panel=RESULTS)
def noise(
    name: Name,
    trial: Trial = None,
    evaluations: Annotated[int, typer.Option(help="Evaluate its checkpoint so often with fresh latents; 0: not.")] = 5,
    seeds: Annotated[int, typer.Option(help="Train it again from so many fresh seeds; 0: not.")] = 3,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: the study's.")] = None,
    storage: StorageOption = None,
    address: Address = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how far a trial's FID differs by chance, so that the ranking can tell which trials are tied.

    The same command again goes on where it was; larger numbers extend what is there. What `confirm` has trained from
    fresh seeds counts, and is not trained again.

    Example: ganstudy noise quickstart --seeds 5
    """
    from study.commands import retraining

    options = retraining.Measure(name, storage, trial, evaluations, seeds, device, address, as_json)
    raise typer.Exit(retraining.noise(options, console))


@app.command(rich_help_panel=RESULTS)
def confirm(
    name: Name,
    top: Annotated[
        int | None, typer.Option(help="Retrain so many of the best configurations; default: as last time, else 3.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Each from so many fresh seeds; default: as last time, else 5.")
    ] = None,
    storage: StorageOption = None,
    address: Address = None,
    as_json: JsonOption = False,
) -> None:
    """Train the best configurations again from fresh seeds, and evaluate them on test images.

    It tells how much of a study's FID was luck, and whether the winner is truly ahead; `export` then takes the winner.
    The same command again goes on where it was, and tries again what failed; larger numbers extend what is there.

    Example: ganstudy confirm quickstart --top 3 --seeds 5
    """
    from study.commands import retraining

    options = retraining.Confirm(name, storage, top, seeds, address, as_json)
    raise typer.Exit(retraining.confirm(options, console))


@app.command(rich_help_panel=STUDY)
def ui(
    name: Name,
    storage: StorageOption = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; the next free one if taken.")] = 5000,
) -> None:
    """Open a study in MLflow: start its server on 127.0.0.1 and print the address.

    Example: ganstudy ui quickstart
    """
    from study.commands import running

    running.ui(name, storage, port, console)


@app.command(rich_help_panel=STUDY)
def sync(name: Name, storage: StorageOption = None, from_older: FromOlder = False, as_json: JsonOption = False) -> None:
    """Bring MLflow up to date with a study's ledger.

    Example: ganstudy sync quickstart

    Example: ganstudy sync quickstart --from-older-ledger
    """
    from study.commands import running

    running.sync(name, storage, from_older, as_json, console)


@app.command(rich_help_panel=STUDY)
def verify(name: Name, storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Prove that a study lost nothing and counted nothing twice: ledger, decisions, checkpoints, MLflow.

    Example: ganstudy verify quickstart
    """
    from study.commands import running

    if not running.verify(name, storage, as_json, console):
        raise typer.Exit(FAILED)


@data_app.command()
def describe(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="fashion_mnist, mnist, cifar10, digits, folder, npz, or a study file.",
            autocompletion=completion.sources,
        ),
    ],
    path: Annotated[
        Path | None, typer.Option(help="Where the data lies (folder and npz need it).", callback=home)
    ] = None,
    size: Annotated[int | None, typer.Option(help="Pixels a side (folder needs it).")] = None,
    mode: Annotated[str | None, typer.Option(help="rgb or grey (of a folder).")] = None,
    labels: Annotated[str | None, typer.Option(help="auto: sub-folders are classes; none (of a folder).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a data set: counts, fingerprint, and the FID of real images (floor) and of noise (ceiling).

    Example: ganstudy data describe fashion_mnist

    Example: ganstudy data describe folder --path photos --size 32 --mode grey
    """
    from study.commands import looking

    looking.describe(looking.Describe(source, path, size, mode, labels, as_json), console)


@spaces_app.callback()
def spaces(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the search spaces, or show one.

    Example: ganstudy spaces

    Example: ganstudy spaces show quick
    """
    if context.invoked_subcommand is None:
        from study.commands import looking

        looking.list_spaces(as_json, console)


@spaces_app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The space's name.", autocompletion=completion.spaces)],
    as_json: JsonOption = False,
) -> None:
    """Show a search space as a table.

    Example: ganstudy spaces show gan28
    """
    from study.commands import looking

    looking.show_space(name, as_json, console)


@app.command(rich_help_panel=SETTING_UP)
def init(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="fashion_mnist, mnist, cifar10, digits, or a path: a folder or archive of images, an .npz file.",
            autocompletion=completion.sources,
            show_default=True,
        ),
    ] = "fashion_mnist",
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The study file to write; default: DATA.yaml.", callback=home)
    ] = None,
    size: Annotated[int | None, typer.Option(help="Pixels a side; default: as the data is, of a folder 32.")] = None,
) -> None:
    """Write a study file for a data set, with a comment on every key.

    Example: ganstudy init fashion_mnist

    Example: ganstudy init photos photos.yaml --size 32
    """
    from study.study_file import init as writing

    writing.write_study_file(data, file, size, console)


@app.command(rich_help_panel=SETTING_UP)
def doctor(
    storage: StorageOption = None,
    address: Address = None,
    study: Annotated[
        str | None, typer.Option(help="Reach the MLflow store of this study.", autocompletion=completion.studies)
    ] = None,
    mlflow: Annotated[str | None, typer.Option(help="Reach the MLflow store at this address.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Start no Ray, open no MLflow store.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check this machine for what a study needs: versions, devices, Ray, MLflow, data, weights, disk, clock.

    Example: ganstudy doctor

    Example: ganstudy doctor --address auto --mlflow http://127.0.0.1:5000 --json
    """
    from study.doctor import doctor as examining

    if not examining.examine(examining.Examine(storage, address, study, mlflow, quick, as_json), console):
        raise typer.Exit(FAILED)


def main() -> None:
    """Run the command line: an error meant for people is one line and an exit code."""
    errors.main(app)


if __name__ == "__main__":
    main()
