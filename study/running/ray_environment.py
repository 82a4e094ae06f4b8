"""The environment variables that Ray reads when it is imported: whoever starts a driver sets them first."""

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
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a report without an FID fails its trial, not the whole study
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours: finish cleanly and say how to go on
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's own snapshots are never read
    "TUNE_WARN_THRESHOLD_S": "10",
}
_LOCAL = {
    # Ray's switch against firewall prompts on laptops. With 0 all its servers bind to 127.0.0.1; by default they listen
    # on every interface, and `_node_ip_address="127.0.0.1"` is turned back into the host's own address.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
}
_JOINED = {"RAY_gcs_server_port_wait_time_s": "1"}  # tries to join, each a warning of Ray's library; default 20
_TOKEN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_ADDRESS = "RAY_ADDRESS"
_MODES = ("token", "disabled", "k8s")
_FOLDERS = ("RAY_TMPDIR", "TMPDIR") if sys.platform == "linux" else ("RAY_TMPDIR",)
_SOCKET = "/ray/session_2026-01-02_03-04-05_678901_1234567/sockets/plasma_store"
_SOCKET_MOST = 107 if sys.platform == "linux" else 103  # bytes of a socket's path
_DASHBOARD = "the address of Ray's dashboard, for `ray job submit`; give the GCS's"
_OTHERS = {
    "ray": "an address of Ray Client, through which no study runs; give the GCS's",
    "http": _DASHBOARD,
    "https": _DASHBOARD,
}


def cluster_address(given: str | None) -> str | None:
    """Return the address of the cluster to use, None for a local Ray.

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
    """Return a note that the environment gave the address, or "" if it did not."""
    return f" (from {_ADDRESS})" if address and address == os.environ.get(_ADDRESS) else ""


def prepare_ray_environment(local: bool) -> None:
    """Set Ray's variables unless the user has. Call before anything imports ray.

    Args:
        local: whether our own Ray will be started, which nobody else should reach.

    Raises:
        InvalidInput: if what the user has set cannot be used.
    """
    for name, value in (_ALWAYS | (_LOCAL if local else _JOINED)).items():
        os.environ.setdefault(name, value)
    _check_authentication()
    if local:
        _choose_folder()
    if local and not any(os.environ.get(name) for name in _TOKEN):
        # One for each Ray. By default Ray writes one to ~/.ray/auth_token, which every user can read.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _check_authentication() -> None:
    """Refuse an unknown mode, with which Ray would turn authentication off, and a token file without a token."""
    mode = os.environ.get("RAY_AUTH_MODE", "disabled")
    if mode.lower() not in _MODES:
        raise InvalidInput(f"RAY_AUTH_MODE {quoted(mode)}: use one of {', '.join(_MODES)}, or unset it")
    file = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if not file or os.environ.get("RAY_AUTH_TOKEN") or mode.lower() == "disabled":
        return
    try:
        problem = "" if Path(file).read_bytes().strip() else "is empty"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    if problem:
        raise InvalidInput(f"RAY_AUTH_TOKEN_PATH {file}: {problem}; name the file of Ray's token, or unset it")


def _choose_folder() -> None:
    """Give Ray an absolute folder for its sockets and logs.

    Raises:
        InvalidInput: if Ray cannot use it, naming the variable that chose it.
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
