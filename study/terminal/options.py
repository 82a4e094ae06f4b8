"""Arguments and options that several commands share, and the panels that `ganstudy --help` groups commands in."""

from pathlib import Path
from typing import Annotated

import typer

from study.exit_codes import EXIT_CODES
from study.terminal import completion
from trainables.paths import expanded

STUDY = "A study"
RESULTS = "Its results"
PRODUCTION = "Production"
LOOKING = "Looking at data and spaces"
SETTING_UP = "Setting up"

EPILOG = "Exit codes: " + ", ".join(f"{code} {text.split(':')[0].split(';')[0]}" for code, text in EXIT_CODES.items())
"""Under the help."""


def home(path: Path | None) -> Path | None:
    """Replace a leading `~`, which a shell leaves alone in `--out=~/x`; for each option or argument that is a path."""
    return None if path is None else expanded(path)


StudyFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="The study file (YAML).", show_default=False, callback=home)
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The study's name.", autocompletion=completion.studies)]
Exported = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="A file written by `ganstudy export`, or a trial configuration.", callback=home
    ),
]
Generator = Annotated[
    Path, typer.Argument(metavar="PATH", help="A training's folder, or its generator.safetensors.", callback=home)
]
DataPlace = Annotated[
    Path | None, typer.Option("--data", help="Where the data lies; default: where the study had it.", callback=home)
]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", help="Where Inception's weights lie; default: where the study had them.", callback=home),
]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a key: --set schedule.max_kimg=30")]
StorageOption = Annotated[
    Path | None,
    typer.Option("--storage", help="The folder of studies; default: $GANSTUDY_STORAGE, or runs.", callback=home),
]
Address = Annotated[
    str | None,
    typer.Option("--address", envvar="RAY_ADDRESS", help="A Ray cluster: auto or HOST:PORT; default: a local Ray."),
]
Trial = Annotated[int | None, typer.Option("--trial", help="This trial instead of the best one.")]
Device = Annotated[
    str | None,
    typer.Option("--device", help="cpu or cuda; default: cuda where there is one.", autocompletion=completion.devices),
]
FromOlder = Annotated[
    bool,
    typer.Option(
        "--from-older-ledger",
        help="Go on from a ledger that is older than its study, as a copy put back: what is newer is set aside.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
