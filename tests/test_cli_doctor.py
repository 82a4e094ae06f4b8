"""`ganstudy doctor`: what it finds on this machine, and what it says of one that is not well."""

import base64
import http.server
import io
import json
import os
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from study.cli import app
from study.doctor import clock as doctor_clock
from study.doctor import disk as doctor_disk
from study.doctor import doctor
from study.doctor import machine as doctor_machine
from study.doctor.base import Finding, Level, Patient, size
from study.doctor.mlflow_store import check_mlflow
from study.doctor.ray import check_ray
from study.doctor.versions import check_versions
from trainables.data import SOURCES
from trainables.errors import InvalidInput


@pytest.fixture
def patient(tmp_path: Path) -> Callable[..., Patient]:
    def made(**changes: Any) -> Patient:
        return Patient(**{"storage": tmp_path / "runs", "address": None, "mlflow": None, "quick": True} | changes)

    return made


def levels(findings: Iterator[Finding]) -> dict[str, Level]:
    return {finding.what: finding.level for finding in findings}


def test_a_quick_look_at_this_machine(tmp_path: Path) -> None:
    narrow = Console(width=60, file=io.StringIO())
    assert doctor.examine(doctor.Examine(tmp_path / "runs", quick=True), narrow)
    plain = narrow.file.getvalue()  # type: ignore[attr-defined]
    assert "ready to launch" in plain
    assert max(map(len, plain.splitlines())) <= 60
    arguments = ["doctor", "--quick", "--storage", str(tmp_path / "runs")]
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    assert found["ok"] is True
    assert {one["check"] for one in found["findings"]} == set(doctor.CHECKS)
    assert {f"data {name}" for name in SOURCES} <= {one["what"] for one in found["findings"]}
    assert list(tmp_path.iterdir()) == []


def test_what_fails_is_exit_code_1_and_says_what_to_do(tmp_path: Path) -> None:
    arguments = ["doctor", "--quick", "--storage", "/proc/runs", "--mlflow", "http://127.0.0.1:9", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    failed = [one for one in json.loads(result.output)["findings"] if one["level"] == "fail"]
    assert [one["what"] for one in failed] == ["storage", "mlflow"]
    assert "choose another folder" in failed[0]["value"]
    assert "mlflow server" in failed[1]["advice"]


def test_a_check_that_breaks_does_not_break_the_doctor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(patient: Patient) -> Iterator[Finding]:
        raise OSError("no such device")

    monkeypatch.setitem(doctor.CHECKS, "devices", broken)
    result = CliRunner().invoke(app, ["doctor", "--quick", "--storage", str(tmp_path)])
    assert result.exit_code == 1
    assert "OSError: no such device" in result.output


def test_a_library_that_is_too_old(patient: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.doctor.versions.requires", lambda name: ["torch>=999", "ray[tune]>=2.0"])
    found = {one.what: one for one in check_versions(patient())}
    assert found["torch"].level == Level.FAIL
    assert found["torch"].advice == "pip install 'torch>=999'"
    assert found["ray"].level == Level.OK


def test_little_room_and_a_disk_that_does_not_write(patient: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(doctor_disk, "_LITTLE_ROOM", 1e30)
    monkeypatch.setattr("os.fsync", refuse)
    assert levels(doctor_disk.check_disk(patient())) == {
        "storage": Level.OK,
        "disk": Level.WARN,
        "fsync": Level.FAIL,
    }


def test_a_clock_of_the_past(patient: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_clock, "_installed", lambda: 4e9)  # in the year 2096
    assert levels(doctor_clock.check_clock(patient())) == {"clock": Level.FAIL}


def test_more_threads_than_cores(patient: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "10000")
    assert levels(doctor_machine.check_cores(patient()))["threads"] == Level.WARN


def test_a_cluster_that_is_not_there(patient: Any) -> None:
    (found,) = check_ray(patient(address="127.0.0.1:9", quick=False))
    assert found.level == Level.FAIL
    assert "no Ray at 127.0.0.1:9" in found.value


class Server(http.server.BaseHTTPRequestHandler):
    """Answers as an MLflow server does, with a clock that is an hour ahead."""

    ahead = 0.0

    def do_GET(self) -> None:
        self.send_response_only(200)
        self.send_header("Date", formatdate(time.time() + self.ahead, usegmt=True))
        self.end_headers()
        self.wfile.write(b"3.17.2")

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.mark.parametrize(("ahead", "level"), [(0.0, Level.OK), (3600.0, Level.WARN), (-3600.0, Level.WARN)])
def test_a_server_and_its_clock(patient: Any, ahead: float, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "ahead", ahead)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = levels(check_mlflow(patient(mlflow=f"http://127.0.0.1:{server.server_port}")))
        server.shutdown()
    assert found == {"mlflow": Level.OK, "mlflow clock": level}


@pytest.mark.parametrize(
    ("uri", "level"),
    [
        (None, Level.OK),
        ("ftp://nowhere", Level.FAIL),
        ("sqlite:////nowhere/at/all.db", Level.FAIL),
        ("http://127.0.0.1:9", Level.FAIL),
    ],
)
def test_stores(patient: Any, uri: str | None, level: Level) -> None:
    assert levels(check_mlflow(patient(mlflow=uri))) == {"mlflow": level}


def test_a_password_is_not_shown(patient: Any) -> None:
    (found,) = check_mlflow(patient(mlflow="http://me:hunter2@127.0.0.1:9"))
    assert "hunter2" not in str(found)


def test_user_and_password_of_a_server_go_as_basic_authorisation(patient: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str | None, str | None]] = []

    def answer(self: Server) -> None:
        seen.append((self.headers.get("Authorization"), self.headers.get("Host")))
        Server.do_GET(self)

    handler = type("Guarded", (Server,), {"do_GET": answer})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"127.0.0.1:{server.server_port}"
        found = list(check_mlflow(patient(mlflow=f"http://me:hunter%402@{place}")))
        server.shutdown()
    assert {one.level for one in found} == {Level.OK}
    assert "hunter" not in str(found)
    assert seen == [("Basic " + base64.b64encode(b"me:hunter@2").decode(), place)]


@pytest.mark.parametrize("place", ["127.0.0.1", "127.0.0.1:9", "[::1]:9", "127.0.0.1:port"])
def test_a_password_is_not_shown_with_or_without_a_port(place: str, tmp_path: Path) -> None:
    arguments = ["doctor", "--quick", "--json", "--storage", str(tmp_path)]
    shown = CliRunner().invoke(app, [*arguments, "--mlflow", f"http://me:hunter2@{place}"])
    assert shown.exit_code == 1
    (found,) = [one for one in json.loads(shown.output)["findings"] if one["check"] == "mlflow"]
    assert found["level"] == "fail"
    assert "hunter2" not in shown.output
    assert "nonnumeric" not in shown.output


def test_a_server_that_speaks_no_http_is_a_finding(patient: Any) -> None:
    class Chatter(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(b"SSH-2.0 http://me:hunter2@host\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Chatter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (found,) = check_mlflow(patient(mlflow=f"http://127.0.0.1:{server.server_address[1]}"))
        server.shutdown()
    assert found.level == Level.FAIL
    assert "SSH-2.0 http://***@host" in found.value


def test_sizes() -> None:
    assert [size(n) for n in (5, 1500, 2_500_000, 3.21e9, 4e12)] == ["5 bytes", "1.5 kB", "2.5 MB", "3.2 GB", "4.0 TB"]


@pytest.mark.slow
def test_ray_is_started_and_runs_a_task(tmp_path: Path) -> None:
    """In a process of its own: Ray reads its settings once, when it is imported."""
    command = [sys.executable, "-m", "study.cli", "doctor", "--storage", str(tmp_path), "--json"]
    answer = subprocess.run(command, capture_output=True, text=True)
    found = {one["what"]: one for one in json.loads(answer.stdout)["findings"]}
    assert found["ray"]["level"] == "ok"
    assert "a task came back" in found["ray"]["value"]


def test_a_study_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--quick", "--study", "nowhere", "--storage", str(tmp_path)])
    assert isinstance(result.exception, InvalidInput)
    assert "no study 'nowhere'" in str(result.exception)
