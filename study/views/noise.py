"""The noise in words and tables: what `ganstudy noise` prints, and what stands under a ranking."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from study.analysis.confirmation import Conclusion, decision
from study.analysis.images_judged import images_of
from study.analysis.noise import LEVEL, Noise, Pooled, Spread, factor, noise_of
from study.analysis.quantile import student_t
from study.analysis.ranking import Ranked
from study.analysis.summary import summary
from study.folder import StudyFolder
from study.ledger.events import EVALUATION, SEED
from study.ledger.records import StudyRecord, TrialRecord
from study.terminal.fitted import Fitted
from study.terminal.hints import typed
from study.terminal.say import say, say_warnings
from study.views.seen_images import seen_lines
from study.views.tables import number

_FEW = 4  # degrees of freedom: fewer make the least difference large for want of seeds


def ranking_lines(study: StudyRecord, ranked: Sequence[Ranked], command: str) -> list[str]:
    """What to know of the noise under a ranking: how large it is, and which trials are tied.

    Args:
        study: the study.
        ranked: its ranking.
        command: how to measure the noise, told where it is not known.
    """
    if not ranked:
        return []
    first, noise = ranked[0], noise_of(study)
    images = _images(study, first.trial, first.trial.kimg_best)
    evaluation = noise.evaluation(lambda s: _images(study, study.trials[s.trial], s.kimg) == images)
    seeds = noise.seed(first.budget)
    parts = [_deviation(seeds, f"fresh seeds to {first.budget} kimg")] if seeds else []
    parts += [_deviation(evaluation, "fresh latents")] if evaluation else []
    lines = [f"noise (standard deviation of the FID): {'; '.join(parts)}"] if parts else []
    decided = decision(study)
    if decided:
        lines.append(_confirmed(decided))
    if seeds:
        others = "of those not confirmed, tied" if decided else "tied"
        best = f"trial {decided.configurations[0].trial.number}" if decided else "the first"
        return [*lines, f"{others}: behind {best} by at most {_least(noise, first.budget)}"]
    measured = noise.spreads(SEED, first.budget)
    if measured:
        why = f"{_diverged(measured)} of {_count(measured)} retrainings diverged: too few are left; more: {command}"
        return [*lines, f"which trials are tied is not known: {why} --seeds {_count(measured) + 2}"]
    elsewhere = sorted({spread.kimg for spread in noise.spreads(SEED)})
    only = f" (it was at {', '.join(map(str, elsewhere))})" if elsewhere else ""
    return [
        *lines,
        f"the noise of seeds at {first.budget} kimg is not measured{only}: a small lead may be luck; measure it: "
        f"{command}",
    ]


def _confirmed(decided: Conclusion) -> str:
    """Which trial a confirmation found best, which it is ahead of, and which are tied with it."""
    best = decided.configurations[0]
    parts = [
        f"confirmed best: trial {best.trial.number}, mean test FID {number(best.mean)} over {len(best.tests)} seeds"
    ]
    for words, verdict in (("ahead of", True), ("tied with", False)):
        if found := [str(pair.second) for pair in decided.pairs if pair.ahead is verdict]:
            parts.append(f"{words} trial{'s' * (len(found) > 1)} {', '.join(found)}")
    return "; ".join(parts)


def print_noise(study: StudyRecord, trial: TrialRecord, folder: StudyFolder, console: Console) -> None:
    """Print what was measured of a trial, and what it means for the ranking."""
    evaluation, seeds = _of(noise_of(study), trial)
    say(console, f"trial {trial.number} of {folder.name}: {summary(trial.config)}")
    rows: list[list[str | Text]] = [
        ["the study's own run", "1", number(trial.fid_best), "", "", ""],
        _row(f"fresh latents, its checkpoint of {evaluation.kimg} kimg", evaluation),
        _row(f"fresh seeds, trained again to {seeds.kimg} kimg", seeds),
    ]
    columns = [("best FID of", "left"), *((name, "right") for name in ("runs", "mean", "sd", "lowest", "highest"))]
    console.print(Fitted(columns, rows))
    count = _images(study, trial, trial.kimg_best)
    say(console, f"sd: sample standard deviation; every FID is of {count:,} images ({study.fingerprint})", "dim")
    say_warnings(console, seen_lines(study.config))
    for line in _meaning(study, trial, seeds, folder):
        say(console, line)


def _images(study: StudyRecord, trial: TrialRecord, kimg: int | None) -> int:
    """By how many images a trial was evaluated there."""
    return images_of(study, next((report for report in trial.reports if report.kimg == kimg), None))


def plain_noise(study: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    """Return the same for scripts."""
    evaluation, seeds = _of(noise_of(study), trial)
    return {
        "trial": trial.number,
        "fid_best": trial.fid_best,
        EVALUATION: _plain(evaluation),
        SEED: _plain(seeds),
        "least_difference": noise_of(study).least_difference(seeds.kimg),
    }


def _of(noise: Noise, trial: TrialRecord) -> tuple[Spread, Spread]:
    return noise.spread(EVALUATION, trial.number, trial.kimg_best or 0), noise.spread(SEED, trial.number, trial.kimg)


def _plain(spread: Spread) -> dict[str, Any]:
    values = {"fids": list(spread.fids), "mean": spread.mean, "deviation": spread.deviation}
    return {"kimg": spread.kimg, **values, "diverged": spread.diverged}


def _row(what: str, spread: Spread) -> list[str | Text]:
    if not spread.fids:
        return [what, "0", "", "", "", ""]
    low, high = min(spread.fids), max(spread.fids)
    deviation = "" if spread.deviation is None else f"{spread.deviation:.3g}"
    return [what, str(len(spread.fids)), number(spread.mean), deviation, number(low), number(high)]


def _meaning(study: StudyRecord, trial: TrialRecord, seeds: Spread, folder: StudyFolder) -> list[str]:
    lines = []
    if seeds.diverged:
        runs = seeds.diverged + len(seeds.fids)
        lines.append(f"{seeds.diverged} of {runs} retrainings diverged; mean and sd are of those that did not")
    own = trial.fid_best
    if seeds.fids and own is not None and own < min(seeds.fids):
        lines.append("the study's own run is below all fresh seeds: chosen as good, it was also lucky; expect the mean")
    if seeds.fids and own is not None and own > max(seeds.fids):
        lines.append("the study's own run is above all fresh seeds: it was unlucky; expect the mean")
    noise = noise_of(study)
    pooled = noise.seed(seeds.kimg)
    if pooled is None:
        return lines
    lines.append(
        f"two trials at {seeds.kimg} kimg are tied if their FIDs differ by at most {_least(noise, seeds.kimg)}"
    )
    if pooled.degrees < _FEW:
        more = typed("noise", folder.name, "--trial", str(trial.number), "--seeds", "5", folder=folder)
        lines.append(
            f"few seeds make that large: {factor(pooled.degrees):.1f} sd now, {factor(_FEW):.1f} with 5 seeds: {more}"
        )
    return lines


def _least(noise: Noise, kimg: int) -> str:
    """The least difference and where it comes from, e.g. `2.62 = 4.30 x sqrt(2) x 0.431 (...)`."""
    pooled, least = noise.seed(kimg), noise.least_difference(kimg)
    assert pooled is not None
    assert least is not None
    t = student_t(LEVEL, pooled.degrees)
    return (
        f"{least:.3g} = {t:.2f} x sqrt(2) x {pooled.deviation:.3g} "
        f"(Fisher's least significant difference at {LEVEL:.0%}, "
        f"Student's t with {pooled.degrees} degree{'s' * (pooled.degrees > 1)} of freedom)"
    )


def _deviation(pooled: Pooled, over: str) -> str:
    trials = f"trial{'s' * (len(pooled.trials) > 1)} {', '.join(map(str, pooled.trials))}"
    return f"{pooled.deviation:.3g} over {over} ({pooled.values} values, {trials})"


def _count(spreads: Sequence[Spread]) -> int:
    return sum(len(spread.fids) + spread.diverged for spread in spreads)


def _diverged(spreads: Sequence[Spread]) -> int:
    return sum(spread.diverged for spread in spreads)
