"""MLflow's settings: short timeouts, little logging, no telemetry. What the user has set wins."""

import logging
import os

ENVIRONMENT = {
    # MLflow would repeat a create call whose answer was lost, and so make a second run; the projection looks first.
    # With MLflow's defaults a dead server holds each call for 246 s.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # of a whole exchange, see exchange.py
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def prepare_environment() -> None:
    """Set `ENVIRONMENT` unless the user has, and turn off chatter. Call before MLflow is imported anywhere."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # It logs an error of its database with a traceback, and raises it as well: we print it in one line.
    logging.getLogger("mlflow.store").setLevel(logging.CRITICAL)
