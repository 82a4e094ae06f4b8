"""A trial's configuration as a file: what production training and `run-trial` start from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from study.records import StudyRecord, TrialRecord
from study.yaml_file import read_yaml
from trainables.errors import InvalidInput

_HEAD = """\
# A GAN configuration found by ganstudy. `trial` is all that decides the training; `origin` tells where it was found.
# Repeat it:  ganstudy run-trial {file} --kimg {kimg}
"""


@dataclass(frozen=True)
class Exported:
    """A file written by `export`: the trial's configuration, still to be validated, and its origin."""

    trial: dict[str, Any]
    origin: dict[str, Any]


def threads_per_trial(config: Mapping[str, Any]) -> int:
    """Return the torch threads of one trial of a resolved study: its whole CPUs, at least 1.

    On a CPU the last bits of a trial depend on this number.
    """
    cpus = config["resources"]["cpus"]
    return 1 if cpus == "auto" else max(1, int(cpus))


def export(study: StudyRecord, trial: TrialRecord, file: Path) -> None:
    """Write the configuration of `trial` with its origin to `file`.

    Raises:
        InvalidInput: if `file` cannot be written.
    """
    schedule = study.config["schedule"]
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
        "report_kimg": schedule["report_kimg"] or schedule["grace_kimg"],
        "threads": threads_per_trial(study.config),
        "versions": dict(study.versions),
    }
    text = _HEAD.format(file=file.name, kimg=trial.kimg)
    text += yaml.safe_dump({"trial": trial.config, "origin": origin}, sort_keys=False)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.part")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be written: {error.strerror}") from None


def read_export(file: Path) -> Exported:
    """Read what `export` wrote, or a bare trial configuration without origin.

    Raises:
        InvalidInput: if it is neither.
    """
    data = read_yaml(file)
    if "trial" not in data:
        return Exported(data, {})
    unknown = set(data) - {"trial", "origin"}
    if unknown or not isinstance(data["trial"], dict) or not isinstance(data.get("origin", {}), dict):
        raise InvalidInput(f"{file}: expected the keys `trial` and `origin`, each with keys below it")
    return Exported(data["trial"], data.get("origin", {}))
