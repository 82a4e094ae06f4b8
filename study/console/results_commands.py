"""Commands that take a study's results elsewhere: tables, the report, a comparison, Optuna's storages."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from study.analysis.compare import compare as side_by_side
from study.analysis.compare import print_comparison
from study.analysis.results import FORMATS, write_file, write_results
from study.ledger.catalogue import find_study, load_study
from study.loaded import LoadedStudy, load
from study.report.page import report as page
from study.terminal.hints import shown_path
from study.terminal.say import say
from trainables.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

TABLES: dict[str, Callable[[LoadedStudy], "pd.DataFrame"]] = {
    "trials": LoadedStudy.trials_frame,
    "reports": LoadedStudy.reports_frame,
}


def results(name: str, storage: Path | None, table: str, out: Path | None, console: Console) -> None:
    """Write a study's trials or reports as a table."""
    if table not in TABLES:
        raise InvalidInput(f"--table {table!r}: choose one of {', '.join(TABLES)}")
    if out is not None and out.suffix.lower() not in FORMATS:
        raise InvalidInput(f"--out {out}: choose a name that ends in {', '.join(FORMATS)}")
    frame = TABLES[table](load(name, storage))
    write_results(frame, out)
    if out is not None:
        say(console, f"{out}: {len(frame)} rows, {len(frame.columns)} columns of {name}")


def report(name: str, storage: Path | None, out: Path | None, console: Console) -> None:
    """Write a study's report."""
    folder = find_study(name, storage)
    file = out or folder.report_file
    content = page(load_study(folder), folder).encode()
    write_file(file, content)
    say(console, f"{shown_path(file)}: {len(content) / 1e6:.1f} MB, one file that any browser opens, also offline")


def compare(a: str, b: str, storage: Path | None, as_json: bool, console: Console) -> None:
    """Print two studies side by side."""
    first, second = (load_study(find_study(name, storage)) for name in (a, b))
    comparison = side_by_side(first, second)
    if as_json:
        console.print_json(json.dumps(comparison.to_dict()))
    else:
        print_comparison(comparison, console)


def export_optuna(name: str, storage: Path | None, target: str, console: Console) -> None:
    """Copy a study to an Optuna storage."""
    study = load_study(find_study(name, storage))
    from study.analysis.optuna_export import export_optuna as copy  # imports torch, for the space

    say(console, f"{target}: {copy(study, target)} trials of {name}; look at them: optuna-dashboard {target}")
