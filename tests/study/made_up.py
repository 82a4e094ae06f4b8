"""Studies that never ran: trials and whole ledgers with made-up numbers, for what reads them."""

import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import yaml

from search_spaces.space import suggest_with
from study.folder import StudyFolder
from study.ledger.events import AttemptStarted, Ended, Event, NoiseMeasured, Reported, StudyOpened, TrialProposed
from study.ledger.ledger import Ledger
from study.ledger.records import Report, StudyRecord, TrialRecord, TrialState
from study.study_file.config import StudyConfig
from trainables.gan.config import TrialConfig

SCHEDULE = {"grace_kimg": 1, "max_kimg": 9, "reduction_factor": 3, "brackets": 1, "report_kimg": None}
FINGERPRINT = "f" * 16
OPENED_AT = 1_000.0


def trial(
    number: int,
    curve: Mapping[int, float],
    state: str = "completed",
    *,
    rung: int | None = None,
    params: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    cause: str | None = None,
    collapsed: bool = False,
    seconds: tuple[float, float] = (2.0, 1.0),
    at: Mapping[int, float] | None = None,
) -> TrialRecord:
    """A trial that trained and evaluated for `seconds` a kimg; `at` tells when each report was written."""
    reports = tuple(
        Report(
            kimg,
            1,
            {
                "fid": curve[kimg],
                "kimg": float(kimg),
                "train_seconds": seconds[0] * kimg,
                "eval_seconds": seconds[1] * kimg,
                "collapsed": float(collapsed),
            },
            (at or {}).get(kimg, OPENED_AT + 10 * number + kimg),
        )
        for kimg in sorted(curve)
    )
    settings = {
        "model": {"name": "mlp", "width": 8},
        "loss": "hinge",
        "penalty": {"name": "none"},
        "normalisation": "none",
        "generator_optimiser": {"lr": 1e-4},
        "discriminator_optimiser": {"lr": 1e-4},
    } | dict(config or {})
    ended = None if state in ("running", "interrupted") else OPENED_AT + 10 * number + 9
    return TrialRecord(
        *(number, settings, dict(params or {}), "sampler", {}, OPENED_AT + 10 * number, reports),
        *(1, TrialState(state), rung, cause, ended),
    )


def study(*trials: TrialRecord, fingerprint: str = FINGERPRINT, name: str = "toy", **settings: Any) -> StudyRecord:
    """A study of these trials."""
    config = {"name": name, "trials": len(trials), "schedule": SCHEDULE, "evaluation": {"count": 300}} | settings
    return StudyRecord("uid", config, fingerprint, 0.5, 150.0, {}, OPENED_AT, tuple(trials))


def big_ledger(config: StudyConfig, place: Path, trials: int, seed: int = 0, fate: str | None = None) -> StudyFolder:
    """Write a ledger of `trials` trials of the study's space; every one ends by `fate`, or each by a draw of its own.

    FIDs follow from the configuration: best at a learning rate of 5e-4, 20 worse for RMSprop-like losses, falling with
    time; the odds to diverge rise with the learning rate.
    """
    space, rng = config.space.resolve(), random.Random(seed)
    rungs = config.schedule.rungs()
    asked = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    events: list[Event] = [StudyOpened("uid", config.to_dict(), FINGERPRINT, 0.5, 150.0, {"torch": "2"})]
    for number in range(trials):
        params = space.sample(suggest_with(asked.ask()))
        built = space.build(
            params,
            data=config.to_dict()["data"],
            evaluation=config.to_dict()["evaluation"],
            seed=number,
        )
        events += [TrialProposed(number, built.to_dict(), dict(params), "sampler", {}), AttemptStarted(number, 1)]
        events += _life(number, built, config, rungs, fate or _fate(built, rng), rng)
    finalists = [event for event in events if isinstance(event, Ended) and event.state == "completed"][:1]
    events += [NoiseMeasured(end.trial, end.kimg, "seed", i, 50.0 + i, None) for end in finalists for i in (1, 2, 3)]
    folder = StudyFolder(place, config.name)
    folder.path.mkdir(parents=True)
    folder.study_file.write_text(yaml.safe_dump(config.to_dict()))
    with Ledger.open(folder.ledger, schema=config.name, create=True) as ledger, ledger.own("host", 1) as writer:
        writer.append(*events)
    return folder


def _fate(config: TrialConfig, rng: random.Random) -> str:
    lr = float(config.to_dict()["generator_optimiser"]["lr"])
    if rng.random() < min(0.9, lr / 4e-3):
        return "diverged"
    return rng.choices(("stopped", "completed", "failed"), (12, 3, 1))[0]


def _life(
    number: int, built: TrialConfig, config: StudyConfig, rungs: list[int], fate: str, rng: random.Random
) -> list[Event]:
    schedule, plain = config.schedule, built.to_dict()
    off = abs(math.log10(plain["generator_optimiser"]["lr"] / 5e-4))
    rung = rng.choices(rungs, [3.0**-i for i in range(len(rungs))])[0]
    end = {"completed": schedule.max_kimg, "stopped": rung}.get(fate, rng.choice([0, schedule.report_every]))
    reports: list[Event] = []
    for kimg in range(schedule.report_every, end + 1, schedule.report_every):
        fid = 10 + 60 * off + 20 * (plain["loss"] == "wasserstein") + 90 / kimg + rng.uniform(0, 8)
        metrics = {"fid": fid, "kimg": float(kimg), "train_seconds": 2.0 * kimg, "eval_seconds": 0.5 * kimg}
        reports.append(Reported(number, kimg, 1, {**metrics, "collapsed": float(fid > 110)}))
    cause = {"diverged": "Diverged: <loss_d> became non-finite", "failed": "OSError: lost & gone"}.get(fate)
    return [*reports, Ended(number, 1, end, fate, rung if fate == "stopped" else None, cause)]
