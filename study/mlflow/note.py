"""The description on a study's page in MLflow: what came out and what it cost, which MLflow does not show by itself."""

from collections.abc import Mapping

from study.analysis.confirmation import confirmed
from study.analysis.cost import cost, saved, wall_seconds
from study.analysis.ranking import rank
from study.analysis.rung_facts import schedule_of
from study.ledger.earlier import words as words_of_earlier
from study.ledger.records import StudyRecord, TrialRecord
from study.ledger.trial_resources import held_device, trial_resources
from study.report.words import words
from study.views.tables import counts_line, duration, number
from trainables.display import in_markdown

STANDS = {
    "running": "is running",
    "finished": "is finished",
    "interrupted": "was interrupted; the same `ganstudy launch` goes on where it was",
    "failed": "ended with an error; the same `ganstudy launch` goes on where it was",
}
"""What is said of a study in each state of its driver."""


def best_trial(study: StudyRecord) -> tuple[int, float] | None:
    """Return the number of the first trial of the ranking and its best FID."""
    first = next(iter(rank(study.trials, top=1)), None)
    return None if first is None else (first.trial.number, first.fid_best)


def study_note(study: StudyRecord, stands: str, best: str, picture: str, links: Mapping[str, str]) -> str:
    """Return the description in Markdown.

    Args:
        study: as far as it is told here.
        stands: a key of `STANDS`.
        best: the address of the best trial's run, empty if there is no best trial or no run.
        picture: that of its newest samples, empty if there are none.
        links: what to look at: addresses by what they are called.
    """
    end = schedule_of(study.config).max_kimg
    name = in_markdown(str(study.config["name"]))
    state = f"**{name}** {STANDS[stands]}. {counts_line(study)}. Each trains up to {end:,} kimg."
    if first := next(iter(rank(study.trials, top=1)), None):
        state += f" Best: {_named(first.trial.number, best)}, FID **{number(first.fid_best)}**."
    if picture:
        state = illustrated(state, picture)
    rows = {
        "Best": _best(study, best),
        "Confirmed": _confirmed(study),
        "Warm start": in_markdown(words_of_earlier(study.earlier)),
        "Spent": _spent(study),
        "Saved": _saved(study),
        "See": " · ".join(f"[{text}]({where})" for text, where in links.items()),
    }
    lines = [state, "", "| | |", "|:--|:--|", *(f"| **{name}** | {text} |" for name, text in rows.items() if text)]
    return "\n".join(lines)


def trial_note(trial: TrialRecord) -> str:
    """Return the description of one trial: its configuration in a few words, and who proposed it."""
    return f"{in_markdown(words(trial))}, proposed by {in_markdown(trial.origin)}"


def illustrated(note: str, picture: str) -> str:
    """Return a description with the picture at an address below its first words, which MLflow shows unfolded."""
    return f"{note}\n\n![newest samples]({picture})"


def _best(study: StudyRecord, address: str) -> str:
    first = next(iter(rank(study.trials, top=1)), None)
    if first is None:
        return "no trial can be ranked yet"
    trial = first.trial
    scale = f"floor {number(study.fid_floor)} (real images), ceiling {number(study.fid_ceiling)} (noise)"
    return (
        f"{_named(trial.number, address)}, FID **{number(first.fid_best)}** at {trial.kimg_best} of {trial.kimg} kimg: "
        f"{in_markdown(words(trial))}. Lower is better: {scale}"
    )


def _named(trial: int, address: str) -> str:
    return f"[trial {trial}]({address})" if address else f"trial {trial}"


def _confirmed(study: StudyRecord) -> str:
    if (found := confirmed(study)) is None:
        return ""
    what = f"trial {found.trial.number}, mean FID **{number(found.mean)}** on test images over {len(found.tests)} seeds"
    bias = "" if found.bias is None else f"; selection bias {found.bias:+.2f}"
    return f"{what}{bias}"


def _spent(study: StudyRecord) -> str:
    spent = cost(study.trials)
    device, amount = held_device(trial_resources(study.config, study.versions))
    times = "" if amount == 1 else f" ({amount:g} {device}s each)"
    return (
        f"{spent.kimg:,} kimg; {duration(spent.seconds)} of training and evaluation on a {device}, summed over "
        f"trials{times}; {duration(wall_seconds(study))} by the clock"
    )


def _saved(study: StudyRecord) -> str:
    won, spent = saved(study), cost(study.trials)
    if not won.kimg:
        return ""
    part = won.kimg / (won.kimg + spent.kimg)
    return (
        f"early stopping of {won.trials} trial{'s' * (won.trials != 1)} spared {won.kimg:,} kimg ({part:.0%}), "
        f"about {duration(won.seconds)} of training and evaluation"
    )
