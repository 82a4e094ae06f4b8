"""Private names of Ray and Tune, all that are used. Where Ray has moved one, a launch is slower and nothing else."""

import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

NAMES = {
    "ray._private.node:Node.start_api_server": "a local Ray starts a second later",
    "ray.tune.execution.class_cache:DEFAULT_ENV_VARS": "a first trial starts 2 s later",
    "ray.tune.execution.class_cache:ENV_VARS_TO_PROPAGATE": "the driver's cloud keys get into Ray's logs",
    "ray.air._internal.usage:tag_callbacks": "a first trial starts 2 to 4 s later",
}
"""What happens without each."""

_API_SERVER, _DEFAULTS, _PROPAGATED, _TAG_CALLBACKS = NAMES


@contextmanager
def without_api_server() -> Iterator[None]:
    """Keep Ray from starting the server of its dashboard, which it does without a dashboard too, and waits a second."""
    node, name = _owner(_API_SERVER)
    whole = getattr(node, name, None)
    if whole is None:
        yield
        return
    setattr(node, name, lambda self, *args, **options: None)
    try:
        yield
    finally:
        setattr(node, name, whole)


def have_tune_start_soon() -> None:
    """Keep Tune from two things that a first trial would wait for.

    It gives workers variables of their own, so Ray lets those lie that it has started and starts others (2 s). None is
    needed: a worker here has the driver's environment, and on other nodes no trial asks for any; least of all for the
    driver's cloud keys, which Ray would log for all to read: the driver alone talks to MLflow's store.

    And it imports MLflow and other loggers (2 to 4 s), to count for its makers how many of its callbacks are of these.
    """
    for name in (_DEFAULTS, _PROPAGATED):
        variables = _found(name)
        if isinstance(variables, dict | set):
            variables.clear()
    usage, tag_callbacks = _owner(_TAG_CALLBACKS)
    if hasattr(usage, tag_callbacks):
        setattr(usage, tag_callbacks, lambda *args, **options: False)


def _owner(name: str) -> tuple[Any, str]:
    """Return what holds a name, None if that is not there, and the name's last part."""
    module, _, path = name.partition(":")
    parent, _, last = path.rpartition(".")
    return _found(f"{module}:{parent}"), last


def _found(name: str) -> Any:
    with suppress(ImportError, AttributeError):
        return pkgutil.resolve_name(name)
    return None
