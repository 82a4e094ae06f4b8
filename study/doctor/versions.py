"""Doctor: the versions that a study's numbers and its resuming depend on."""

import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from study.doctor.base import Finding, Patient, fail, ok

_SHOWN = ("torch", "torchvision", "ray", "optuna", "mlflow", "pydantic", "SQLAlchemy", "numpy")
_OLDEST_PYTHON = (3, 11)


def check_versions(patient: Patient) -> Iterator[Finding]:
    """Python, ganstudy, and the libraries it stands on, held against what it requires."""
    del patient
    python = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info < _OLDEST_PYTHON:
        yield fail("python", python, "install Python 3.11 or newer")
    else:
        yield ok("python", python)
    yield ok("ganstudy", version("ganstudy"))
    wanted = {_plain(r.name): r for r in map(Requirement, requires("ganstudy") or ()) if r.marker is None}
    for name in _SHOWN:
        yield _library(name, wanted.get(_plain(name)))


def _library(name: str, wanted: Requirement | None) -> Finding:
    try:
        found = version(name)
    except PackageNotFoundError:
        return fail(name, "not installed", f"pip install '{wanted or name}'")
    if wanted and not wanted.specifier.contains(found, prereleases=True):
        return fail(name, f"{found}, needs {wanted.specifier}", f"pip install '{wanted}'")
    return ok(name, found)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
