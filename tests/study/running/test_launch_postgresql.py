"""A whole study with its ledger on a PostgreSQL server, killed and resumed."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import command
from postgresql import Server

from study.ledger.ledger import Ledger

pytestmark = pytest.mark.slow


def test_a_study_on_postgresql_survives_its_driver(postgresql: Server, tmp_path: Path) -> None:
    study: dict[str, Any] = {
        "name": "on-a-server",
        "data": {"name": "digits"},
        "space": {"base": "quick", "fix": {"model.name": "mlp"}},
        "trials": 5,
        "schedule": {"grace_kimg": 2, "max_kimg": 18},
        "evaluation": {"count": 500},
        "storage": {"path": str(tmp_path / "runs"), "ledger": postgresql.url},
    }
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(study))
    driver = subprocess.Popen(command("launch", file), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for_rows(postgresql.url, 8, driver)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    done = subprocess.run(command("launch", file), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "runs/on-a-server/ledger.db").exists()
    shown = subprocess.run(
        command("status", "on-a-server", "--storage", tmp_path / "runs", "--json"),
        capture_output=True,
        text=True,
        check=True,
    )
    states = [trial["state"] for trial in json.loads(shown.stdout)]
    assert len(states) == 5
    assert set(states) <= {"completed", "stopped", "diverged"}


def wait_for_rows(url: str, count: int, driver: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 600
    while True:
        assert time.monotonic() < deadline
        assert driver.poll() is None, driver.communicate()
        try:
            with Ledger.open(url, schema="on-a-server", create=False) as ledger:
                if len(ledger.read()) >= count:
                    return
        except Exception:  # the schema is not there yet
            time.sleep(0.2)
        time.sleep(0.1)
