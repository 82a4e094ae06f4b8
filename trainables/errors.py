"""Errors that are meant for people.

Each message says the value, the rule it broke and what to do next, in one line. The command line prints that
line and leaves with the error's exit code; it never shows a traceback for one of these. A value of the user's is
shown by `display.quoted`, which leaves secrets out.
"""

from trainables.display import one_line


def reason_of(error: BaseException, most: int | None = None) -> str:
    """The error's text as `display.one_line`; of an error without a text its class's name."""
    return one_line(str(error), most) or type(error).__name__


class GanStudyError(Exception):
    """Something went wrong that the user can understand and act on."""

    exit_code = 1


class InvalidInput(GanStudyError):
    """A value given by the user breaks a rule. Raised before any work starts."""

    exit_code = 2


class DataNotFound(InvalidInput):
    """A data set, or an extractor's weights, was not found."""


class CorruptFile(GanStudyError):
    """A file that should have been intact does not check."""


class CorruptInput(CorruptFile, InvalidInput):
    """A file that the user gave is damaged, or does not fit what it is given for. Raised before any work starts."""


class Diverged(GanStudyError):
    """A loss, gradient, weight or metric of a trial became non-finite."""


class OtherCode(GanStudyError):
    """A worker has other code than the driver."""
