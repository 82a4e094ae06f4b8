"""What Ray reads from the environment when it is imported; so it is set before, by whoever starts a driver."""

import os
import secrets

from trainables.errors import InvalidInput

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
_TOKEN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def cluster_address(given: str | None) -> str | None:
    """Return the address of the cluster to use, None for a Ray of our own.

    Raises:
        InvalidInput: unless it is `auto`, `local` or `HOST:PORT`.
    """
    if not given or given == "local":
        return None
    host, colon, port = given.rpartition(":")
    if given != "auto" and not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise InvalidInput(f"--address {given!r}: use auto, HOST:PORT, or leave it out for a local Ray")
    return given


def prepare_ray_environment(local: bool) -> None:
    """Set Ray's variables where the user has not. Call before anything imports ray.

    Args:
        local: whether a Ray of our own will be started, which nobody else should reach.
    """
    for name, value in (_ALWAYS | (_LOCAL if local else {})).items():
        os.environ.setdefault(name, value)
    if local and not any(name in os.environ for name in _TOKEN):
        # One for each Ray of our own. Left to itself Ray writes one to ~/.ray/auth_token, which every user can read.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
