"""What a study cost, what early stopping saved, and which FID it had reached at what cost.

Costs come from the reports in the ledger: training after a trial's last report, or repeated after a crash, is not
included.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from study.analysis.ranking import UNRANKED
from study.analysis.rung_facts import schedule_of
from study.ledger.records import Report, StudyRecord, TrialRecord, TrialState
from trainables.evaluation.image_counts import most_images


@dataclass(frozen=True)
class TrialsCost:
    """Thousands of real images shown to D, and seconds of training and evaluation, summed over `trials` trials."""

    trials: int
    kimg: int
    train_seconds: float
    eval_seconds: float

    @property
    def seconds(self) -> float:
        """Of training and evaluation."""
        return self.train_seconds + self.eval_seconds


@dataclass(frozen=True)
class Saved:
    """What the trials that ASHA stopped would have cost on their way to the end, each at its own speed."""

    trials: int
    kimg: int
    seconds: float


@dataclass(frozen=True)
class BestSoFar:
    """The best FID so far: after `wall` seconds since the study began, and `compute` trial-seconds."""

    wall: float
    compute: float
    kimg: int
    fid: float
    trial: int


def cost(trials: Sequence[TrialRecord]) -> TrialsCost:
    """Return the cost of some trials."""
    ends = [trial.reports[-1] for trial in trials if trial.reports]
    train, evaluation = (sum(end.metrics.get(key, 0.0) for end in ends) for key in ("train_seconds", "eval_seconds"))
    return TrialsCost(len(trials), sum(end.kimg for end in ends), train, evaluation)


def saved(study: StudyRecord) -> Saved:
    """Return what ASHA saved against running all trials to the end.

    Only trials that it stopped count: one that diverged or failed ended by itself. A stopped trial might have
    diverged later, so this is the most that was saved.
    """
    end = schedule_of(study.config).max_kimg
    stopped = [trial for trial in study.trials if trial.state == TrialState.STOPPED and trial.reports]
    left = [max(0, end - trial.kimg) for trial in stopped]
    seconds = sum(_seconds(t.reports[-1]) * kimg / t.kimg for t, kimg in zip(stopped, left, strict=True) if t.kimg)
    return Saved(len(stopped), sum(left), seconds)


def wall_seconds(study: StudyRecord) -> float:
    """Return seconds from the opening of the study to the last report or end of a trial; pauses included."""
    times = [report.written_at for trial in study.trials for report in trial.reports]
    times += [trial.ended_at for trial in study.trials if trial.ended_at is not None]
    return max(0.0, max(times, default=study.opened_at) - study.opened_at)


def progress(study: StudyRecord) -> list[BestSoFar]:
    """Return each point at which the best FID improved, and the last report; diverged and failed trials only cost.

    Only FIDs of the largest number of generated images count.
    """
    reports = sorted(
        ((report, trial) for trial in study.trials for report in trial.reports),
        key=lambda pair: (pair[0].written_at, pair[1].number, pair[0].kimg),
    )
    most = most_images(report for report, trial in reports if trial.state not in UNRANKED)
    before: dict[int, tuple[float, int]] = {}  # seconds and kimg of each trial's last report
    compute, kimg = 0.0, 0
    points: list[BestSoFar] = []
    for report, trial in reports:
        seconds_before, kimg_before = before.get(trial.number, (0.0, 0))
        compute += max(0.0, _seconds(report) - seconds_before)
        kimg += report.kimg - kimg_before
        before[trial.number] = _seconds(report), report.kimg
        lower = not points or report.fid < points[-1].fid
        if trial.state not in UNRANKED and report.estimate.images == most and lower:
            wall = max(0.0, report.written_at - study.opened_at)
            points.append(BestSoFar(wall, compute, kimg, report.fid, trial.number))
    if points:
        wall = max(points[-1].wall, reports[-1][0].written_at - study.opened_at)
        points.append(replace(points[-1], wall=wall, compute=compute, kimg=kimg))
    return points


def best_after(points: Sequence[BestSoFar], kimg: int) -> float | None:
    """Return the best FID known once `kimg` thousand images were shown over all trials."""
    return min((point.fid for point in points if point.kimg <= kimg), default=None)


def _seconds(report: Report) -> float:
    return report.metrics.get("train_seconds", 0.0) + report.metrics.get("eval_seconds", 0.0)
