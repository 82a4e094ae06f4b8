"""A trial's configuration as a file: what production training and `run-trial` start from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field

from study.analysis.confirmation import conclude, confirmed
from study.analysis.ranking import rank
from study.analysis.rung_facts import schedule_of
from study.ledger.records import StudyRecord, TrialRecord
from study.yaml_file import read_yaml
from trainables.errors import InvalidInput
from trainables.files import write_named
from trainables.paths import with_paths_of
from trainables.validation import validated

_HEAD = """\
# A GAN configuration found by ganstudy. `trial` is all that decides the training; `origin` tells where it was found.
# Repeat it:  ganstudy run-trial {file} --kimg {kimg}
"""


class Origin(BaseModel, frozen=True, extra="allow"):
    """Where a configuration was found, as far as it is needed to repeat it; other keys are for people."""

    study: str | None = None
    study_uid: str | None = None
    trial: int | None = None
    fid_best: float | None = None
    kimg_best: int | None = None
    fid_fingerprint: str | None = None
    fids: dict[int, float] = {}
    full_count_at: tuple[int, ...] | None = None
    report_kimg: int | None = Field(default=None, ge=1)
    threads: int = Field(default=1, ge=1, le=4096)
    versions: dict[str, Any] = {}


@dataclass(frozen=True)
class Exported:
    """A file of `export`'s: the trial's configuration, still to be validated, and its origin if it has one."""

    trial: dict[str, Any]
    origin: Origin | None


def threads_per_trial(config: Mapping[str, Any]) -> int:
    """Return the torch threads of one trial of a resolved study: its whole CPUs, at least 1.

    On a CPU the last bits of a trial depend on this number.
    """
    cpus = config["resources"]["cpus"]
    return 1 if cpus == "auto" else max(1, int(cpus))


def winner(study: StudyRecord) -> TrialRecord | None:
    """The trial that is exported by default: the confirmed one, else the first of the ranking, if there is any."""
    if found := confirmed(study):
        return found.trial
    ranked = rank(study.trials, top=1)
    return ranked[0].trial if ranked else None


def export(study: StudyRecord, trial: TrialRecord, file: Path) -> None:
    """Write what `exported` returns to a file that a user names.

    Raises:
        GanStudyError: if it cannot be written.
    """
    write_named(file, exported(study, trial, file.name))


def exported(study: StudyRecord, trial: TrialRecord, name: str) -> bytes:
    """Return the configuration of `trial` with its origin, and how it was confirmed if it was, as a file `name`.

    Its data is where the study had it last.
    """
    fewer = study.config.get("evaluation", {}).get("rung_count") is not None  # images at the other budgets
    full_count_at = {"full_count_at": list(study.full_count_at)} if fewer else {}
    origin = {
        "study": study.config["name"],
        "study_uid": study.uid,
        "trial": trial.number,
        "state": str(trial.state),
        "proposed_by": trial.origin,
        "fid_best": trial.fid_best,
        "kimg_best": trial.kimg_best,
        "fid_fingerprint": study.fingerprint,
        "fids": dict(trial.curve),
        **full_count_at,
        "report_kimg": schedule_of(study.config).report_every,
        "threads": threads_per_trial(study.config),
        "versions": dict(study.versions),
    }
    if confirmation := _confirmation(study, trial):
        origin["confirmation"] = confirmation
    text = _HEAD.format(file=name, kimg=trial.kimg)
    text += yaml.safe_dump({"trial": with_paths_of(trial.config, study.config), "origin": origin}, sort_keys=False)
    return text.encode()


def _confirmation(study: StudyRecord, trial: TrialRecord) -> dict[str, Any] | None:
    """What a complete confirmation of the study as it stands says of a trial."""
    evaluated = conclude(study)
    found = next((c for c in evaluated.configurations if c.trial.number == trial.number), None) if evaluated else None
    if evaluated is None or evaluated.winner is None or found is None or found.mean is None:
        return None
    return {
        "best": found is evaluated.winner,
        "ahead_of_second": evaluated.paired.ahead if evaluated.paired and found is evaluated.winner else None,
        "test_fid_mean": found.mean,
        "test_fid_deviation": found.deviation,
        "test_fid_interval": None if found.interval is None else list(found.interval),
        "test_fid_fingerprint": evaluated.plan.test_fingerprint,
        "seeds": len(found.tests),
        "seeds_lost": found.lost,
        "kimg": evaluated.plan.budget,
        "selection_bias": found.bias,
    }


def read_export(file: Path) -> Exported:
    """Read what `export` made, or a bare trial configuration without origin.

    Raises:
        InvalidInput: if it is neither.
    """
    data = read_yaml(file)
    if "trial" not in data:
        return Exported(data, None)
    unknown = set(data) - {"trial", "origin"}
    if unknown or not isinstance(data["trial"], dict) or not isinstance(data.get("origin", {}), dict):
        raise InvalidInput(f"{file}: expected the keys `trial` and `origin`, each with keys under it")
    origin = validated(Origin, data["origin"], f"{file}: origin") if "origin" in data else None
    return Exported(data["trial"], origin)
