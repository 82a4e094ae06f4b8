"""Why a run is to end before its trainings do."""

from collections.abc import Callable
from typing import Any

from study.exit_codes import Interrupted
from trainables.errors import GanStudyError


class Halt:
    """Ends the whole run: because it was asked to, or because the ledger could not be written.

    Tune takes an exception in a scheduler for a fault of the trial; it is kept here instead and raised after the run.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.by_signal = False
        self.error: Exception | None = None
        self._cut_short = False
        self.lost: str | None = None

    @property
    def asked(self) -> bool:
        """Whether the run is to end."""
        return bool(self.error or self.lost or self.reason)

    @property
    def at_once(self) -> bool:
        """Whether it is to end without a word to Ray, which is dead or may be dying: a signal is often for it, too."""
        return bool(self.by_signal or self.lost)

    def ask(self, reason: str, by_signal: bool = False) -> None:
        """End the run soon; the first reason counts, and a signal more than others."""
        if self.reason is None or by_signal > self.by_signal:
            self.reason, self.by_signal = reason, by_signal

    def lose(self, what: str) -> None:
        """End the run because something it needs is gone; the first counts."""
        self.lost = self.lost or what

    def check(self) -> None:
        """Raise what went wrong. What is lost when a signal asks for the end was to end as well, and is no error.

        Raises:
            Exception: of the ledger, or one that says what is lost.
        """
        if self.error:
            raise self.error
        if self.lost and not self.by_signal:
            raise GanStudyError(self.lost)

    def guard(self, work: Callable[[], Any], otherwise: Any = None) -> Any:
        """Do `work`; if it fails, keep the error, end the run and return `otherwise`.

        If it was only given up because the run is to end, that is no error; but nothing more is done then, for what
        follows from what was not written is not to be written either.
        """
        if self.error or self._cut_short:
            return otherwise
        try:
            return work()
        except Interrupted:
            self._cut_short = True
            return otherwise
        except Exception as error:
            self.error = error
            return otherwise
