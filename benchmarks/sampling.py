"""How long a slot waits for its next configuration: `python benchmarks/sampling.py`.

`Conductor.next()` (TPE's proposal, and its row in a real ledger) after so many trials of the quickstart's study, whose
FIDs are made up. Results go to benchmarks/results/sampling.json. About a minute.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring import machine, write

from study.ledger.events import StudyOpened
from study.ledger.ledger import Ledger, Writer
from study.running.conductor import Conductor, Running
from study.study_file.config import StudyConfig, read_study
from trainables.trial import report_keys

ROOT = Path(__file__).parents[1]
HISTORY = 10, 50, 100, 200
EACH = 10
"""So many proposals are timed after each of these histories."""

CEILING = 130.0
SLOTS = 2


def open_study(config: StudyConfig, writer: Writer) -> None:
    """Write the first row."""
    writer.append(StudyOpened("benchmark", config.to_dict(), "fingerprint", 0.3, CEILING, {}))


def train(conductor: Conductor, running: Running, draw: random.Random) -> None:
    """Report made-up FIDs until the trial is stopped or complete."""
    quality, kimg = draw.uniform(20, 90), 0
    every = conductor.config.schedule.report_every
    keys = report_keys(conductor.config.evaluation)
    while True:
        kimg += every
        metrics = {**dict.fromkeys(keys, 1.0), "fid": quality + 40 / (1 + kimg), "kimg": kimg}
        if not conductor.report(running.number, metrics):
            return


def waits(conductor: Conductor, history: Sequence[int], draw: random.Random) -> dict[str, Any]:
    """Seconds of `next()` by the trials before it; the other slot's trial runs meanwhile, as in a study."""
    seconds: dict[int, list[float]] = {count: [] for count in history}
    in_hand: list[Running] = []
    for number in range(max(history) + EACH):
        began = time.perf_counter()
        running = conductor.next()
        took = time.perf_counter() - began
        assert running is not None
        for count in history:
            if count <= number < count + EACH:
                seconds[count].append(took)
        in_hand.append(running)
        if len(in_hand) == SLOTS:
            train(conductor, in_hand.pop(0), draw)
    return {str(count): _spread(found) for count, found in seconds.items()}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "count": len(values)}


def main() -> None:
    """Propose, measure, print, write."""
    before = machine()["load_average"]
    with tempfile.TemporaryDirectory() as storage:
        changes = [f"trials={max(HISTORY) + EACH}"]
        config = read_study(ROOT / "studies" / "quickstart.yaml", changes, Path(storage))
        config.folder.path.mkdir(parents=True)
        opened = Ledger.open(config.folder.ledger, schema=config.name, create=True)
        with opened as ledger, ledger.own("here", 1, "launch") as writer:
            open_study(config, writer)
            conductor = Conductor(config, CEILING, writer, ledger.read())
            numbers = waits(conductor, HISTORY, random.Random(1))
    for count, spread in numbers.items():
        median, low, high = (1000 * spread[part] for part in ("median", "low", "high"))
        print(f"after {count:>3} trials: {median:.0f} ms ({low:.0f} to {high:.0f})")
    write("sampling", {"load_before": before, "next_seconds": numbers})


if __name__ == "__main__":
    main()
