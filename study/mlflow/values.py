"""Values of the ledger in the form that MLflow stores: within its limits, without credentials."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from study.mlflow.sections import placed
from trainables.display import printable, redacted
from trainables.nested import flatten as leaves

MAX_KEY = 250
MAX_PARAM = 6000
MAX_TAG = 8000
METRICS_PER_CALL = 800  # of 1000 values of all kinds
PARAMS_PER_CALL = 90

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_\-. :/]")


def milliseconds(seconds: float) -> int:
    """Return a Unix time in whole milliseconds, as MLflow wants it."""
    return round(seconds * 1000)


def cut(text: str, limit: int) -> str:
    """Return `text` without credentials, with control characters escaped, cut to `limit` characters."""
    text = printable(redacted(text), keep="\n")
    return text if len(text) <= limit else text[: limit - 3] + "..."


def key(name: str) -> str:
    """Return `name` as MLflow accepts it for a metric, parameter or tag."""
    return _FORBIDDEN.sub("_", name)[:MAX_KEY]


def flatten(config: Mapping[str, Any]) -> dict[str, str]:
    """Return `config` with dotted names; everything but strings is written as JSON, floats with 6 digits.

    Six are easy to read in MLflow's tables; the ledger and its exports have all digits.

    >>> flatten({"loss": "hinge", "generator_optimiser": {"lr": 0.0002, "betas": [0.5, 0.9]}})
    {'loss': 'hinge', 'generator_optimiser.lr': '0.0002', 'generator_optimiser.betas': '[0.5, 0.9]'}
    """
    return {key(name): cut(_text(value), MAX_PARAM) for name, value in leaves(config).items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(float(f"{value:.6g}") if isinstance(value, float) else value)


def finite(metrics: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Yield the metrics that MLflow can hold, by their names there: it would store NaN as 0 and infinity as 1.8e308."""
    for name, value in metrics.items():
        if math.isfinite(value):
            yield key(placed(name)), float(value)
