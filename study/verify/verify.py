"""`ganstudy verify`: proves from what is on disk that nothing was lost, nothing counted twice, nothing decided else.

It reads only, starts no Ray and trains nothing; it may run beside the driver.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from study.folder import StudyFolder
from study.ledger.catalogue import open_ledger
from study.ledger.events import CONFIRM, NOISE
from study.ledger.ledger import Ledger
from study.ledger.records import fold
from study.ledger.rows import Row
from study.terminal.say import say
from study.verify.check import Check, Discrepancy, run_check
from study.verify.checkpoints import check_checkpoints
from study.verify.decisions import Replay, check_sampler
from study.verify.mlflow_runs import check_mlflow
from study.verify.retrainings import check_noise, check_retrainings
from trainables.display import shown
from trainables.errors import CorruptFile


def verify(folder: StudyFolder) -> list[Check]:
    """Check a study; each check ends at its first problem, and without a ledger there is nothing to compare with.

    Raises:
        InvalidInput: if there is no ledger.
        GanStudyError: if it cannot be reached.
    """
    rows: list[Row] = []

    def read(counts: Counter[str]) -> None:
        rows.extend(_checked_rows(ledger, folder.head, counts))

    try:
        ledger = open_ledger(folder)
    except CorruptFile as error:
        return [Check("ledger", {}, str(error), None)]
    with ledger:
        live = ledger.live_owner() is not None
        checks = [run_check("ledger", read)]
        if checks[0].problem:
            return checks
        study = fold(rows, live)
        checks += [
            run_check("decisions", lambda counts: Replay(folder, counts).take(rows)),
            run_check("sampler", lambda counts: check_sampler(study, counts)),
            run_check("checkpoints", lambda counts: check_checkpoints(folder, study, live, counts)),
            run_check("MLflow", lambda counts: check_mlflow(folder, study, ledger.read, live, counts)),
        ]
        if study.measured or study.asked(NOISE).plans:
            checks.append(run_check("noise", lambda counts: check_noise(folder, rows, live, counts)))
        if study.confirmation.plans:
            checks.append(
                run_check("confirmation", lambda counts: check_retrainings(folder, rows, CONFIRM, live, counts))
            )
    return checks


def _checked_rows(ledger: Ledger, head: Path, counts: Counter[str]) -> Sequence[Row]:
    """Read the whole ledger: the file, each row's checksum and position, and that each can follow those before it."""
    ledger.check_file()
    if other := ledger.differs(head):
        raise Discrepancy(f"ledger {ledger.location}: {other}: an older one, or another, was put in its place")
    rows = ledger.read()
    counts["rows"] += len(rows)
    if not rows:
        raise Discrepancy(f"ledger {ledger.location}: holds nothing, not even that the study was opened")
    study = fold(rows, live=False)
    owner = ledger.owner()
    if owner is None or owner.epoch < rows[-1].epoch:
        raise Discrepancy(f"ledger {ledger.location}: row {rows[-1].seq} is of an epoch that no driver had")
    counts["trials"] += len(study.trials)
    if study.ahead:
        counts["waiting"] += 1
    counts["reports"] += sum(len(trial.reports) for trial in study.trials)
    return rows


def report(name: str, checks: Sequence[Check], as_json: bool, console: Console) -> bool:
    """Print a line per check, and the first problem; return whether there is none."""
    first = next((check for check in checks if check.problem), None)
    if as_json:
        console.print_json(data={"study": name, "ok": first is None, "checks": [check.to_dict() for check in checks]})
        return first is None
    for check in checks:
        mark = ("wrong", "red") if check.problem else ("ok   ", "green")
        console.print(Text.assemble(mark, shown(f"  {check.name:<12}  {check.checked}")), soft_wrap=True)
        for more in filter(None, (check.problem, check.note)):
            say(console, f"       {more}")
    verdict = f"{name}: the first discrepancy: {first.problem}" if first else f"{name}: as the ledger says, all of it"
    say(console, verdict)
    return first is None
