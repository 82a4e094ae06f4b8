"""A small study that was really trained, on the digits, without Ray: checkpoints, ledger and all."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from study.folder import StudyFolder
from study.ledger.events import AttemptStarted, Ended, Event, Reported, StudyOpened, TrialProposed
from study.ledger.ledger import Ledger
from study.mlflow.data import DATA, data_facts
from study.study_file.config import StudyConfig
from trainables.evaluation.prepare import prepare
from trainables.gan.config import TrialConfig
from trainables.threads import fixed_threads
from trainables.trial import Trial
from trainables.validation import validated

EVALUATION = {"count": 300}
PLAIN: dict[str, Any] = {
    "data": {"name": "digits"},
    "model": {"name": "mlp", "width": 24},
    "latent": {"name": "normal", "dimension": 8},
    "batch_size": 64,
    "ema_kimg": 1,
    "seed": 5,
    "evaluation": EVALUATION,
}
"""A trial of a few thousand weights."""


def trained_study(
    root: Path, trials: Sequence[Mapping[str, Any]], kimg: int = 2, name: str = "tiny", data_known: bool = False
) -> StudyFolder:
    """Train each configuration for `kimg`, with a report each, and write the study's ledger.

    `data_known`: the ledger knows what was trained on, as `launch` writes it.
    """
    folder = StudyFolder(root, name)
    resolved = {
        "name": name,
        "seed": 1,
        "data": {"name": "digits"},
        "space": {"base": "quick"},
        "trials": max(1, len(trials)),
        "schedule": {"grace_kimg": 1, "max_kimg": kimg},
        "evaluation": EVALUATION,
        "storage": {"path": str(root)},
    }
    config = validated(StudyConfig, resolved, "study")
    prepared = prepare(config.data, config.evaluation)
    scale = prepared.fid_floor, prepared.fid_ceiling
    versions = {DATA: data_facts(prepared)} if data_known else {}
    events: list[Event] = [StudyOpened("uid", config.to_dict(), prepared.fingerprint, *scale, versions)]
    folder.path.mkdir(parents=True)
    for number, plain in enumerate(trials):
        trial = TrialConfig.from_dict(dict(plain))
        events += [TrialProposed(number, trial.to_dict(), {}, "sampler", {}), AttemptStarted(number, 1)]
        with fixed_threads(1):
            running = Trial(trial, prepared, folder.trial(number))
            events += [Reported(number, k, 1, running.next_report(1)) for k in range(1, kimg + 1)]
        events.append(Ended(number, 1, kimg, "completed", None, None))
    folder.study_file.write_text(yaml.safe_dump(config.to_dict()))
    with Ledger.open(folder.ledger, schema=name, create=True) as ledger, ledger.own("host", 1) as writer:
        writer.append(*events)
    return folder
