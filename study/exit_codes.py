"""Exit codes of the command line, all of them; the classes in `trainables.errors` carry theirs with them."""

import signal

from trainables.errors import GanStudyError, InvalidInput

DONE = 0
FAILED = GanStudyError.exit_code
USAGE = InvalidInput.exit_code
NO_COMPLETED_TRIAL = 3
INTERRUPTED = 130
OUTPUT_CLOSED = 141

EXIT_CODES: dict[int, str] = {
    DONE: "done",
    FAILED: "failed: the one line on standard error says at what, and what to do",
    USAGE: "wrong usage or input; nothing was begun",
    NO_COMPLETED_TRIAL: "the study ran, but no trial completed",
    INTERRUPTED: "interrupted by Ctrl-C, SIGTERM or SIGHUP; the same command again goes on where it was",
    OUTPUT_CLOSED: "whoever read the output has ended, as `head` does; so SIGPIPE ends other programs",
}
"""What each means; the README's table is a copy that a test compares."""


class Interrupted(GanStudyError):
    """Ctrl-C, SIGTERM or SIGHUP, where nothing better can be said than that."""

    exit_code = INTERRUPTED


ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
"""What is taken as Ctrl-C is: to end from a script or a scheduler, and to close the terminal."""
