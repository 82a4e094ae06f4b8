"""The `ganstudy` command.

Only names and help live here, so that `--help` is quick: each command imports what it needs when it runs.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from study.exit_codes import INTERRUPTED, NO_COMPLETED_TRIAL
from trainables.errors import GanStudyError

_PIPE_WIDTH = 140  # of logs; the tables want it

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Find the GAN configuration worth training.\n\nExit codes: 0 done, 1 failed, 2 wrong usage or input, "
    "3 no completed trial, 130 interrupted.",
)
data_app = typer.Typer(no_args_is_help=True, help="Look at data sets.")
spaces_app = typer.Typer(invoke_without_command=True, help="List search spaces, or show one.")
app.add_typer(data_app, name="data")
app.add_typer(spaces_app, name="spaces")

console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH)

StudyFile = Annotated[Path, typer.Argument(help="The study file (YAML).")]
Name = Annotated[str, typer.Argument(help="The study's name.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a key: --set schedule.max_kimg=30")]
StorageOption = Annotated[Path | None, typer.Option("--storage", help="Default: $GANSTUDY_STORAGE, or runs.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


@app.command()
def launch(
    file: StudyFile,
    overrides: Overrides = None,
    storage: StorageOption = None,
    address: Annotated[
        str | None,
        typer.Option(envvar="RAY_ADDRESS", help="A Ray cluster: auto or HOST:PORT. Default: a local Ray."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")] = False,
) -> None:
    """Run a study; the same command again resumes it.

    Example: ganstudy launch studies/quickstart.yaml --set trials=20
    """
    from study import commands

    raise typer.Exit(commands.launch(file, overrides or [], storage, address, dry_run, console))


@app.command()
def status(name: Name, storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Show how far a study is, trial by trial.

    Example: ganstudy status quickstart
    """
    from study import reading

    reading.status(name, storage, as_json, console)


@app.command()
def best(
    name: Name,
    top: Annotated[int, typer.Option(min=1, help="How many.")] = 5,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank a study's trials, equal budgets first.

    Example: ganstudy best quickstart --top 3 --json
    """
    from study import reading

    if not reading.best(name, storage, top, as_json, console):
        raise typer.Exit(NO_COMPLETED_TRIAL)


@app.command(name="list")
def list_studies(storage: StorageOption = None) -> None:
    """List the studies in the storage folder."""
    from study import reading

    reading.list_studies(storage, console)


@app.command()
def export(
    name: Name,
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    trial: Annotated[int | None, typer.Option(help="This trial instead of the best one.")] = None,
    storage: StorageOption = None,
) -> None:
    """Write the best trial's configuration, and where it came from, to a file.

    Example: ganstudy export quickstart best.yaml
    """
    from study import reading

    reading.export_trial(name, storage, file, trial, console)


@app.command()
def report(
    name: Name,
    out: Annotated[Path | None, typer.Option(help="Default: report.html in the study's folder.")] = None,
    storage: StorageOption = None,
) -> None:
    """Write a study's report: one HTML page that needs nothing else.

    Example: ganstudy report quickstart --out report.html
    """
    from study import report_commands

    report_commands.report(name, storage, out, console)


@app.command()
def results(
    name: Name,
    out: Annotated[Path | None, typer.Option(help=".csv, .parquet or .json; default: CSV to standard output.")] = None,
    table: Annotated[str, typer.Option(help="trials: a row per trial; reports: a row per report.")] = "trials",
    storage: StorageOption = None,
) -> None:
    """Write a study's trials as a table; from Python: study.load(NAME).trials_frame().

    Example: ganstudy results quickstart --out trials.parquet
    """
    from study import report_commands

    report_commands.results(name, storage, table, out, console)


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="A study's name.")],
    b: Annotated[str, typer.Argument(help="Another study's name.")],
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set two studies side by side, at equal budgets and at equal cost.

    Example: ganstudy compare quickstart other
    """
    from study import report_commands

    report_commands.compare(a, b, storage, as_json, console)


@app.command(name="export-optuna")
def export_optuna(
    name: Name,
    target: Annotated[str, typer.Argument(help="sqlite:///FILE or another database's URL, or a journal file's path.")],
    storage: StorageOption = None,
) -> None:
    """Copy a study to an Optuna storage, for optuna-dashboard (pip install 'ganstudy[dashboard]').

    Example: ganstudy export-optuna quickstart sqlite:///quickstart.db
    """
    from study import report_commands

    report_commands.export_optuna(name, storage, target, console)


@app.command(name="run-trial")
def run_trial(
    file: Annotated[Path, typer.Argument(help="A file written by `ganstudy export`, or a trial configuration.")],
    kimg: Annotated[int, typer.Option(min=1, help="Thousands of images to train for.")],
    report_kimg: Annotated[int | None, typer.Option(min=1, help="FID every so many; default: the study's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Keep checkpoints and samples here.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Run one trial without a study; it repeats the FIDs that the study measured.

    Example: ganstudy run-trial best.yaml --kimg 5
    """
    from study import commands

    if not commands.run_trial(file, kimg, report_kimg, out, device, console):
        raise typer.Exit(1)


@app.command()
def train(
    file: Annotated[Path, typer.Argument(help="A file written by `ganstudy export`, or a trial configuration.")],
    kimg: Annotated[int, typer.Option(min=1, help="Thousands of images to train for, in all.")],
    out: Annotated[
        Path | None, typer.Option(help="The training's folder; default: beside FILE, named after it.")
    ] = None,
    report_kimg: Annotated[
        int | None, typer.Option(min=1, help="FID every so many kimg; default: the study's, or about 50 in all.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: cuda where there is one.")] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Train afresh from this seed; default: the exported one, which repeats the trial."),
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Keep the last generator, not that of the best FID.")] = False,
    mlflow: Annotated[str | None, typer.Option(help="Record it in the MLflow store at this address.")] = None,
) -> None:
    """Train an exported configuration for production; the same command again goes on where it was.

    It ends with generator.safetensors, config.yaml, metrics.json, samples.png and a model card, README.md.

    Example: ganstudy train best.yaml --kimg 5000
    """
    from study import production

    order = production.Order(file, kimg, out, report_kimg, device, seed, last, mlflow)
    production.train(order, console)


@app.command()
def sample(
    path: Annotated[Path, typer.Argument(help="A training's folder, or its generator.safetensors.")],
    count: Annotated[
        int | None, typer.Option("-n", "--count", min=1, help="How many; default: 64, of a strip 8.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides latents and classes.")] = 0,
    label: Annotated[
        int | None, typer.Option("--class", min=0, help="The class of all, of a generator that takes one.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The picture to write; default: samples.png.")] = None,
    npz: Annotated[Path | None, typer.Option(help="Write the images as an array to this .npz file.")] = None,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="A strip of images from one latent to another.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: cuda where there is one.")] = None,
) -> None:
    """Draw images of a trained generator; the data is not needed.

    Example: ganstudy sample best -n 64 --seed 1 --out grid.png
    """
    from study import generators

    wanted = generators.Wanted(count, seed, label, out, npz, interpolate)
    generators.sample(path, wanted, device, console)


@app.command()
def evaluate(
    path: Annotated[Path, typer.Argument(help="A training's folder, or its generator.safetensors.")],
    split: Annotated[str | None, typer.Option(help="validation or test; default: that of its training.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: cuda where there is one.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a trained generator: FID and all other metrics, with the fingerprint that says what they mean.

    Example: ganstudy evaluate best --split test
    """
    from study import generators

    generators.evaluate(path, split, device, as_json, console)


@app.command()
def noise(
    name: Name,
    trial: Annotated[int | None, typer.Option(help="This trial instead of the best one.")] = None,
    evaluations: Annotated[int, typer.Option(help="Judge its checkpoint so often with fresh latents; 0: not.")] = 5,
    seeds: Annotated[int, typer.Option(help="Train it again from so many fresh seeds; 0: not.")] = 3,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: the study's.")] = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how far a trial's FID differs by chance, so that the ranking can tell which trials are tied.

    The same command again goes on where it was; larger numbers extend what is there.

    Example: ganstudy noise quickstart --seeds 5
    """
    from study import commands

    commands.noise(name, storage, trial, evaluations, seeds, device, as_json, console)


@app.command()
def ui(
    name: Name,
    storage: StorageOption = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; the next free one if taken.")] = 5000,
) -> None:
    """Open a study in MLflow: start its server on 127.0.0.1 and print the address.

    Example: ganstudy ui quickstart
    """
    from study import commands

    commands.ui(name, storage, port, console)


@app.command()
def sync(name: Name, storage: StorageOption = None) -> None:
    """Bring MLflow up to date with a study's ledger.

    Example: ganstudy sync quickstart
    """
    from study import commands

    commands.sync(name, storage, console)


@app.command()
def verify(name: Name, storage: StorageOption = None, as_json: JsonOption = False) -> None:
    """Prove that a study lost nothing and counted nothing twice: ledger, decisions, checkpoints, MLflow.

    Example: ganstudy verify quickstart
    """
    from study import commands

    if not commands.verify(name, storage, as_json, console):
        raise typer.Exit(1)


@data_app.command()
def describe(
    source: Annotated[str, typer.Argument(help="fashion_mnist, mnist, cifar10, digits, folder, npz, or a study file.")],
    path: Annotated[Path | None, typer.Option(help="Where the data lies (folder and npz need it).")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels a side (folder needs it).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a data set: counts, fingerprint, and the FID of real images (floor) and of noise (ceiling).

    Example: ganstudy data describe fashion_mnist
    """
    from study import commands

    commands.describe(source, path, size, as_json, console)


@spaces_app.callback()
def spaces(context: typer.Context) -> None:
    """List the search spaces."""
    if context.invoked_subcommand is None:
        from study import commands

        commands.list_spaces(console)


@spaces_app.command()
def show(name: Annotated[str, typer.Argument(help="The space's name.")]) -> None:
    """Show a search space as a table.

    Example: ganstudy spaces show gan28
    """
    from study import commands

    commands.show_space(name, console)


def main() -> None:
    """Run the command line: an error meant for people is one line and an exit code."""
    try:
        app()
    except GanStudyError as error:
        print(f"ganstudy: {' '.join(str(error).split())}", file=sys.stderr)  # a path may hold a line break
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("ganstudy: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
