"""The losses of Lucic et al. 2018 side by side at one budget: `python benchmarks/losses.py`.

Each loss is a study of its own (benchmarks/losses.yaml): the same number of random draws from the narrow ranges, all
trained to the end. A run that was cut off goes on. The table goes to docs/losses.md, the numbers beside it as JSON.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from measuring import launch_command
from scipy.stats import spearmanr

from study.ledger.catalogue import find_study, load_study
from study.ledger.records import StudyRecord, TrialState

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "benchmarks" / "losses.yaml"

# Best FID (Inception) on Fashion-MNIST over 100 draws: Lucic et al. 2018, table of "Are GANs Created Equal?".
PUBLISHED: dict[str, float | None] = {
    "mm": 29.6,
    "ns": 26.5,
    "lsgan": 30.7,
    "wgan": 21.5,
    "wgan_gp": 24.5,
    "dragan": 27.7,
    "hinge": None,
}


@dataclass(frozen=True)
class Outcome:
    """What one loss came to; FIDs are each trial's best, of the trials that did not diverge."""

    loss: str
    fids: tuple[float, ...]
    trials: int
    diverged: int
    collapsed: int
    published: float | None

    @property
    def best(self) -> float:
        """The lowest FID of any trial."""
        return min(self.fids, default=float("inf"))

    @property
    def median(self) -> float:
        """The median of the trials' best FIDs, a diverged one counting as infinite."""
        return statistics.median([*self.fids, *[float("inf")] * self.diverged])


def run(loss: str, storage: Path, settings: Sequence[str]) -> StudyRecord:
    """Launch (or go on with) the study of one loss and return what it found."""
    name = f"losses-{loss.replace('_', '-')}"
    changes = [f"name={name}", f"space.fix.gan={loss}", *settings]
    subprocess.run(launch_command(STUDY, storage, changes), check=True)
    return load_study(find_study(name, storage))


def outcome(loss: str, study: StudyRecord) -> Outcome:
    """Count and rank the trials of one study."""
    ended = [trial for trial in study.trials if trial.state in (TrialState.COMPLETED, TrialState.DIVERGED)]
    if len(ended) != len(study.trials):
        raise SystemExit(f"{loss}: {len(study.trials) - len(ended)} trials failed; see ganstudy status")
    completed = [trial for trial in ended if trial.state == TrialState.COMPLETED]
    return Outcome(
        loss=loss,
        fids=tuple(sorted(trial.fid_best for trial in completed if trial.fid_best is not None)),
        trials=len(ended),
        diverged=len(ended) - len(completed),
        collapsed=sum(trial.reports[-1].metrics.get("collapsed") == 1.0 for trial in completed),
        published=PUBLISHED[loss],
    )


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """The Markdown table, the best loss first."""
    published = sorted(o.published for o in outcomes if o.published is not None)
    lines = [
        "| loss | best FID | median FID | worst FID | trials | diverged | collapsed | published best | rank there |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for o in sorted(outcomes, key=lambda o: o.best):
        there = "" if o.published is None else f"{o.published:.1f}"
        rank = "" if o.published is None else str(1 + published.index(o.published))
        worst = max(o.fids, default=float("inf"))
        lines.append(
            f"| {o.loss} | {o.best:.1f} | {o.median:.1f} | {worst:.1f} | {o.trials} | {o.diverged} | {o.collapsed} | "
            f"{there} | {rank} |"
        )
    return lines


def agreement(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """Spearman's rank correlation of our best, and of our median FIDs, with the published ones."""
    both = [(o, o.published) for o in outcomes if o.published is not None]
    there = [published for _, published in both]
    best = spearmanr([o.best for o, _ in both], there).statistic
    median = spearmanr([o.median for o, _ in both], there).statistic
    return float(best), float(median)


def main() -> None:
    """Run every loss, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", type=Path, default=Path("runs"), help="where the studies lie")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "losses.md")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a change of the study file")
    arguments = parser.parse_args()
    began = time.monotonic()
    studies = {loss: run(loss, arguments.storage, arguments.set) for loss in PUBLISHED}
    outcomes = [outcome(loss, study) for loss, study in studies.items()]
    minutes = (time.monotonic() - began) / 60
    first = next(iter(studies.values()))
    best, median = agreement(outcomes)
    schedule, evaluation = first.config["schedule"], first.config["evaluation"]
    settings = yaml.safe_load(STUDY.read_text())["space"]["fix"]
    lines = [
        "# The losses of Lucic et al. 2018 at one budget",
        "",
        f"Made by `python benchmarks/losses.py` in {minutes:.0f} minutes on {os.cpu_count()} cores "
        f"({platform.machine()}, torch {version('torch')}): {outcomes[0].trials} random draws of each loss from "
        f"`lucic_narrow` ({', '.join(f'{key} {value}' for key, value in settings.items())}), each trained for "
        f"{schedule['max_kimg']} kimg of Fashion-MNIST. FID of {evaluation['count']} images by the data set's "
        f"classifier, each trial's best of its reports every {schedule['report_kimg']} kimg; floor "
        f"{first.fid_floor:.2f}, ceiling {first.fid_ceiling:.0f}.",
        "The median counts a diverged trial as infinite. Published: best Inception FID on Fashion-MNIST; only the "
        "order can be compared.",
        "",
        *table(outcomes),
        "",
        f"Spearman's rank correlation with the published order: {best:.2f} for the best, {median:.2f} for the median "
        "FIDs (six losses: below 0.83 it is not significant at 5 %).",
        "",
    ]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    old = arguments.out.read_text() if arguments.out.exists() else ""
    _, marker, remarks = old.partition("## What differs\n")
    arguments.out.write_text("\n".join(lines) + ("\n" + marker + remarks if marker else ""))
    numbers: dict[str, Any] = {"minutes": minutes, "spearman_best": best, "spearman_median": median}
    numbers |= {"schedule": schedule, "losses": [asdict(o) | {"median": o.median} for o in outcomes]}
    arguments.out.with_suffix(".json").write_text(json.dumps(numbers, indent=1) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
