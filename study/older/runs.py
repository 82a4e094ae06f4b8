"""A study's runs in MLflow that know of more than its ledger: found, and set aside."""

from typing import TYPE_CHECKING

from study.mlflow.experiment import runs_anywhere
from study.mlflow.runs import RUNNING
from study.mlflow.tags import STUDY, UID, known, row_of

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_NAME = "mlflow.runName"


def last_row(client: "MlflowClient", uid: str) -> int:
    """Return the last row of the study's ledger that MLflow has, 0 for none."""
    return max((row_of(run.data.tags) for run in runs_anywhere(client, uid)), default=0)


def set_runs_aside(client: "MlflowClient", uid: str, when: str) -> int:
    """Take the study's runs out of it: they stay, under a name that says so, and new ones can be made.

    Args:
        client: MLflow's.
        uid: the study's.
        when: told in the names, so that it can happen again.

    Returns:
        How many there were.
    """
    runs = runs_anywhere(client, uid)
    for run in runs:
        run_id, tags = run.info.run_id, run.data.tags
        deleted = run.info.lifecycle_stage == "deleted"
        if deleted:  # which MLflow lets nobody tag
            client.restore_run(run_id)
        if run.info.status == RUNNING:
            client.set_terminated(run_id, "KILLED")
        client.set_tag(run_id, STUDY, f"set-aside/{when}/{uid}", synchronous=True)
        client.set_tag(run_id, "ganstudy.state", "set aside", synchronous=True)
        client.set_tag(run_id, _NAME, f"{tags.get(_NAME, '')} (set aside {when})", synchronous=True)
        aside = f"set-aside/{when}/{known(tags, UID)}"
        client.set_tag(run_id, UID, aside, synchronous=True)  # the last: runs are found by it
        if deleted:
            client.delete_run(run_id)
    return len(runs)
