"""What a Ray of our own does otherwise than Ray by itself while it starts."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import ray

from study.running import raylet_guard

_GUARD = (sys.executable, "-I", "-S", str(Path(raylet_guard.__file__)))


@contextmanager
def own_ray() -> Iterator[None]:
    """Change three things in how Ray starts its servers.

    It starts the server of its dashboard without a dashboard too, and waits a second for it. Its raylet is guarded, on
    Linux. And its servers would be in our process group: a SIGTERM to that (`timeout`), or a closed terminal, would end
    them under a driver that is still ending cleanly, and Ray's library ends the process of a driver whose raylet is
    gone, in silence.
    """
    services: Any = ray._private.services
    start = services.start_ray_process

    def start_guarded(command: list[str], kind: str, **options: Any) -> Any:
        guarded = kind == "raylet" and sys.platform == "linux"
        return start([*_GUARD, *command] if guarded else command, kind, **options)

    with (
        _replaced(ray._private.node.Node, "start_api_server", lambda node, **options: None),
        _replaced(services, "start_ray_process", start_guarded),
        _replaced(services, "ConsolePopen", partial(services.ConsolePopen, start_new_session=True)),
    ):
        yield


@contextmanager
def _replaced(owner: Any, name: str, by: Any) -> Iterator[None]:
    whole = getattr(owner, name)
    setattr(owner, name, by)
    try:
        yield
    finally:
        setattr(owner, name, whole)
