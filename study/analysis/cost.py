"""What a study has cost, what its early stopping saved, and what FID it had for how much.

Costs are those of the reports in the ledger: what a trial trained after its last report, and what was trained twice
after a crash, is not in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from study.analysis.rung_facts import schedule_of
from study.ledger.records import Report, StudyRecord, TrialRecord, TrialState
from trainables.evaluation.image_counts import most_images

_UNRANKED = frozenset({TrialState.DIVERGED, TrialState.FAILED})


@dataclass(frozen=True)
class Cost:
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
class Progress:
    """The best FID so far: after `wall` seconds since the study began, and `compute` trial-seconds."""

    wall: float
    compute: float
    kimg: int
    fid: float
    trial: int


def cost(trials: Sequence[TrialRecord]) -> Cost:
    """Return the cost of some trials."""
    ends = [trial.reports[-1] for trial in trials if trial.reports]
    train, evaluation = (sum(end.metrics.get(key, 0.0) for end in ends) for key in ("train_seconds", "eval_seconds"))
    return Cost(len(trials), sum(end.kimg for end in ends), train, evaluation)


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
    """Return seconds from the opening of the study to the last that its trials told; pauses included."""
    times = [report.written_at for trial in study.trials for report in trial.reports]
    times += [trial.ended_at for trial in study.trials if trial.ended_at is not None]
    return max(0.0, max(times, default=study.opened_at) - study.opened_at)


def progress(study: StudyRecord) -> list[Progress]:
    """Return each moment at which the best FID fell, and the last report's; diverged and failed trials cost only.

    FIDs count that are of the most images that any such trial was judged by.
    """
    reports = sorted(
        ((report, trial) for trial in study.trials for report in trial.reports),
        key=lambda pair: (pair[0].written_at, pair[1].number, pair[0].kimg),
    )
    most = most_images(report for report, trial in reports if trial.state not in _UNRANKED)
    before: dict[int, Report] = {}
    compute, kimg = 0.0, 0
    points: list[Progress] = []
    for report, trial in reports:
        last = before.get(trial.number)
        compute += max(0.0, _seconds(report) - (_seconds(last) if last else 0.0))
        kimg += report.kimg - (last.kimg if last else 0)
        before[trial.number] = report
        lower = not points or report.fid < points[-1].fid
        if trial.state not in _UNRANKED and report.estimate.images == most and lower:
            points.append(
                Progress(max(0.0, report.written_at - study.opened_at), compute, kimg, report.fid, trial.number)
            )
    if points and reports:
        wall = max(points[-1].wall, reports[-1][0].written_at - study.opened_at)
        points.append(Progress(wall, compute, kimg, points[-1].fid, points[-1].trial))
    return points


def best_after(points: Sequence[Progress], kimg: int) -> float | None:
    """Return the best FID known once `kimg` thousand images were shown over all trials."""
    return min((point.fid for point in points if point.kimg <= kimg), default=None)


def _seconds(report: Report) -> float:
    return report.metrics.get("train_seconds", 0.0) + report.metrics.get("eval_seconds", 0.0)
