"""The steps of a trial: run eagerly, or on a GPU captured once as a CUDA graph and replayed.

On a GPU a step of these networks is hundreds of short operations, and the time goes into launching them; a graph is
launched as one. What is captured is an ordinary function over tensors that stay where they are: all that differs from
step to step is set before it, the seeds in generators registered with the graph, rates and the weight of the moving
average in scalars on the device. Called again instead of replayed (`StaticSteps`), it does the same on a CPU, where
it is tested.

Steps of a trial differ in more than numbers where G moves in some only (n_critic) and where a penalty is lazy: each
kind has a graph of its own. A step in which the host must read from the device (a controller at the end of its window)
is never captured. The numbers drawn are those of an eager step, to the last bit: a replay takes a generator's
seed as it is then. Rates are rounded to float32 on the device, and the average adds up in another order.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from trainables.errors import GanStudyError, reason_of
from trainables.gan.config import TrialConfig
from trainables.gan.ema import Ema
from trainables.gan.step import StepKind, Stepper

EAGER, STATIC, CAPTURED = "eager", "static", "captured"


class Steps:
    """Eager steps, each operation launched by itself; the moving average follows G."""

    captured: ClassVar[bool] = False
    """Whether the stepper must read its rates from the device."""

    def __init__(
        self, config: TrialConfig, stepper: Stepper, generator: nn.Module, ema: Ema | None, sums: Tensor
    ) -> None:
        """Take steps of `stepper`, which add to `sums` in place."""
        self._config, self._stepper, self._generator, self._ema, self._sums = config, stepper, generator, ema, sums
        self._weight: float | Tensor = 0.0

    def take(self, step: int) -> bool:
        """Take step number `step` of D, from 0, and one of G if it is due; tell whether G moved."""
        self._stepper.dial(step)
        if moves := self._stepper.moves_generator(step):
            self._dial_average(step)
        self._run(step)
        return moves

    def forget(self) -> None:
        """Forget where tensors are: an optimiser's state was replaced."""

    def _dial_average(self, step: int) -> None:
        if self._ema:
            size = self._config.batch_size
            self._set_weight(self._ema.weight((step + 1) * size, self._config.n_critic * size))

    def _set_weight(self, weight: float) -> None:
        self._weight = weight

    def _run(self, step: int) -> None:
        self._work(step)

    def _work(self, step: int) -> None:
        self._stepper.work(step, self._sums)
        if self._ema and self._stepper.moves_generator(step):
            self._ema.follow(self._generator, self._weight)


class StaticSteps(Steps):
    """Steps of a few kinds, each captured after a few eager steps of its kind, and replayed from then on.

    The eager ones warm up what torch makes at the first call (optimisers' moments, handles, workspaces). They are
    steps of the trial like any other, so nothing has to be undone.

    To capture a step here is to keep its number, and to replay it is to do the same work again under that old number:
    all that a graph does, on any device.
    """

    captured = True
    WARM_UPS = 3

    def __init__(
        self, config: TrialConfig, stepper: Stepper, generator: nn.Module, ema: Ema | None, sums: Tensor
    ) -> None:
        super().__init__(config, stepper, generator, ema, sums)
        self._weight: Tensor = torch.zeros((), device=sums.device)
        self.forget()

    def forget(self) -> None:
        """Capture anew."""
        self._replays: dict[StepKind, Callable[[], None]] = {}
        self._taken: Counter[StepKind] = Counter()

    def _set_weight(self, weight: float) -> None:
        self._weight.fill_(weight)

    def _run(self, step: int) -> None:
        kind = self._stepper.kind(step)
        if kind is None or self._taken[kind] < self.WARM_UPS:
            self._run_eagerly(step)
        else:
            if kind not in self._replays:
                self._replays[kind] = self._capture(step)
            self._replays[kind]()
        if kind is not None:
            self._taken[kind] += 1

    def _run_eagerly(self, step: int) -> None:
        self._work(step)

    def _capture(self, step: int) -> Callable[[], None]:
        """Return a function that does the work of steps of this one's kind; do nothing yet."""
        return partial(self._work, step)


class CapturedSteps(StaticSteps):
    """CUDA graphs."""

    def __init__(
        self, config: TrialConfig, stepper: Stepper, generator: nn.Module, ema: Ema | None, sums: Tensor
    ) -> None:
        self._beside = torch.cuda.Stream(sums.device)  # type: ignore[no-untyped-call]
        super().__init__(config, stepper, generator, ema, sums)

    def forget(self) -> None:
        """Release the graphs and their memory, once the device is done with them."""
        torch.cuda.synchronize(self._sums.device)
        super().forget()
        # One pool for all: nothing in it outlives a step (each makes new gradients), and no two run at once.
        self._pool = torch.cuda.graph_pool_handle()

    def _run_eagerly(self, step: int) -> None:
        """Run on the stream that graphs are captured on, since autograd and cuBLAS keep state by stream."""
        here = torch.cuda.current_stream(self._sums.device)
        self._beside.wait_stream(here)
        with torch.cuda.stream(self._beside):
            self._work(step)
        here.wait_stream(self._beside)

    def _capture(self, step: int) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        for generator in self._stepper.generators:
            graph.register_generator_state(generator)
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._beside):
                self._work(step)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise GanStudyError(
                f"a training step cannot be captured as a CUDA graph: {reason_of(error, most=200)}; "
                "set resources.cuda_graphs to false"
            ) from error
        return graph.replay


STEPS: dict[str, type[Steps]] = {EAGER: Steps, STATIC: StaticSteps, CAPTURED: CapturedSteps}


def reason_not_captured(config: TrialConfig, device: str | torch.device, processes: int = 1) -> str | None:
    """Return why steps of a trial cannot be CUDA graphs, in a few words; None if they can."""
    if (kind := torch.device(device).type) != "cuda":
        return f"device {kind}: CUDA graphs need a GPU"
    if processes > 1:
        return f"{processes} processes: what they send each other cannot be captured"
    if config.rate_control.reads(0):
        return f"rate_control {config.rate_control.name!r}: the host reads from the device at every step"
    return None


def steps_for(config: TrialConfig, device: str | torch.device, cuda_graphs: bool, processes: int = 1) -> str:
    """Return the row of `STEPS` for a trial: graphs if requested and possible."""
    possible = reason_not_captured(config, device, processes) is None
    return CAPTURED if cuda_graphs and possible else EAGER
