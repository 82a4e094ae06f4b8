"""A trained generator as an ONNX file, held against the network it was made of before anybody has it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch

from trainables.errors import CorruptFile, GanStudyError
from trainables.generator import Generator
from trainables.portable import eager_images, example_inputs, portable
from trainables.quiet import quiet

TOLERANCE = 1e-4
"""The largest difference of a pixel between file and network, on a scale from 0 to 1: a fortieth of a grey level."""

CHECKED = (1, 7)
"""Batches in which they are compared: of one image, and of another size than the one that was exported."""

NAMES = ("latents", "labels")
"""The file's inputs, the second where the generator takes classes."""

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class OnnxFile:
    """What to write, and the largest difference that was found in `CHECKED`."""

    content: bytes
    difference: float


def check_onnx(option: str) -> None:
    """Refuse an export that would fail, before any work.

    Raises:
        GanStudyError: if a package is missing.
    """
    for package in _PACKAGES:
        try:
            _imported(package)
        except ImportError as error:
            raise GanStudyError(f"{option} needs {package} ({error}): pip install 'ganstudy[onnx]'") from None


def as_onnx(generator: Generator, about: Mapping[str, str]) -> OnnxFile:
    """Return a CPU's generator as ONNX: float32 latents (N, D), int64 labels (N,) -> float32 images (N, C, H, W).

    Images are from 0 to 1, N is any number.

    Args:
        generator: on the CPU.
        about: what the file says of itself, besides the expression that draws its latents.

    Raises:
        CorruptFile: if ONNX Runtime makes other images of it than the network.
    """
    import onnx

    inputs = example_inputs(generator)
    batch = torch.export.Dim("batch")
    with quiet():
        program = torch.onnx.export(
            portable(generator),
            inputs,
            dynamo=True,
            verbose=False,
            input_names=NAMES[: len(inputs)],
            output_names=["images"],
            dynamic_shapes=[{0: batch} for _ in inputs],
        )
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # of torch's tracing
    model.producer_name = "ganstudy"
    onnx.helper.set_model_props(model, {"latents": generator.facts.trial.latent.in_numpy("N"), **about})
    content = model.SerializeToString()
    return OnnxFile(content, _compared(generator, content))


def _compared(generator: Generator, content: bytes) -> float:
    """The largest difference; raise CorruptFile if it is too large."""
    onnxruntime = _imported("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = generator.facts.threads
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    largest = 0.0
    for count in CHECKED:
        inputs = example_inputs(generator, count)
        given = {name: value.numpy() for name, value in zip(NAMES, inputs, strict=False)}
        made: Any = session.run(["images"], given)[0]
        difference = float((torch.from_numpy(made) - eager_images(generator, *inputs)).abs().max())
        if not difference <= TOLERANCE:  # not a number included
            raise CorruptFile(
                f"the ONNX file's images differ from the network's by {difference:.2g} of 1 (at most {TOLERANCE:g} is "
                "right), so it was not written; take another checkpoint if the images are not finite, or other "
                "versions of torch, onnxscript and onnxruntime"
            )
        largest = max(largest, difference)
    return largest


def _imported(package: str) -> Any:
    """Import it; ONNX Runtime reports to Microsoft, and writes to the user's cache, unless told not to before."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return import_module(package)
