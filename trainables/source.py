"""The code that a process would run: hashes of its packages' source files, their folders, and versions.

Only the standard library is used here, since a driver sends this module to its workers by value: they may have
another version of this package installed, or none.
"""

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Sequence
from pathlib import Path

Code = dict[str, dict[str, str]]
"""`files`: SHA-256 of each by its name; `folders`: each package's folder; `versions` of distributions. What is
missing has no entry."""


def read_code(packages: Sequence[str], distributions: Sequence[str] = ()) -> Code:
    """Return what this process would import as `packages`, and the versions it has installed; imports nothing."""
    files, folders, versions = {}, {}, {}
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is None:
            continue
        for folder in map(Path, spec.submodule_search_locations or ()):
            folders[package] = str(folder.resolve())
            for file in folder.rglob("*.py"):
                name = file.relative_to(folder).as_posix()
                files[f"{package}/{name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
        if spec.submodule_search_locations is None:  # a single file instead of a package
            folders[package] = str(Path(spec.origin or "").resolve())
    for name in distributions:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"files": files, "folders": folders, "versions": versions}


def digest(code: Code, package: str) -> str:
    """Return one hash of all files of a package and their names."""
    files = sorted((name, hashed) for name, hashed in code["files"].items() if name.startswith(f"{package}/"))
    return hashlib.sha256(repr(files).encode()).hexdigest()
