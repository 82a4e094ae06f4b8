"""The raylet's guard, with a program in the raylet's stead: whatever that starts ends with it, or with the driver."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from study.running import raylet_guard

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guard is for Linux")

GUARD = [sys.executable, "-I", "-S", raylet_guard.__file__]
# Starts a process in a session of its own, of a parent that ends at once, and says all pids.
RAYLET = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[1] == "deaf" else signal.SIG_DFL)
ours, theirs = os.pipe()
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(theirs, str(os.getpid()).encode())
    time.sleep(1e6)
print(os.getpid(), os.read(ours, 20).decode(), flush=True)
if sys.argv[1].isdecimal():
    sys.exit(int(sys.argv[1]))
time.sleep(1e6)
"""
# As Ray does, it ends the raylet by SIGTERM to what it started: when told so by SIGUSR1.
DRIVER = """
import signal, subprocess, sys
signal.signal(signal.SIGUSR1, lambda *_: guard.terminate())
guard = subprocess.Popen(sys.argv[1:])
sys.exit(guard.wait())
"""


class Family:
    """A driver, its guard, a raylet and what that started, which has left its parent, session and group."""

    def __init__(self, how: str) -> None:
        line = [sys.executable, "-c", DRIVER, *GUARD, sys.executable, "-c", RAYLET, how]
        self.driver = subprocess.Popen(line, stdout=subprocess.PIPE)
        assert self.driver.stdout is not None
        self.raylet, self.orphan = map(int, self.driver.stdout.readline().split())
        self.guard = next(iter(psutil.Process(self.driver.pid).children()), None)
        self.all: list[psutil.Process] = []
        for pid in (self.raylet, self.orphan):
            with suppress(psutil.NoSuchProcess):  # it has ended already
                self.all.append(psutil.Process(pid))

    def gone(self) -> bool:
        return not psutil.wait_procs(self.all, timeout=30)[1]

    def clean(self) -> None:
        for process in self.all:
            if process.is_running():
                process.kill()
        self.driver.kill()
        self.driver.wait()


@pytest.fixture
def family(request: pytest.FixtureRequest) -> Iterator[Family]:
    family = Family(request.param)
    yield family
    family.clean()


@pytest.mark.parametrize("family", ["lasting", "deaf"], indirect=True)
def test_all_end_with_the_driver(family: Family) -> None:
    family.driver.kill()
    assert family.gone()


@pytest.mark.parametrize("family", ["lasting"], indirect=True)
def test_all_end_with_the_raylet(family: Family) -> None:
    psutil.Process(family.raylet).kill()
    assert family.driver.wait(30) == -signal.SIGKILL % 256
    assert family.gone()


@pytest.mark.parametrize("family", ["lasting", "deaf"], indirect=True)
def test_all_end_when_ray_asks_the_raylet_to(family: Family) -> None:
    family.driver.send_signal(signal.SIGUSR1)
    family.driver.wait(30)
    assert family.gone()


@pytest.mark.parametrize("family", ["lasting"], indirect=True)
def test_a_sigterm_of_others_is_for_the_driver(family: Family) -> None:
    assert family.guard is not None
    family.guard.terminate()
    assert len(psutil.wait_procs([family.guard, *family.all], timeout=1)[1]) == 3


@pytest.mark.parametrize("family", ["7"], indirect=True)
def test_the_raylets_exit_code_is_the_guards(family: Family) -> None:
    assert family.driver.wait(30) == 7
    assert family.gone()


def test_it_needs_nothing_but_the_standard_library() -> None:
    text = Path(raylet_guard.__file__).read_text()
    assert not [x for x in text.splitlines() if x.startswith(("from study", "from trainables", "import ray"))]
