"""Doctor: the versions that a study's numbers and its resuming depend on."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from study.doctor.base import Finding, Patient, fail, ok

_SHOWN = ("torch", "torchvision", "ray", "optuna", "mlflow", "pydantic", "SQLAlchemy", "numpy")


def check_versions(_: Patient) -> Iterator[Finding]:
    """Python, ganstudy, and the libraries it stands on, held against what it requires."""
    yield ok("python", f"{platform.python_version()} ({sys.executable})")
    yield ok("ganstudy", version("ganstudy"))
    wanted = {canonicalize_name(r.name): r for r in map(Requirement, requires("ganstudy") or ()) if r.marker is None}
    for name in _SHOWN:
        yield _library(name, wanted.get(canonicalize_name(name)))


def _library(name: str, wanted: Requirement | None) -> Finding:
    try:
        found = version(name)
    except PackageNotFoundError:
        return fail(name, "not installed", f"pip install '{wanted or name}'")
    if wanted and not wanted.specifier.contains(found, prereleases=True):
        return fail(name, f"{found}, needs {wanted.specifier}", f"pip install '{wanted}'")
    return ok(name, found)
