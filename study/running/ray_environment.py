"""What Ray reads from the environment when it is imported; so it is set before, by whoever starts a driver."""

import os
import secrets
import sys
from pathlib import Path

from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.files import check_writable

_ALWAYS = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's future default; silences its warning
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's own banner ignores verbose=0
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # how soon the end of a training is seen; by default after 2 s
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the ledger records; Tune's result files would only take time
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial whose report lacks the FID fails, and not the whole study
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours: finish cleanly and say how to go on
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's own snapshots are never read
    "TUNE_WARN_THRESHOLD_S": "10",
}
_LOCAL = {
    # Ray's switch against firewall questions on laptops. Off, all its servers bind to 127.0.0.1; by default they
    # listen on every interface, and `_node_ip_address="127.0.0.1"` is turned back into the host's own address.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
}
_JOINED = {"RAY_gcs_server_port_wait_time_s": "1"}  # tries to join; of 20 each is a warning of its library
_TOKEN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_ADDRESS = "RAY_ADDRESS"
_MODES = ("token", "disabled", "k8s")
_FOLDERS = ("RAY_TMPDIR", "TMPDIR") if sys.platform == "linux" else ("RAY_TMPDIR",)
_SOCKET = "/ray/session_2026-01-02_03-04-05_678901_1234567/sockets/plasma_store"
_SOCKET_MOST = 107 if sys.platform == "linux" else 103  # bytes of a socket's path
_OTHERS = {
    "ray": "an address of Ray Client, through which no study runs; give the GCS's",
    "http": "the address of Ray's dashboard, for `ray job submit`; give the GCS's",
    "https": "the address of Ray's dashboard, for `ray job submit`; give the GCS's",
}


def cluster_address(given: str | None) -> str | None:
    """Return the address of the cluster to use, None for a Ray of our own.

    Raises:
        InvalidInput: unless it is `auto`, `local` or `HOST:PORT`.
    """
    if given == "auto":
        given = os.environ.get(_ADDRESS) or given  # so Ray itself takes `auto`
    if not given or given == "local":
        return None
    name = _ADDRESS if where_from(given) else "--address"
    instead = f"unset {_ADDRESS}" if where_from(given) else "leave it out"
    scheme, strange, _ = given.partition("://")
    if strange:
        what = _OTHERS.get(scheme, "not an address of Ray; give the GCS's")
        raise InvalidInput(f"{name} {quoted(given)}: {what} HOST:PORT (6379 by default), or {instead} for a local Ray")
    host, colon, port = given.rpartition(":")
    if given != "auto" and not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise InvalidInput(f"{name} {quoted(given)}: use auto, HOST:PORT, or {instead} for a local Ray")
    return given


def where_from(address: str | None) -> str:
    """Say of an address that the environment gave it, if so."""
    return f" (from {_ADDRESS})" if address and address == os.environ.get(_ADDRESS) else ""


def prepare_ray_environment(local: bool) -> None:
    """Set Ray's variables where the user has not. Call before anything imports ray.

    Args:
        local: whether a Ray of our own will be started, which nobody else should reach.

    Raises:
        InvalidInput: if what the user has set cannot be used.
    """
    for name, value in (_ALWAYS | (_LOCAL if local else _JOINED)).items():
        os.environ.setdefault(name, value)
    _check_authentication()
    if local:
        _choose_folder()
    if local and not any(os.environ.get(name) for name in _TOKEN):
        # One for each Ray of our own. Left to itself Ray writes one to ~/.ray/auth_token, which every user can read.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _check_authentication() -> None:
    """Refuse a mode that Ray does not know, which would turn authentication off, and a token's file without a token."""
    mode = os.environ.get("RAY_AUTH_MODE", "disabled")
    if mode.lower() not in _MODES:
        raise InvalidInput(f"RAY_AUTH_MODE {quoted(mode)}: use one of {', '.join(_MODES)}, or unset it")
    file = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if not file or os.environ.get("RAY_AUTH_TOKEN") or mode.lower() == "disabled":
        return
    try:
        there = bool(Path(file).read_bytes().strip())
        problem = "is empty"
    except OSError as error:
        there, problem = False, f"cannot be read: {error.strerror}"
    if not there:
        raise InvalidInput(f"RAY_AUTH_TOKEN_PATH {file}: {problem}; name the file of Ray's token, or unset it")


def _choose_folder() -> None:
    """Have Ray use an absolute folder for its sockets and logs.

    Raises:
        InvalidInput: if it cannot, naming the variable that says so.
    """
    name = next((name for name in _FOLDERS if os.environ.get(name)), None)
    folder = Path(os.environ[name] if name else "/tmp").absolute()
    what, remedy = name or "Ray's folder", "set RAY_TMPDIR to a short path of another folder, such as /tmp"
    if (most := _SOCKET_MOST - len(_SOCKET)) < (size := len(os.fsencode(folder))):
        raise InvalidInput(
            f"{what} {folder}: its {size} bytes are too long for Ray's sockets, {most} at most; {remedy}"
        )
    check_writable(folder / "ray", what, remedy)
    os.environ["RAY_TMPDIR"] = str(folder)
