"""Whether a training's sums are still finite: checked often, without making a GPU wait for the host."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from trainables.errors import Diverged


class FiniteCheck:
    """Checks sums that are added to in place.

    On a CPU at once. A GPU is kept busy: the sums are copied after the work that it has been given, and checked when
    the next ones are noted or at the end, so that the host is always exactly one note behind, whatever the timing.
    """

    def __init__(self, sums: Tensor, names: Sequence[str]) -> None:
        self._sums, self._names = sums, names
        self._ahead = sums.device.type == "cuda"
        self._copy = torch.empty_like(sums, device="cpu", pin_memory=True) if self._ahead else sums
        self._copied: torch.cuda.Event | None = None
        self._kimg = 0

    def note(self, kimg: int) -> None:
        """Take the sums as they will be at `kimg`.

        Raises:
            Diverged: if they, or on a GPU those noted before, are not finite.
        """
        self.settle()
        self._kimg = kimg
        if self._ahead:
            self._copy.copy_(self._sums, non_blocking=True)
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record(torch.cuda.current_stream(self._sums.device))
        else:
            self._refuse()

    def settle(self) -> None:
        """Check what was noted last, if that has not been done; waits for the device."""
        if self._copied is not None:
            self._copied.synchronize()
            self._copied = None
            self._refuse()

    def _refuse(self) -> None:
        for name, value in zip(self._names, self._copy.tolist(), strict=True):
            if not math.isfinite(value):
                raise Diverged(f"{name} became non-finite by {self._kimg} kimg")
