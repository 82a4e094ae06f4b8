"""The description on a study's page in MLflow: what was studied, what came out, what it cost, where to look."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.analysis.confirmation import confirmed
from study.analysis.cost import cost, saved, wall_seconds
from study.analysis.images_judged import images_judged
from study.analysis.ranking import rank
from study.analysis.rung_facts import schedule_of
from study.ledger.earlier import words as words_of_earlier
from study.ledger.records import StudyRecord, TrialRecord
from study.ledger.trial_resources import held_device, trial_resources
from study.mlflow.data import DATA, SPLITS
from study.mlflow.store import redact
from study.mlflow.view import leaderboard_path, run_path
from study.report.charts import words
from study.views.tables import counts_line, duration, number

STANDS = {
    "running": "is running",
    "finished": "is finished",
    "interrupted": "was interrupted; the same `ganstudy launch` goes on where it was",
    "failed": "ended with an error; the same `ganstudy launch` goes on where it was",
}
"""What is said of a study in each state of its driver."""


@dataclass(frozen=True)
class Links:
    """Addresses on the same MLflow server, whatever its name is: of the leaderboard and of runs."""

    experiment_id: str
    parent_id: str
    view_saved: bool

    def leaderboard(self, uid: str) -> str:
        """Return the page of the study's trials."""
        return leaderboard_path(self.experiment_id, uid, self.view_saved)

    def run(self, run_id: str) -> str:
        """Return the page of a run."""
        return run_path(self.experiment_id, run_id)

    def file(self, name: str) -> str:
        """Return the page of a file of the study's run."""
        return run_path(self.experiment_id, f"{self.parent_id}/artifacts/{name}")


def best_trial(study: StudyRecord) -> tuple[int, float] | None:
    """Return the number of the first trial of the ranking and its best FID."""
    first = next(iter(rank(study.trials, top=1)), None)
    return None if first is None else (first.trial.number, first.fid_best)


def study_note(study: StudyRecord, stands: str, links: Links, best_run: str, files: Mapping[str, str]) -> str:
    """Return the description in Markdown.

    Args:
        study: as far as it is told here.
        stands: a key of `STANDS`.
        links: addresses of MLflow's pages.
        best_run: MLflow's id of the best trial's run, empty if there is no best trial or no run.
        files: what to call each file of the study's run that there is, by name.
    """
    lines = [f"**{study.config['name']}** {STANDS[stands]}. {_sentence(counts_line(study))}", ""]
    rows = {
        "Best": _best(study, links, best_run),
        "Confirmed": _confirmed(study),
        "Data": _data(study),
        "Space": _space(study.config),
        "Warm start": words_of_earlier(study.earlier),
        "Budget": _budget(study.config),
        "Spent": _spent(study),
        "Saved": _saved(study),
        "See": " · ".join(
            f"[{text}]({where})"
            for text, where in (
                ("the leaderboard", links.leaderboard(study.uid)),
                *((text, links.file(name)) for name, text in files.items()),
            )
        ),
    }
    lines += ["| | |", "|:--|:--|", *(f"| **{name}** | {text} |" for name, text in rows.items() if text)]
    return redact("\n".join(lines))


def trial_note(trial: TrialRecord) -> str:
    """Return the description of one trial: its configuration in a few words, and who proposed it."""
    return redact(f"{words(trial)}\n\nProposed by {trial.origin}")


def _sentence(text: str) -> str:
    return f"{text}."


def _best(study: StudyRecord, links: Links, best_run: str) -> str:
    first = next(iter(rank(study.trials, top=1)), None)
    if first is None:
        return "no trial can be ranked yet"
    trial = first.trial
    name = f"[trial {trial.number}]({links.run(best_run)})" if best_run else f"trial {trial.number}"
    scale = f"floor {number(study.fid_floor)} (real images), ceiling {number(study.fid_ceiling)} (noise)"
    return (
        f"{name}, FID **{number(first.fid_best)}** at {trial.kimg_best} of {trial.kimg} kimg: {words(trial)}. "
        f"Lower is better: {scale}"
    )


def _confirmed(study: StudyRecord) -> str:
    if (found := confirmed(study)) is None:
        return ""
    what = f"trial {found.trial.number}, mean FID **{number(found.mean)}** on test images over {len(found.tests)} seeds"
    bias = "" if found.bias is None else f"; selection bias {found.bias:+.2f}"
    return f"{what}{bias}"


def _data(study: StudyRecord) -> str:
    asked, facts = study.config.get("data", {}), study.versions.get(DATA, {})
    parts = [str(asked.get("name", "?"))]
    if shape := facts.get("shape"):
        parts.append(f"{' x '.join(map(str, shape[1:]))} pixels, {'grey' if shape[0] == 1 else 'colour'}")
    images = facts.get("images", {})
    parts += [f"{images[split]:,} {split}" for split in SPLITS if split in images]
    judged = study.config.get("evaluation", {})
    fid = [images_judged(study)] if "count" in judged else []
    fid += [f"against {judged['split']} images"] if "split" in judged else []
    return f"{', '.join(parts)}. FID of {' '.join(fid)}, fingerprint `{study.fingerprint}`"


def _space(config: Mapping[str, Any]) -> str:
    space, sampler = config.get("space", {}), config.get("sampler", {})
    changed = [name for key in ("narrow", "fix") for name in space.get(key, {})]
    parts = [f"`{space.get('base', '?')}`", *([f"with {', '.join(changed)} narrowed or fixed"] if changed else [])]
    sampled = f"{sampler.get('name', '?')} after {sampler.get('startup_trials', '?')} random trials"
    return f"{' '.join(parts)}; sampler {sampled}; seed {config.get('seed', 0)}"


def _budget(config: Mapping[str, Any]) -> str:
    schedule = schedule_of(config)
    rungs = ", ".join(map(str, schedule.rungs()))
    stop = f"; at {rungs} kimg about one in {schedule.reduction_factor} goes on" if rungs else "; none is stopped early"
    return (
        f"{config['trials']:,} trials of up to {schedule.max_kimg:,} kimg (thousands of real images shown to D){stop}"
    )


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
