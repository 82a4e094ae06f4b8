"""A lower bound of a training step: its convolutions and matrix products alone, forward and backward.

Nothing else is counted: no activation, normalisation, loss, optimiser, draw or copy. Counted are, for a step of D
and one of G:

- D on real and on generated images: forward; gradients of all weights; gradients of inputs from the second layer on;
- G forward for D's step (its images carry no gradient), and forward again for its own with fresh latents;
- D on G's new images: forward; gradients of inputs alone, down to the image;
- G backward: gradients of all weights, and of inputs from the second layer on.

Each is timed beforehand in both memory layouts, and where it scatters to an image as a matrix product with a fold
too, and the fastest is taken, in the type it is given, on the device where the networks are.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_LAYOUTS = (torch.contiguous_format, torch.channels_last)
_FEW = 4
Work = Callable[[], object]


@dataclass(frozen=True)
class _Layer:
    """A product with its three kinds of work."""

    forward: Work
    weight: Work
    input: Work
    both: Work


class Bound:
    """The bare products of one step of D and one of G; call it to do them once."""

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, latent: int, batch: int, dtype: torch.dtype
    ) -> None:
        self.batch = batch
        inputs = torch.randn(batch, latent, device=next(generator.parameters()).device)
        g = _layers(generator, inputs, dtype)
        with torch.no_grad():
            images = generator(inputs)
        d = _layers(discriminator, images, dtype)
        one_of_d = [layer.forward for layer in d] + [d[0].weight] + [layer.both for layer in d[1:]]
        through_d = [layer.forward for layer in d] + [layer.input for layer in d]
        forward_g = [layer.forward for layer in g]
        self._work = [*one_of_d, *one_of_d, *forward_g, *forward_g, *through_d, g[0].weight]
        self._work += [layer.both for layer in g[1:]]

    @torch.no_grad()
    def __call__(self) -> int:
        """Do it all once; return the images of a batch."""
        for work in self._work:
            work()
        return self.batch


def _layers(network: nn.Module, inputs: Tensor, dtype: torch.dtype) -> list[_Layer]:
    """The products of a network in the order they are done, for such inputs."""
    seen: list[tuple[nn.Module, torch.Size]] = []
    handles = [
        module.register_forward_hook(lambda module, given, made: seen.append((module, given[0].shape)))
        for module in network.modules()
        if isinstance(module, _LAYERS)
    ]
    with torch.no_grad():
        network(inputs)
    for handle in handles:
        handle.remove()
    return [_fastest(module, shape, dtype) for module, shape in seen]


def _fastest(module: nn.Module, shape: torch.Size, dtype: torch.dtype) -> _Layer:
    if isinstance(module, nn.Linear):
        return _linear(module, shape, dtype)
    assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    layouts = [_convolution(module, shape, dtype, layout) for layout in _LAYOUTS]
    if thin := _scattered(module, shape, dtype):
        kind = "forward" if isinstance(module, nn.ConvTranspose2d) else "input"
        layouts.append(replace(layouts[0], **{kind: thin}))
    return _Layer(*(min(works, key=_seconds) for works in zip(*(vars(one).values() for one in layouts), strict=True)))


def _linear(module: nn.Linear, shape: torch.Size, dtype: torch.dtype) -> _Layer:
    w = module.weight.detach().to(dtype)
    x, g = (torch.randn(size, device=w.device).to(dtype) for size in (shape, (shape[0], w.shape[0])))
    return _Layer(
        lambda: x @ w.T,
        lambda: g.T @ x,
        lambda: g @ w,
        lambda: (g.T @ x, g @ w),
    )


def _convolution(
    module: nn.Conv2d | nn.ConvTranspose2d, shape: torch.Size, dtype: torch.dtype, layout: torch.memory_format
) -> _Layer:
    x = torch.randn(shape, device=module.weight.device).to(dtype).contiguous(memory_format=layout)
    w = module.weight.detach().to(dtype).contiguous(memory_format=layout)
    transposed = isinstance(module, nn.ConvTranspose2d)
    how = (module.stride, module.padding, module.dilation, transposed, module.output_padding, module.groups)

    def forward() -> Tensor:
        return torch.ops.aten.convolution(x, w, None, *how)

    g = torch.randn_like(forward())

    def backward(*mask: bool) -> Work:
        return lambda: torch.ops.aten.convolution_backward(g, x, w, None, *how, [*mask, False])

    return _Layer(forward, backward(False, True), backward(True, False), backward(True, True))


def _scattered(module: nn.Conv2d | nn.ConvTranspose2d, shape: torch.Size, dtype: torch.dtype) -> Work | None:
    """What goes to an image of few channels, as a matrix product and a fold."""
    transposed = isinstance(module, nn.ConvTranspose2d)
    if (module.out_channels if transposed else module.in_channels) > _FEW:
        return None
    w = module.weight.detach().to(dtype)
    with torch.no_grad():
        given = torch.randn(shape, device=w.device)
        made = module(given)
    source, size = (given, made.shape[2:]) if transposed else (torch.randn_like(made), shape[2:])
    x = source.to(dtype).flatten(2)

    def work() -> Tensor:
        return functional.fold(
            w.flatten(1).T @ x, size, module.kernel_size, padding=module.padding, stride=module.stride
        )

    return work


def _seconds(work: Work, repeats: int = 7) -> float:
    """The fastest of some goes; on a GPU from one wait for it to the next."""
    times = []
    clock = time.perf_counter if torch.cuda.is_initialized() else time.process_time
    for _ in range(repeats + 1):
        _wait()
        began = clock()
        work()
        _wait()
        times.append(clock() - began)
    return min(times)


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
