"""Commands that take a study's results elsewhere: tables, the report, a comparison, Optuna's storages."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from study.analysis.compare import compare as side_by_side
from study.analysis.compare import print_comparison
from study.analysis.results import check_format, write_results
from study.catalogue import find_study, load_study
from study.console.say import say, say_written
from study.loaded import LoadedStudy, load
from study.report.page import report as page
from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.files import write_named

if TYPE_CHECKING:
    import pandas as pd

TABLES: dict[str, Callable[[LoadedStudy], "pd.DataFrame"]] = {
    "trials": LoadedStudy.trials_frame,
    "reports": LoadedStudy.reports_frame,
}


def results(name: str, storage: Path | None, table: str, out: Path | None, console: Console) -> None:
    """Write a study's trials or reports as a table."""
    if table not in TABLES:
        raise InvalidInput(f"--table {quoted(table)}: choose one of {', '.join(TABLES)}")
    check_format(out)
    frame = TABLES[table](load(name, storage))
    write_results(frame, out)
    if out is not None:
        say_written(console, out, f"{len(frame)} rows, {len(frame.columns)} columns of {name}")


def report(name: str, storage: Path | None, out: Path | None, console: Console) -> None:
    """Write a study's report."""
    folder = find_study(name, storage)
    file = out or folder.report_file
    content = page(load_study(folder), folder).encode()
    write_named(file, content)
    say_written(console, file, f"{len(content) / 1e6:.1f} MB, one file that any browser opens, also offline")


def compare(a: str, b: str, storage: Path | None, as_json: bool, console: Console) -> None:
    """Print two studies side by side."""
    first, second = (load_study(find_study(name, storage)) for name in (a, b))
    comparison = side_by_side(first, second)
    if as_json:
        console.print_json(data=comparison.to_dict())
    else:
        print_comparison(comparison, console)


def export_optuna(name: str, storage: Path | None, target: str, console: Console) -> None:
    """Copy a study to an Optuna storage."""
    study = load_study(find_study(name, storage))
    from study.analysis.optuna_export import export_optuna as copy  # imports torch, for the space

    say(console, f"{target}: {copy(study, target)} trials of {name}; look at them: optuna-dashboard {target}")
