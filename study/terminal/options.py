"""Arguments and options that several commands share, and the panels that `ganstudy --help` groups commands in."""

from pathlib import Path
from typing import Annotated

import typer

from study.exit_codes import EXIT_CODES
from study.terminal import completion

STUDY = "A study"
RESULTS = "Its results"
PRODUCTION = "Production"
LOOKING = "Looking at data and spaces"
SETTING_UP = "Setting up"

EPILOG = "Exit codes: " + ", ".join(f"{code} {text.split(':')[0].split(';')[0]}" for code, text in EXIT_CODES.items())
"""Under the help."""

StudyFile = Annotated[Path, typer.Argument(metavar="FILE", help="The study file (YAML).", show_default=False)]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The study's name.", autocompletion=completion.studies)]
Exported = Annotated[
    Path, typer.Argument(metavar="FILE", help="A file written by `ganstudy export`, or a trial configuration.")
]
Generator = Annotated[Path, typer.Argument(metavar="PATH", help="A training's folder, or its generator.safetensors.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a key: --set schedule.max_kimg=30")]
StorageOption = Annotated[
    Path | None, typer.Option("--storage", help="The folder of studies; default: $GANSTUDY_STORAGE, or runs.")
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
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
