"""Private names of Ray and Tune, all that are used. Where Ray has moved one, a launch is slower and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from study.private_names import found, owner

NAMES = {
    "ray._private.node:Node.start_api_server": "a local Ray starts a second later",
    "ray._private.services:start_ray_process": "Ray's processes outlive a driver that is killed by a minute",
    "ray._private.services:ConsolePopen": "a signal to all of a driver's group or job reaches Ray's servers too",
    "ray.tune.execution.class_cache:DEFAULT_ENV_VARS": "a first trial starts 2 s later",
    "ray.tune.execution.class_cache:ENV_VARS_TO_PROPAGATE": "the driver's cloud keys get into Ray's logs",
    "ray.air._internal.usage:tag_callbacks": "a first trial starts 2 to 4 s later",
    "ray.air.execution:PlacementGroupResourceManager.__del__": "a run whose Ray has died may hang at its end",
}
"""What happens without each."""

API_SERVER, START_PROCESS, SERVER, _DEFAULTS, _PROPAGATED, _TAG_CALLBACKS, _MANAGERS_END = NAMES


@contextmanager
def replaced(name: str, by: Any) -> Iterator[None]:
    """Have `by` in the place of a name while the block runs, if Ray has the name."""
    holder, last = owner(name)
    whole = getattr(holder, last, None)
    if whole is None:
        yield
        return
    setattr(holder, last, by)
    try:
        yield
    finally:
        setattr(holder, last, whole)


def adapt_tune() -> None:
    """Keep Tune from two things that a first trial would wait for, and from one that may hang.

    It gives workers variables of their own, so Ray lets those lie that it has started and starts others (2 s). None is
    needed: a worker here has the driver's environment, and on other nodes no trial asks for any; least of all for the
    driver's cloud keys, which Ray would log for all to read: the driver alone talks to MLflow's store.

    And it imports MLflow and other loggers (2 to 4 s), to count for its makers how many of its callbacks are of these.

    Its placement groups end with the driver. When what holds them is collected as garbage, in whatever thread, it asks
    Ray to remove them, and a dead Ray never answers.
    """
    for name in (_DEFAULTS, _PROPAGATED):
        variables = found(name)
        if isinstance(variables, dict | set):
            variables.clear()
    for name in (_TAG_CALLBACKS, _MANAGERS_END):
        holder, last = owner(name)
        if hasattr(holder, last):
            setattr(holder, last, lambda *args, **options: False)
