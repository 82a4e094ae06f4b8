"""What a confirmation comes to, at the study's run in MLflow: tags, metrics, and a table."""

import csv
import io

from study.analysis.confirmation import conclude
from study.ledger.records import StudyRecord
from study.mlflow.values import finite, milliseconds
from study.views.confirmation import plain_confirmation

TABLE = "confirmation.csv"

_COLUMNS = (
    *("trial", "study_fid", "study_kimg", "validation_mean", "selection_bias"),
    *("test_mean", "test_deviation", "test_low", "test_high", "completed", "lost"),
)


def summary(study: StudyRecord) -> dict[str, str]:
    """The study's tags; empty ones where nothing is decided."""
    evaluated = conclude(study)
    winner, paired = (evaluated.winner, evaluated.paired) if evaluated else (None, None)
    ahead = {None: "unknown", True: "yes", False: "no"}[paired.ahead if paired else None]
    return {
        "ganstudy.confirmed_trial": str(winner.trial.number) if winner else "",
        "ganstudy.confirmed_fid": f"{winner.mean:.6g}" if winner and winner.mean is not None else "",
        "ganstudy.confirmed_ahead": ahead if winner else "",
    }


def points(study: StudyRecord, at: float) -> list[tuple[str, float, int, int]]:
    """The study's metrics once all is decided, at the number of the plan; `at` is in unix seconds."""
    evaluated = conclude(study)
    if evaluated is None or evaluated.winner is None or evaluated.unfinished is not None:
        return []
    winner = evaluated.winner
    known = {
        "confirmed_test_fid": winner.mean,
        "confirmed_test_fid_sd": winner.deviation,
        "selection_bias": winner.bias,
        "confirmed_lead": evaluated.paired.mean if evaluated.paired else None,
    }
    given = {name: value for name, value in known.items() if value is not None}
    return [(name, value, milliseconds(at), evaluated.plan.number) for name, value in finite(given)]


def table(study: StudyRecord) -> str:
    """A row per configuration of the newest plan."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in plain_confirmation(study)["configurations"]:
        low, high = row["test_interval"] or (None, None)
        completed = sum(r["test"] is not None for r in row["retrainings"])
        writer.writerow(row | {"test_low": low, "test_high": high, "completed": completed})
    return text.getvalue()
