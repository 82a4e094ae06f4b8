"""Confirmations without Ray or training: with made-up FIDs for what reads them, or driven by toys' curves."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from made_up import FINGERPRINT, OPENED_AT
from toys import Crash, fid_of, result_of, toy_config

from study.ledger.events import CONFIRM, RetrainingPlanned
from study.ledger.ledger import Ledger, Row
from study.ledger.outcomes import Report, TrialState
from study.ledger.records import StudyRecord, TrialRecord, fold
from study.retraining import noise
from study.retraining.confirm import ConfirmRequest
from study.retraining.retrainer import Retrainer
from study.retraining.run import is_new
from study.study_file.config import StudyConfig
from trainables.evaluation.config import Evaluation
from trainables.held_out import TEST

BUDGET, TEST_FINGERPRINT = 9, "e" * 16

Fids = Mapping[int, tuple[float, float] | str]
"""By index of the seed: (lowest validation FID, test FID), or how it ended instead."""


def retraining(trial: int, index: int, found: tuple[float, float] | str) -> TrialRecord:
    """A retraining that had its lowest FID, `found[0]`, at 3 of 9 kimg."""
    common: dict[str, Any] = {"number": trial, "seed": index, "budget": BUDGET, "group": CONFIRM}
    common |= {"config": {}, "params": {}, "origin": "sampler", "sampler_attrs": {}, "rung": None}
    common |= {"started_at": OPENED_AT, "attempts": 1}
    if isinstance(found, str):
        cause = None if found == "interrupted" else "Diverged: <loss_d> became non-finite"
        over = None if found == "interrupted" else OPENED_AT
        return TrialRecord(
            **common, reports=(), state=TrialState(found), cause=cause, ended_at=over, chosen=None, test=None
        )
    curve = {1: found[0] + 10, 3: found[0], 9: found[0] + 1}
    reports = tuple(Report(kimg, 1, {"fid": fid, "kimg": float(kimg)}, OPENED_AT) for kimg, fid in curve.items())
    return TrialRecord(
        **common,
        reports=reports,
        state=TrialState.COMPLETED,
        cause=None,
        ended_at=OPENED_AT,
        chosen=3,
        test={"fid": found[1], "kid": 0.01},
    )


def confirmed_study(study: StudyRecord, found: Mapping[int, Fids], seeds: int, order: list[int]) -> StudyRecord:
    """`study` with a plan for the trials of `order` and what is `found` of them."""
    plan = RetrainingPlanned(CONFIRM, 1, order, seeds, BUDGET, FINGERPRINT, TEST_FINGERPRINT)
    retrainings = tuple(retraining(n, i, f) for n, fids in found.items() for i, f in fids.items())
    return replace(study, plans=(plan,), retrainings=retrainings)


END = BUDGET
Result = Callable[[Mapping[str, Any], int], dict[str, Any]]


def retrained(config: Mapping[str, Any], kimg: int) -> dict[str, Any]:
    """What a worker reports: at the end with the test metrics of its best generator."""
    curve = {k: fid_of(config, k) for k in range(1, kimg + 1)}
    result = result_of(config | {"loss": "any"}, kimg)
    if kimg == END:
        chosen = min(curve, key=lambda k: curve[k])
        result |= {"chosen": chosen, **{TEST + key: 1.0 for key in Evaluation().keys}}
        result[TEST + "fid"] = curve[chosen] + 2
    return result


def read(place: Path) -> list[Row]:
    with Ledger.open(place, schema="toy", create=False) as ledger:
        return ledger.read()


def confirm(
    place: Path,
    top: int,
    seeds: int,
    *,
    crash_after: int | None = None,
    slots: int = 2,
    result: Result = retrained,
    config: StudyConfig | None = None,
) -> StudyRecord:
    """Confirm as the driver would, or crash once `crash_after` transactions are committed."""

    def plan(study: StudyRecord) -> RetrainingPlanned:
        return ConfirmRequest(top, seeds).plan(study, "test")

    return retrain(place, plan, crash_after=crash_after, slots=slots, result=result, config=config)


def measure(place: Path, trial: int, seeds: int, *, crash_after: int | None = None) -> StudyRecord:
    """Measure a trial's noise by fresh seeds, as the driver would."""
    return retrain(place, noise.NoiseRequest(trial, 0, seeds).plan, crash_after=crash_after)


def retrain(
    place: Path,
    planned: Callable[[StudyRecord], RetrainingPlanned | None],
    *,
    crash_after: int | None = None,
    slots: int = 2,
    result: Result = retrained,
    config: StudyConfig | None = None,
) -> StudyRecord:
    """Retrain what is planned of the study, if anything is."""
    left = [crash_after]
    with Ledger.open(place, schema="toy", create=False) as ledger, ledger.own("host", 1) as writer:
        append = writer.append

        def counted(*events: Any) -> list[bool]:
            if left[0] == 0:
                raise Crash
            done = append(*events)
            left[0] = None if left[0] is None else left[0] - 1
            return done

        writer.append = counted  # type: ignore[method-assign]
        study = fold(ledger.read(), live=False)
        plan = planned(study)
        if plan is None:
            return study
        if is_new(study, plan):
            writer.append(plan)
        confirmer = Retrainer(config or toy_config(), fold(ledger.read(), live=True), writer, plan.group)
        running: dict[int, tuple[Mapping[str, Any], int]] = {}
        while not confirmer.done:
            while len(running) < slots and (handed := confirmer.next()):
                running[handed.number] = (handed.config, handed.kimg)
            for number, (trained, kimg) in list(running.items()):
                kimg = min(kimg + 1, END)  # one that failed at the end repeats its last report
                running[number] = (trained, kimg)
                if not confirmer.report(number, result(trained, kimg)):
                    del running[number]
        return fold(ledger.read(), live=False)
