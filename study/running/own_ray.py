"""Changes to how Ray starts its servers, for a local Ray of our own."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from study.exit_codes import ENDING_SIGNALS
from study.private_names import found
from study.running import raylet_guard
from study.running.ray_internals import API_SERVER, SERVER, START_PROCESS, replaced

_GUARD = (sys.executable, "-I", "-S", str(Path(raylet_guard.__file__)))
_GUARDED = sys.platform == "linux"
_Server: Any = found(SERVER) or object


class _OutOfReach(_Server):  # type: ignore[misc]
    """A Ray server that the driver's signals do not reach.

    A SIGTERM to a whole process group (`timeout`) or job (systemd, Slurm), or a closed terminal, would end the servers
    under a driver that is still ending cleanly; and Ray's library silently ends a driver whose raylet is gone. Ray
    itself blocks Ctrl-C in them.
    """

    def __init__(self, command: list[str], preexec_fn: Callable[[], None], **options: Any) -> None:
        def prepare() -> None:
            preexec_fn()
            if _GUARDED:
                signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)

        super().__init__(command, preexec_fn=prepare, start_new_session=True, **options)

    def terminate(self) -> None:
        """End the server; the guard takes the driver's SIGTERM."""
        if _GUARDED and self.args[: len(_GUARD)] != [*_GUARD]:
            self.kill()
        else:
            super().terminate()


@contextmanager
def own_ray() -> Iterator[None]:
    """Start Ray without its dashboard's server, its other servers out of reach of signals, and its raylet guarded.

    Ray starts that server even without a dashboard, and waits a second for it. Signals and the guard: only on Linux.
    """
    start = found(START_PROCESS)

    def start_guarded(command: list[str], kind: str, **options: Any) -> Any:
        guarded = kind == "raylet" and _GUARDED
        return start([*_GUARD, *command] if guarded else command, kind, **options)

    with (
        replaced(API_SERVER, lambda node, **options: None),
        replaced(START_PROCESS, start_guarded),
        replaced(SERVER, _OutOfReach),
    ):
        yield
