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
    Force,
    FromOlder,
    Generator,
    JsonOption,
    ModelName,
    Name,
    Onnx,
    Overrides,
    StorageOption,
    StudyFile,
    Trial,
    Weights,
    path_argument,
    path_option,
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and its cost; run nothing.")] = False,
    from_older: FromOlder = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan of a dry run as JSON.")] = False,
) -> None:
    """Run a study; the same command resumes it.

    Ctrl-C stops it cleanly and prints how to resume. No result is lost.

    Example: ganstudy launch studies/quickstart.yaml

    Example: ganstudy launch studies/quickstart.yaml --set trials=40 --dry-run
    """
    from study.commands import running

    options = running.Launch(file, overrides or [], storage, address, dry_run, from_older, as_json)
    raise typer.Exit(running.launch(options, console))


@app.command(rich_help_panel=STUDY)
def status(name: Name, storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Show the state of a study, trial by trial.

    Example: ganstudy status quickstart
    """
    from study.commands import results as reading

    reading.status(name, storage, as_json, console)


@app.command(rich_help_panel=RESULTS)
def best(
    name: Name,
    top: Annotated[int, typer.Option(min=1, help="Number of trials.")] = 5,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank the trials of a study: larger budgets first, then the best FID.

    Example: ganstudy best quickstart --top 3 --json
    """
    from study.commands import results as reading

    if not reading.best(name, storage, top, as_json, console):
        raise typer.Exit(NO_COMPLETED_TRIAL)


@app.command(name="list", rich_help_panel=STUDY)
def list_studies(storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """List the studies in the storage folder, newest first.

    Example: ganstudy list --storage runs
    """
    from study.commands import listing

    listing.list_studies(storage, as_json, console)


@app.command(rich_help_panel=RESULTS)
def export(
    name: Name,
    file: Annotated[Path, path_argument(help="The file to write; - for standard output.")],
    trial: Trial = None,
    storage: StorageOption = None,
) -> None:
    """Write the best trial's configuration and its origin to a file.

    Example: ganstudy export quickstart best.yaml
    """
    from study.commands import results as reading

    reading.export_trial(name, storage, file, trial, console)


@app.command(rich_help_panel=RESULTS)
def report(
    name: Name,
    out: Annotated[
        Path | None, path_option(help="Default: report.html in the study's folder; - for standard output.")
    ] = None,
    storage: StorageOption = None,
) -> None:
    """Write a study's report as one self-contained HTML page.

    Example: ganstudy report quickstart --out report.html
    """
    from study.commands import results as reading

    reading.report(name, storage, out, console)


@app.command(rich_help_panel=RESULTS)
def results(
    name: Name,
    out: Annotated[Path | None, path_option(help=".csv, .parquet or .json; default: CSV to standard output.")] = None,
    table: Annotated[str, typer.Option(help="trials: a row per trial; reports: a row per report.")] = "trials",
    storage: StorageOption = None,
) -> None:
    """Write a study's trials as a table. In Python: study.load(NAME).trials_frame().

    Example: ganstudy results quickstart --out trials.parquet
    """
    from study.commands import results as reading

    reading.results(name, storage, table, out, console)


@app.command(rich_help_panel=RESULTS)
def compare(
    a: Annotated[str, typer.Argument(help="A study's name.", autocompletion=completion.studies)],
    b: Annotated[str, typer.Argument(help="Another study's name.", autocompletion=completion.studies)],
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two studies, at equal budgets and at equal cost.

    Example: ganstudy compare quickstart other
    """
    from study.commands import results as reading

    reading.compare(a, b, storage, as_json, console)


@app.command(name="export-optuna", rich_help_panel=RESULTS)
def export_optuna(
    name: Name,
    target: Annotated[str, typer.Argument(help="sqlite:///FILE, another database URL, or the path of a journal file.")],
    storage: StorageOption = None,
) -> None:
    """Copy a study to an Optuna storage for optuna-dashboard (pip install 'ganstudy\\[dashboard]').

    Example: ganstudy export-optuna quickstart sqlite:///quickstart.db
    """
    from study.commands import results as reading

    reading.export_optuna(name, storage, target, console)


@app.command(name="run-trial", rich_help_panel=RESULTS)
def run_trial(
    file: Exported,
    kimg: Annotated[int, typer.Option(min=1, help="Thousands of images to train for.")],
    report_kimg: Annotated[
        int | None, typer.Option(min=1, help="Evaluate the FID every this many kimg; default: as the study did.")
    ] = None,
    out: Annotated[Path | None, path_option(help="Folder for checkpoints and samples; default: keep none.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.", autocompletion=completion.devices)] = "cpu",
    data: DataPlace = None,
    weights: Weights = None,
) -> None:
    """Run one trial without a study; it reproduces the FIDs that the study measured.

    Example: ganstudy run-trial best.yaml --kimg 5
    """
    from study.data_paths import DataPaths
    from study.production import run_trial as repeating

    options = repeating.Repeat(file, kimg, report_kimg, out, device, DataPaths(data, weights))
    if not repeating.run_trial(options, console):
        raise typer.Exit(FAILED)


@app.command(rich_help_panel=PRODUCTION)
def train(
    file: Exported,
    kimg: Annotated[int, typer.Option(min=1, help="Thousands of images to train for, in all.")],
    out: Annotated[
        Path | None, path_option(help="Folder of the training; default: next to FILE, with its name.")
    ] = None,
    report_kimg: Annotated[
        int | None,
        typer.Option(min=1, help="Evaluate the FID every this many kimg; default: as the study did, or ~50 times."),
    ] = None,
    device: Device = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Train from this seed; default: the exported one, which reproduces the trial."),
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Keep the last generator, not the best.")] = False,
    mlflow: Annotated[str | None, typer.Option(help="Record the training in the MLflow store at this address.")] = None,
    devices: Annotated[
        int, typer.Option(help="Number of GPUs (with --device cpu: cores) to split every batch over.")
    ] = 1,
    register: Annotated[
        bool, typer.Option("--register", help="Register the generator in that MLflow store as the champion.")
    ] = False,
    model: ModelName = None,
    force: Force = False,
    data: DataPlace = None,
    weights: Weights = None,
) -> None:
    """Train an exported configuration for production; the same command resumes it.

    Writes generator.safetensors, config.yaml, metrics.json, samples.png and a model card, README.md.

    Example: ganstudy train best.yaml --kimg 5000

    Example: ganstudy train best.yaml --kimg 5000 --mlflow http://127.0.0.1:5000 --register
    """
    from study.data_paths import DataPaths
    from study.production import train as production

    paths = DataPaths(data, weights)
    order = production.Order(
        file, kimg, out, report_kimg, device, seed, last, mlflow, devices, register, model, force, paths
    )
    production.train(order, console)


@app.command(rich_help_panel=PRODUCTION)
def sample(
    given: Generator,
    trial: Trial = None,
    count: Annotated[
        int | None,
        typer.Option("-n", "--count", min=1, help="Number of images; default: 64, or 8 with --interpolate."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the latents and classes.")] = 0,
    label: Annotated[
        int | None, typer.Option("--class", min=0, help="Class of all images, for a class-conditional generator.")
    ] = None,
    out: Annotated[Path | None, path_option(help="The picture; default: samples.png; - for standard output.")] = None,
    npz: Annotated[Path | None, path_option(help="Write the images as an array to this .npz file.")] = None,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="Draw a strip of images from one latent to another.")
    ] = False,
    device: Device = None,
    storage: StorageOption = None,
) -> None:
    """Draw images from a trained generator, or from a study's best; the data is not needed.

    Example: ganstudy sample quickstart --trial 3

    Example: ganstudy sample best -n 64 --seed 1 --out grid.png
    """
    from study.production import found, generators

    wanted = generators.SampleOptions(count, seed, label, out, npz, interpolate)
    generators.sample(found.Asked(given, trial, storage), wanted, device, console)


@app.command(rich_help_panel=PRODUCTION)
def evaluate(
    given: Generator,
    trial: Trial = None,
    split: Annotated[
        str | None,
        typer.Option(help="validation or test; default: as in its training.", autocompletion=completion.splits),
    ] = None,
    device: Device = None,
    data: DataPlace = None,
    weights: Weights = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a trained generator, or a study's best: FID, all other metrics, and the evaluation's fingerprint.

    Example: ganstudy evaluate quickstart --split test

    Example: ganstudy evaluate best --split test
    """
    from study.data_paths import DataPaths
    from study.production import found, generators

    asked = found.Asked(given, trial, storage)
    generators.evaluate(asked, split, device, as_json, console, DataPaths(data, weights))


@app.command(name="export-onnx", rich_help_panel=PRODUCTION)
def export_onnx(
    given: Generator,
    file: Annotated[Path, path_argument(help="The file to write; - for standard output.")],
    trial: Trial = None,
    storage: StorageOption = None,
) -> None:
    """Write a trained generator, or a study's best, as an ONNX file (pip install 'ganstudy\\[onnx]').

    ONNX Runtime must make the network's own images of it before it is written.

    Example: ganstudy export-onnx best clothes.onnx

    Example: ganstudy export-onnx quickstart clothes.onnx --trial 3
    """
    from study.production import found, onnx_file

    onnx_file.export_onnx(found.Asked(given, trial, storage), file, console)


@app.command(rich_help_panel=PRODUCTION)
def promote(
    name: Name,
    trial: Trial = None,
    model: ModelName = None,
    onnx: Onnx = None,
    force: Force = False,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a study's best generator in MLflow as the champion, which loads without ganstudy.

    One whose FID is worse than the champion's, or than that of noise, is refused.

    Example: ganstudy promote quickstart

    Example: ganstudy promote quickstart --trial 3 --as clothes --onnx clothes.onnx
    """
    from study.production import champion

    options = champion.Promote(name, storage, trial, model, onnx, force, as_json)
    if not champion.promote(options, console):
        raise typer.Exit(NO_COMPLETED_TRIAL)


@app.command(rich_help_panel=RESULTS)
def noise(
    name: Name,
    trial: Trial = None,
    evaluations: Annotated[
        int, typer.Option(help="How many times to evaluate its checkpoint with fresh latents; 0 skips this.")
    ] = 5,
    seeds: Annotated[int, typer.Option(help="How many fresh seeds to train it again from; 0 skips this.")] = 3,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: the study's.")] = None,
    storage: StorageOption = None,
    address: Address = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how much a trial's FID varies by chance, so that the ranking can tell which trials are tied.

    The same command resumes it, larger numbers extend it, and seeds that `confirm` trained are not trained again.

    Example: ganstudy noise quickstart --seeds 5
    """
    from study.commands import retraining

    options = retraining.Measure(name, storage, trial, evaluations, seeds, device, address, as_json)
    raise typer.Exit(retraining.noise(options, console))


@app.command(rich_help_panel=RESULTS)
def confirm(
    name: Name,
    top: Annotated[
        int | None, typer.Option(help="How many of the best configurations to retrain; default: as last time, or 3.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="How many fresh seeds for each of them; default: as last time, or 5.")
    ] = None,
    storage: StorageOption = None,
    address: Address = None,
    as_json: JsonOption = False,
) -> None:
    """Train the best configurations again from fresh seeds, and evaluate them on test images.

    Shows how much of a study's FID was luck and whether the winner is truly ahead; `export` then takes the winner.
    The same command resumes it and retries what failed; larger numbers add to what is there.

    Example: ganstudy confirm quickstart --top 3 --seeds 5
    """
    from study.commands import retraining

    options = retraining.Confirm(name, storage, top, seeds, address, as_json)
    raise typer.Exit(retraining.confirm(options, console))


@app.command(rich_help_panel=STUDY)
def ui(
    name: Name,
    storage: StorageOption = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; if it is taken, the next free one.")] = 5000,
) -> None:
    """Show a study in MLflow: start a server on 127.0.0.1 and print its address.

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
    """Check that nothing was lost or counted twice, in the ledger, decisions, checkpoints and MLflow.

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
            help="fashion_mnist, mnist, cifar10, digits, a folder or archive of images, an .npz file, or a study file.",
            autocompletion=completion.sources,
        ),
    ],
    path: Annotated[Path | None, path_option(help="Path of the data of a source that is named.")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels per side; default: as the data, or 32 for a folder.")] = None,
    mode: Annotated[str | None, typer.Option(help="For folder: rgb or grey.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="For a folder, where classes come from: auto, folders, dataset.json or none.")
    ] = None,
    splits: Annotated[
        str | None, typer.Option(help="For a folder, where splits come from: auto, folders, shuffle or all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a data set: splits, classes, files not read, and the FID of real images (floor) and of noise (ceiling).

    Example: ganstudy data describe fashion_mnist

    Example: ganstudy data describe ./photos --size 32 --mode grey
    """
    from study.commands import looking

    looking.describe(looking.Describe(source, path, size, mode, labels, as_json, splits), console)


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
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The space's name.", autocompletion=completion.spaces),
    ],
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
            help="fashion_mnist, mnist, cifar10, digits, or the path of a folder or archive of images or .npz file.",
            autocompletion=completion.sources,
            show_default=True,
        ),
    ] = "fashion_mnist",
    file: Annotated[
        Path | None, path_argument(metavar="FILE", help="The study file to write; default: DATA.yaml.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Pixels per side; default: as the data, or 32 for a folder.")] = None,
) -> None:
    """Write a commented study file for a data set.

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
        str | None, typer.Option(help="Check the MLflow store of this study.", autocompletion=completion.studies)
    ] = None,
    mlflow: Annotated[str | None, typer.Option(help="Check the MLflow store at this address.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Skip the checks that start Ray or open MLflow.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check that this machine can run a study: versions, devices, Ray, MLflow, data, weights, disk, clock.

    Example: ganstudy doctor

    Example: ganstudy doctor --address auto --mlflow http://127.0.0.1:5000 --json
    """
    from study.doctor import doctor as examining

    if not examining.examine(examining.Examine(storage, address, study, mlflow, quick, as_json), console):
        raise typer.Exit(FAILED)


def main() -> None:
    """Run the command line."""
    errors.main(app)


if __name__ == "__main__":
    main()
