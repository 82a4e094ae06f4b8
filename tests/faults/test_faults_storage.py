"""What goes wrong where a study is kept: a full disk, a ledger's server that goes away."""

import os
import pwd
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_studies import PATIENCE, STUDY, Record, Struck, check_promises, one_line_error, results, wait_until

from study.ledger.ledger import Ledger
from study.ledger.records import StudyRecord
from trainables.errors import GanStudyError

pytestmark = pytest.mark.slow

BEFORE_THE_GATE = 4  # reports: all of trial 0 and the first of trial 1 (see `Struck.closed`)


def fill(folder: Path) -> Path:
    """Leave no byte free; return the file that has them."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2
    return ballast


@pytest.mark.parametrize("place", ["checkpoints", "ledger"])
def test_a_full_disk(
    study: Struck, whole: StudyRecord, small_disk: Callable[[Path], None], record: Record, place: str
) -> None:
    folder = {"checkpoints": study.path / "trials", "ledger": study.path}[place]
    small_disk(folder)
    if place == "ledger":
        small_disk(study.path / "trials")
    driver = study.start(faults=[study.closed()])
    study.wait_for(BEFORE_THE_GATE, driver)
    ballast = fill(folder)
    study.open()
    assert driver.wait() == 1, driver.output
    message = one_line_error(driver.output)
    assert ("free space, then launch again" if place == "checkpoints" else "is full") in message
    acknowledged = results(study.study())
    ballast.unlink()
    struck_at = time.monotonic()
    again = study.start()
    assert again.wait() == 0, again.output
    found = check_promises(study)
    assert results(found) == results(whole)
    for before, after in zip(acknowledged, results(found), strict=False):
        assert before[-1].items() <= after[-1].items(), "what was acknowledged is lost"
    record(
        f"disk full under the {place}",
        "one line, exit 1; goes on once there is space",
        "results equal the uninterrupted run's",
        time.monotonic() - struck_at,
    )


def test_a_ledger_whose_server_goes_away_and_comes_back(study: Struck, whole: StudyRecord, record: Record) -> None:
    postgresql = pytest.importorskip("postgresql")
    binaries = postgresql.find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not on this machine (Debian: apt-get install postgresql)")
    with postgresql.running_server(binaries) as server:
        study.changes["storage"] = {"path": str(study.runs), "ledger": server.url}

        def reports() -> int:
            try:
                with Ledger.open(server.url, schema=STUDY["name"], create=False) as ledger:
                    return sum(row.event.kind == "reported" for row in ledger.read())
            except GanStudyError:  # it is not there yet
                return 0

        def pg_ctl(*words: str) -> None:
            nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
            subprocess.run(
                [binaries / "pg_ctl", "-D", server.socket / "data", "-l", server.socket / "log", "-w", *words],
                cwd=server.socket,
                user=nobody and nobody.pw_uid,
                group=nobody and nobody.pw_gid,
                extra_groups=[] if nobody else None,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=True,
                timeout=PATIENCE,
            )

        driver = study.start(faults=[study.closed()])
        wait_until(lambda: reports() >= BEFORE_THE_GATE or driver.process.poll() is not None, "reports")
        assert driver.process.poll() is None, driver.output
        pg_ctl("-m", "immediate", "stop")
        study.open()
        struck_at = time.monotonic()
        try:
            assert driver.wait() == 1, driver.output
            seconds = time.monotonic() - struck_at
            assert "ledger postgresql" in one_line_error(driver.output)
            refused = study.start()
            assert refused.wait() == 1, refused.output
            assert "ledger postgresql" in one_line_error(refused.output)
        finally:
            options = f"-c listen_addresses=127.0.0.1 -c port={server.port} -c unix_socket_directories={server.socket}"
            pg_ctl("-o", options, "start")
        again = study.start()
        assert again.wait() == 0, again.output
        assert results(check_promises(study)) == results(whole)
    observed = "one line, exit 1, results equal"
    record("PostgreSQL ledger: server killed and back", "one line, exit 1, resume exact", observed, seconds)
