"""Errors of every kind that Ray raises while it starts or is joined, in one line that says what to do."""

import resource
from collections.abc import Iterator

import ray
from ray._private import ray_constants

from study.running.ray_environment import where_from
from trainables.errors import GanStudyError, reason_of

_ADDRESSES = 4 << 30  # bytes of address space that a driver takes besides Ray's objects
_MOST = 300  # characters of what Ray says
_TOKEN = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the token of its nodes"
_FOLDER = "set RAY_TMPDIR to a short path of a folder that can be written to"
_ADVICE = {
    "InvalidAuthToken": f"it asks for a token, and got none or another; {_TOKEN}",
    "uthentication": _TOKEN,
    "AF_UNIX": _FOLDER,
    "directory": _FOLDER,
    "Permission denied": _FOLDER,
    "No space left": "make room there, or set RAY_TMPDIR to another folder",
    "ersion mismatch": "install the cluster's versions of Ray and Python here, or these there",
}
"""What Ray says -> what to do; the first that fits."""
_JOINED = "check `ray status`, or leave --address out for a local Ray"
_STARTED = "see ray/session_latest/logs in /tmp or $RAY_TMPDIR; try again where there is more memory, or less to do"
_LIMITS = {
    "v": (resource.RLIMIT_AS, 1 << 10, 32 << 30),
    "n": (resource.RLIMIT_NOFILE, 1, 4096),
    "f": (resource.RLIMIT_FSIZE, 1 << 10, 16 << 30),
    "u": (resource.RLIMIT_NPROC, 1, 1024),
}
"""Option of `ulimit` -> (limit, its unit, the least with which Ray starts for sure)."""


def ray_failed(address: str | None, error: BaseException) -> GanStudyError:
    """Return the error to raise.

    Args:
        address: of the cluster, None for our own Ray.
        error: what Ray raised.
    """
    reason = reason_of(error, most=_MOST).rstrip(".")
    said = " ".join(map(str, _chain(error)))  # its cause may say more
    known = next((advice for words, advice in _ADVICE.items() if words in said), None)
    if address:
        return GanStudyError(f"cannot join Ray at {address}{where_from(address)}: {reason}; {known or _JOINED}")
    if low := _low_limits():
        known = f"{known}; {low}" if known else low
    return GanStudyError(f"a local Ray does not start: {reason}; {known or _STARTED}")


def refuse_small_address_space() -> None:
    """Refuse a limit of memory (`ulimit -v`) that a local Ray would exceed, for Ray would end the process.

    Raises:
        GanStudyError: naming the limit, and what is enough.
    """
    share = ray_constants.DEFAULT_OBJECT_STORE_MEMORY_PROPORTION * ray._common.utils.get_system_memory()
    enough = min(share, ray_constants.DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES) + _ADDRESSES
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < enough:
        raise GanStudyError(
            f"a local Ray does not start: its processes share a part of this machine's memory, for which the limit "
            f"ulimit -v {limit >> 10} is too small; set {int(enough) >> 10} at least, or unlimited"
        )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _low_limits() -> str | None:
    """Name the limits of this process that may be why a local Ray does not start."""
    low = []
    for option, (number, unit, enough) in _LIMITS.items():
        limit, _ = resource.getrlimit(number)
        if limit != resource.RLIM_INFINITY and limit < enough:
            low.append(f"ulimit -{option} {limit // unit}")
    return f"raise the limit {' and '.join(low)}" if low else None
