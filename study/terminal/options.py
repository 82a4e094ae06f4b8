"""Arguments and options that several commands share, and the panels that `ganstudy --help` groups commands in."""

from functools import partial
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
"""The last line of the help."""


def _home(path: Path | None) -> Path | None:
    """Replace a leading `~`, which a shell leaves alone in `--out=~/x`."""
    return None if path is None else expanded(path)


path_option, path_argument = (partial(kind, callback=_home) for kind in (typer.Option, typer.Argument))
"""`typer.Option` and `typer.Argument` for paths."""

StudyFile = Annotated[Path, path_argument(metavar="FILE", help="The study file (YAML).", show_default=False)]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The study's name.", autocompletion=completion.studies)]
Exported = Annotated[
    Path, path_argument(metavar="FILE", help="A file written by `ganstudy export`, or a trial configuration.")
]
Generator = Annotated[
    str,
    typer.Argument(
        metavar="GENERATOR",
        help="The folder of a training, its generator.safetensors, or a study's name.",
        autocompletion=completion.generators,
    ),
]
DataPlace = Annotated[
    Path | None, path_option("--data", help="Path of the data; default: the path in the study's configuration.")
]
Weights = Annotated[
    Path | None,
    path_option("--weights", help="Path of Inception's weights; default: the path in the study's configuration."),
]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a key: --set schedule.max_kimg=30")]
StorageOption = Annotated[
    Path | None, path_option("--storage", help="The folder of studies; default: $GANSTUDY_STORAGE, or runs.")
]
Address = Annotated[
    str | None,
    typer.Option("--address", envvar="RAY_ADDRESS", help="A Ray cluster: auto or HOST:PORT; default: a local Ray."),
]
Trial = Annotated[int | None, typer.Option("--trial", help="Use this trial; default: the best one.")]
Force = Annotated[
    bool, typer.Option("--force", help="Make it the champion even if its FID is worse than the champion's or noise's.")
]
Onnx = Annotated[Path | None, path_option("--onnx", help="Write it as an ONNX file too; - for standard output.")]
Device = Annotated[
    str | None,
    typer.Option("--device", help="cpu or cuda; default: cuda if there is one.", autocompletion=completion.devices),
]
ModelName = Annotated[str | None, typer.Option("--as", help="The registered model's name; default: the study's.")]
FromOlder = Annotated[
    bool,
    typer.Option(
        "--from-older-ledger",
        help="Go on from a ledger that is older than its study, such as a restored copy; newer results are set aside.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
