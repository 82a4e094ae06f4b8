"""`ganstudy doctor`: looks at this machine before a study does, and says what to do about what it finds."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from study.doctor.base import Check, Finding, Level, Patient, fail
from study.doctor.clock import check_clock
from study.doctor.data import check_data, check_weights
from study.doctor.disk import check_disk
from study.doctor.machine import check_cores, check_devices, check_memory
from study.doctor.mlflow_store import check_mlflow
from study.doctor.ray import check_ray
from study.doctor.versions import check_versions
from study.folder import storage_root
from study.ledger.catalogue import find_study, load_study
from study.mlflow.store import resolve_uri
from study.running.ray_environment import cluster_address
from study.terminal.hints import counted
from study.terminal.say import say
from study.terminal.screen import Screen
from trainables.display import shown
from trainables.errors import reason_of

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


@dataclass(frozen=True)
class Examine:
    """What `ganstudy doctor` was asked for; the MLflow store is that at the address, else that of the study."""

    storage: Path | None
    address: str | None = None
    study: str | None = None
    mlflow: str | None = None
    quick: bool = False
    as_json: bool = False


def examine(options: Examine, console: Console) -> bool:
    """Make every check and print what each found; return whether none failed.

    Raises:
        GanStudyError: if there is no such study, or it cannot be read.
    """
    store = options.mlflow
    if not store and options.study is not None:
        folder = find_study(options.study, options.storage)
        store = resolve_uri(load_study(folder).config["mlflow"]["uri"], folder)
    patient = Patient(storage_root(options.storage), cluster_address(options.address), store, options.quick)
    found: dict[str, list[Finding]] = {}
    with Screen(stderr=True).status("") as status:  # of which nothing is seen but on a terminal
        for name in CHECKS:
            status.update(f"checking {name}")
            found[name] = list(_findings(name, patient))
    lines = [finding for some in found.values() for finding in some]
    sick = sum(line.level == Level.FAIL for line in lines)
    if options.as_json:
        plain = [{"check": name, **asdict(finding)} for name, some in found.items() for finding in some]
        console.print_json(data={"ok": not sick, "findings": plain})
        return not sick
    console.print(_table(lines))
    warned = sum(line.level == Level.WARN for line in lines)
    end = f"{sick} to fix" if sick else "ready to launch"
    say(console, f"{end}; {counted({'warnings': warned})}", "bold")
    return not sick


def _findings(name: str, patient: Patient) -> Iterator[Finding]:
    try:
        yield from CHECKS[name](patient)
    except Exception as error:  # the doctor outlives what it looks at
        yield fail(name, f"{type(error).__name__}: {reason_of(error, 200)}", "please report this")


def _table(lines: list[Finding]) -> Table:
    columns = Column(no_wrap=True), Column(no_wrap=True), Column(overflow="fold")
    table = Table(*columns, box=None, pad_edge=False, show_header=False)
    for line in lines:
        value = Text(shown(line.value))
        if line.advice:
            value.append(f"\n-> {shown(line.advice)}", "dim" if line.level == Level.OK else "")
        table.add_row(Text(str(line.level), _STYLES[line.level]), line.what, value)
    return table
