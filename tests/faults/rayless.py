"""`ganstudy launch` with all of the driver's own steps, and without Ray, training and MLflow: on made-up curves.

As a program it ends itself before the n-th write step of a launch, for every n, launches again, and compares with the
study that nobody interrupted. (A process of its own: it forks, which a process with threads must not.)
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from toys import CEILING, result_of, toy_config

from study.ledger.ledger import Ledger
from study.ledger.records import Fold, StudyRecord, fold
from study.ledger.store import Store
from study.running import driver as driving
from study.running import launch as module
from study.running import trials
from study.running.cluster import Slots
from study.running.conductor import Conductor
from study.study_file.config import StudyConfig
from study.verify.decisions import Replay, check_sampler

CRASHED = 9
STUDY: dict[str, Any] = {"trials": 4, "schedule": {"grace_kimg": 1, "max_kimg": 3, "reduction_factor": 3}}


class _NoMlflow:
    """In place of the thread that writes to MLflow."""

    error = None

    def __init__(self, *ignored: Any, **more: Any) -> None: ...

    def wake(self) -> None: ...

    def close(self, *ignored: Any) -> bool:
        return True


def _train(conductor: Conductor, *ignored: Any) -> None:
    while running := conductor.next():
        conductor.prepare()
        kimg = running.kimg + 1
        while conductor.report(running.number, result_of(running.config, kimg)):
            kimg += 1


def launch(config: StudyConfig) -> StudyRecord:
    """Launch the study, or resume it."""
    prepared = SimpleNamespace(fingerprint="fingerprint", fid_floor=0.5, fid_ceiling=CEILING, dataset=None)
    stand_ins = {
        "connected": lambda *ignored: nullcontext(),
        "plan_slots": lambda config: Slots(1.0, 0.0, 1, 1),
        "prepare": lambda *ignored, **more: prepared,
        "check_fit": lambda *ignored: None,
        "data_facts": lambda *ignored: {},
        "run_trainings": _train,
        "ProjectionThread": _NoMlflow,
    }
    with pytest.MonkeyPatch.context() as patch, Path(os.devnull).open("w") as nowhere:
        for name, stand_in in stand_ins.items():
            for part in (module, driving, trials):
                patch.setattr(part, name, stand_in, raising=False)
        return module.launch(config, None, Console(file=nowhere), Fold()).study


def config_in(folder: Path, **changes: Any) -> StudyConfig:
    return toy_config(**STUDY, storage={"path": str(folder)}, **changes)


class Steps:
    """Counts the write steps to come, and ends the process before the one of number `crash_before`."""

    def __init__(self, crash_before: int | None) -> None:
        self.names: list[str] = []
        self._crash_before = crash_before
        self._watch_commits()
        for name in ("fsync", "replace", "mkdir"):
            setattr(os, name, self._watched(name, getattr(os, name)))

    def take(self, name: str) -> None:
        if len(self.names) == self._crash_before:
            os._exit(CRASHED)
        self.names.append(name)

    def _watched(self, name: str, do: Any) -> Any:
        def step(*arguments: Any, **more: Any) -> Any:
            self.take(name)
            return do(*arguments, **more)

        return step

    def _watch_commits(self) -> None:
        writing = Store.writing

        @contextmanager
        def watched(store: Store, **how: Any) -> Iterator[Any]:
            with writing(store, **how) as connection:
                yield connection
                self.take("commit")

        Store.writing = watched  # type: ignore[method-assign]


def in_child(work: Any) -> int:
    """Do `work` in a fork of this process; return its exit code."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run_counted(folder: Path) -> None:
    steps = Steps(None)
    launch(config_in(folder))
    (folder / "steps.json").write_text(json.dumps(steps.names))


def run_to_the_crash(folder: Path, step: int) -> None:
    Steps(step)
    launch(config_in(folder))


def outcome(study: StudyRecord) -> list[tuple[Any, ...]]:
    return [(t.number, t.config, t.params, t.origin, t.state, t.rung, t.cause, t.curve) for t in study.trials]


def read(folder: Path) -> list[tuple[Any, ...]]:
    """The outcome, once its ledger has stood the replay that `ganstudy verify` makes of it."""
    place = config_in(folder).folder
    with Ledger.open(place.ledger, schema=place.name, create=False) as ledger:
        ledger.check_file()
        rows = ledger.read()
    study = fold(rows, live=False)
    Replay(place, Counter()).take(rows)
    check_sampler(study, Counter())
    return outcome(study)


def main(folder: Path) -> None:
    whole = folder / "whole"
    whole.mkdir()
    assert in_child(lambda: run_counted(whole)) == 0
    expected, names = read(whole), json.loads((whole / "steps.json").read_text())
    for step in range(len(names)):
        place = folder / str(step)
        code = in_child(lambda place=place, step=step: run_to_the_crash(place, step))
        assert code == CRASHED, f"before step {step} ({names[step]}): ended with {code}"
        code = in_child(lambda place=place: launch(config_in(place)))
        assert code == 0, f"crashed before step {step} ({names[step]}): the launch after it ended with {code}"
        assert read(place) == expected, f"crashed before step {step} ({names[step]}): another outcome"
        files = [path for path in config_in(place).folder.path.iterdir() if not path.name.startswith(".")]
        assert {"best.yaml", "ledger.db", "study.yaml"} <= {path.name for path in files}
    print(json.dumps(Counter(names)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
