"""Doctor: which data sets are on this machine, and the weights of the networks that an FID is taken with."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from study.doctor.base import Finding, Patient, fail, ok
from trainables.data import SOURCES
from trainables.errors import CorruptFile


def check_data(patient: Patient) -> Iterator[Finding]:
    """Every source of the registry: where it lies, without bringing it."""
    del patient
    for name, source in SOURCES.items():
        published = source.published()
        what = f"data {name}"
        if published is None:
            needs = [key for key, field in source.model_fields.items() if field.is_required()]
            yield ok(what, f"yours: name its {' and '.join(needs)}" if needs else "comes with a library")
        elif found := published.at_hand():
            yield ok(what, str(_common(found.values())))
        else:
            install = f"apt-get install {published.package}, or " if published.package else ""
            yield ok(what, "not on this machine", f"{install}its first use downloads it where there is internet")


def check_weights(patient: Patient) -> Iterator[Finding]:
    """The shipped classifier, by its digest, and Inception's file, by its presence."""
    del patient
    from trainables.evaluation.extractors import read_shipped
    from trainables.evaluation.extractors_inception import URL, cached_path

    try:
        _, accuracy = read_shipped()
        yield ok("classifier weights", f"shipped, digest as pinned, {accuracy:.2%} test accuracy on Fashion-MNIST")
    except CorruptFile as error:
        yield fail("classifier weights", str(error), "")
    path = cached_path()
    if path.is_file():
        yield ok("inception weights", str(path))
    else:
        yield ok("inception weights", f"not at {path}", f"only for `extractor: {{name: inception}}`: fetch {URL}")


def _common(files: Iterable[Path]) -> Path:
    paths = list(files)
    return paths[0] if len(paths) == 1 else Path(os.path.commonpath(paths))
