"""Errors meant for people.

Each message gives the value, the rule it broke and what to do next, on one line. The command line prints that
line and exits with the error's code, without a traceback. A user's value is shown by `display.quoted`, which
leaves secrets out.
"""

from trainables.display import one_line


def reason_of(error: BaseException, most: int | None = None) -> str:
    """The error's text as `display.one_line`, or the name of its class if it has no text."""
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
    """A file that should be intact is damaged."""


class CorruptInput(CorruptFile, InvalidInput):
    """A file that the user gave is damaged, or does not fit its purpose. Raised before any work starts."""


class Diverged(GanStudyError):
    """A loss, gradient, weight or metric of a trial became non-finite."""


class OtherCode(GanStudyError):
    """A worker runs different code from the driver's."""
