"""Studies without Ray or training: the conductor driven by curves that follow from each configuration."""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from study.ledger.events import StudyOpened
from study.ledger.ledger import Ledger
from study.ledger.records import Fold, StudyRecord, fold
from study.running.conductor import Conductor
from study.running.director import Running
from study.study_file.config import StudyConfig
from trainables.evaluation.config import Evaluation
from trainables.trial import report_keys

CEILING = 150.0

REPORTED = report_keys(Evaluation())
"""Names of all numbers that a trial reports, as a study checks them, with the usual metrics."""


def toy_config(**changes: Any) -> StudyConfig:
    """A study of 12 trials on digits with rungs at 1 and 3 kimg and the end at 9."""
    values: dict[str, Any] = {
        "name": "toy",
        "seed": 7,
        "data": {"name": "digits"},
        "space": {"base": "quick"},
        "sampler": {"name": "tpe", "startup_trials": 3},
        "trials": 12,
        "schedule": {"grace_kimg": 1, "max_kimg": 9, "reduction_factor": 3},
        "evaluation": {"count": 300},
    }
    return StudyConfig.model_validate(values | changes)


def fid_of(config: Mapping[str, Any], kimg: int) -> float:
    """A made-up curve: best near a learning rate of 5e-4, falling with time, a little rough."""
    off = abs(math.log10(config["generator_optimiser"]["lr"] / 5e-4))
    rough = random.Random(f"{config['seed']}/{kimg}").uniform(0, 3)
    return 20 + 40 * off + 60 / kimg + rough


def result_of(config: Mapping[str, Any], kimg: int) -> dict[str, Any]:
    """What the trainable would report."""
    if config["batch_size"] == 64 and config["loss"] == "hinge" and kimg > 1:
        return {"kimg": kimg - 1, "ended": "diverged", "cause": "Diverged: loss_d became non-finite"}
    fid = fid_of(config, kimg)
    best = min(fid_of(config, k) for k in range(1, kimg + 1))
    return dict.fromkeys(REPORTED, 1.0) | {"kimg": kimg, "fid": fid, "fid_best": best}


class Crash(Exception):
    """Stands for SIGKILL between two writes."""


def open_study(place: Path | str, config: StudyConfig, schema: str = "toy") -> None:
    with Ledger.open(place, schema=schema, create=True) as ledger, ledger.own("host", 1) as writer:
        writer.append(StudyOpened("uid", config.to_dict(), "fingerprint", 0.5, CEILING, {}))


@contextmanager
def first_trial(folder: Path) -> Iterator[tuple[Ledger, Conductor, Running]]:
    """A study in which one trial has begun."""
    place, config = folder / "ledger.db", toy_config()
    open_study(place, config)
    with Ledger.open(place, schema="toy", create=False) as ledger, ledger.own("host", 1) as writer:
        conductor = Conductor(config, CEILING, writer, Fold.of(ledger.read()))
        running = conductor.next()
        assert running is not None
        yield ledger, conductor, running


def drive(
    place: Path | str,
    config: StudyConfig,
    *,
    concurrency: int = 1,
    schema: str = "toy",
    crash_after: int | None = None,
    result: Callable[[Mapping[str, Any], int], dict[str, Any]] = result_of,
) -> StudyRecord:
    """Run a study to its end as the driver would, or crash once `crash_after` transactions are committed."""
    left = [crash_after]

    with Ledger.open(place, schema=schema, create=False) as ledger, ledger.own("host", 1) as writer:
        append = writer.append

        def counted(*events: Any) -> list[bool]:
            if left[0] == 0:
                raise Crash
            done = append(*events)
            left[0] = None if left[0] is None else left[0] - 1
            return done

        writer.append = counted  # type: ignore[method-assign]
        conductor = Conductor(config, CEILING, writer, Fold.of(ledger.read()))
        slots: dict[int, tuple[Running, int]] = {}
        while not conductor.done:
            while len(slots) < concurrency and (running := conductor.next()):
                slots[running.number] = (running, running.kimg)
                conductor.prepare()
            for number, (running, kimg) in list(slots.items()):
                kimg += config.schedule.report_every
                slots[number] = (running, kimg)
                if not conductor.report(number, result(running.config, kimg)):
                    del slots[number]
        return fold(ledger.read(), live=False)
