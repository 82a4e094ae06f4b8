"""Fixtures of the study's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledgers import Backend
from postgresql import Server, find_binaries, running_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not on this machine (Debian: apt-get install postgresql)")
    with running_server(binaries) as server:
        yield server


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backend:
    folder: Path = tmp_path_factory.mktemp("ledgers")
    if request.param == "sqlite":
        return Backend(folder, None)
    server: Server = request.getfixturevalue("postgresql")
    return Backend(folder, server.url)
