"""`ganstudy doctor`: looks at this machine before a study does, and says what to do about what it finds."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.doctor.base import Check, Finding, Level, Patient, fail
from study.doctor.clock import check_clock
from study.doctor.data import check_data, check_weights
from study.doctor.disk import check_disk
from study.doctor.machine import check_cores, check_devices, check_memory
from study.doctor.mlflow_store import check_mlflow
from study.doctor.ray import check_ray
from study.doctor.versions import check_versions
from study.ledger.catalogue import find_study, load_study, storage_root
from study.mlflow.store import resolve_uri
from study.running.ray_environment import cluster_address
from study.terminal.say import say

CHECKS: dict[str, Check] = {
    "versions": check_versions,
    "devices": check_devices,
    "cores": check_cores,
    "memory": check_memory,
    "disk": check_disk,
    "clock": check_clock,
    "data": check_data,
    "weights": check_weights,
    "mlflow": check_mlflow,
    "ray": check_ray,
}
"""In the order in which they are made: what takes longest last."""

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def examine(
    storage: Path | None, address: str | None, mlflow: str | None, quick: bool, as_json: bool, console: Console
) -> bool:
    """Make every check and print what each found; return whether none failed."""
    patient = Patient(storage_root(storage), cluster_address(address), mlflow, quick)
    found: dict[str, list[Finding]] = {}
    with Console(stderr=True).status("") as status:  # of which nothing is seen but on a terminal
        for name in CHECKS:
            status.update(f"checking {name}")
            found[name] = list(_findings(name, patient))
    lines = [finding for some in found.values() for finding in some]
    sick = sum(line.level == Level.FAIL for line in lines)
    if as_json:
        plain = [{"check": name, **finding.to_dict()} for name, some in found.items() for finding in some]
        console.print_json(data={"ok": not sick, "findings": plain})
        return not sick
    console.print(_table(lines))
    warned = sum(line.level == Level.WARN for line in lines)
    end = f"{sick} to mend" if sick else "ready to launch"
    say(console, f"{end}; {warned} warning{'s' if warned != 1 else ''}", "bold")
    return not sick


def store_of(name: str | None, storage: Path | None) -> str | None:
    """Return the address of the MLflow store that a study uses; None without a study.

    Raises:
        GanStudyError: if there is no such study, or it cannot be read.
    """
    if name is None:
        return None
    folder = find_study(name, storage)
    return resolve_uri(load_study(folder).config["mlflow"]["uri"], folder)


def _findings(name: str, patient: Patient) -> Iterator[Finding]:
    try:
        yield from CHECKS[name](patient)
    except Exception as error:  # the doctor outlives what it looks at
        yield fail(name, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}", "report this, please")


def _table(lines: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for line in lines:
        value = Text(line.value)
        if line.advice:
            value.append(f"\n-> {line.advice}", "dim" if line.level == Level.OK else "")
        table.add_row(Text(str(line.level), _STYLES[line.level]), line.what, value)
    return table
