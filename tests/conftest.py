"""For all tests: processes that they start can be ended by Ctrl-C, and none leaves its environment to the next."""

import os
import signal
from collections.abc import Iterator
from unittest import mock

import pytest

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # so a shell starts what runs in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # so nohup starts what it runs
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before any test imports ONNX Runtime


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """A command run in this process sets Ray's variables for good; a Ray of a later test would trip over them."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture(autouse=True)
def process_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command run in this process leaves it alone: other tests' Ray, or threads, are no business of its end."""
    monkeypatch.setattr("study.terminal.errors.held_up", lambda: False)
