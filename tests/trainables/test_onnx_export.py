"""A generator as an ONNX file: every architecture, conditioning and latent, run by ONNX Runtime."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from small_trials import global_randomness_untouched
from test_portable import CLASSES, TRIALS, every_trial, inputs_of, made

from trainables import onnx_export
from trainables.errors import CorruptFile, GanStudyError
from trainables.gan.config import TrialConfig
from trainables.generator import Generator
from trainables.onnx_export import CHECKED, TOLERANCE, as_onnx, check_onnx


def run(content: bytes, *inputs: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [found.name for found in session.get_inputs()]
    given = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    return torch.from_numpy(session.run(None, given)[0])


@every_trial
def test_onnx_runtime_makes_the_generators_images_at_any_batch_size(trial: TrialConfig) -> None:
    generator = made(trial)
    with global_randomness_untouched():
        file = as_onnx(generator, {"x": "y"})
    assert 0 < file.difference < TOLERANCE / 5
    for count in (1, 3, 17):
        inputs, network_input = inputs_of(generator, count)
        with torch.no_grad():
            expected = (generator.network(network_input) + 1) / 2
        images = run(file.content, *inputs)
        assert images.dtype == torch.float32
        torch.testing.assert_close(images, expected, rtol=0, atol=TOLERANCE / 5)
    assert images.std() > 0.01, "not all the same"


def test_the_file_says_what_it_takes_and_gives_and_where_it_is_from() -> None:
    model = onnx.load_from_string(as_onnx(made(TRIALS["class_conditional-projection"]), {"weights": "abc"}).content)
    onnx.checker.check_model(model, full_check=True)
    found = {}
    for value in (*model.graph.input, *model.graph.output):
        shape = [dimension.dim_param or dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        found[value.name] = (onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type), shape)
    assert found == {
        "latents": (np.dtype("float32"), ["batch", 8]),
        "labels": (np.dtype("int64"), ["batch"]),
        "images": (np.dtype("float32"), ["batch", 1, 8, 8]),
    }
    props = {prop.key: prop.value for prop in model.metadata_props}
    assert props == {"latents": "numpy.random.randn(N, 8) + 0.2 * numpy.random.randn(N, 8)", "weights": "abc"}
    assert not any(node.metadata_props for node in model.graph.node)
    assert b"/site-packages/" not in model.SerializeToString()


def test_a_class_out_of_range_is_an_error() -> None:
    generator = made(TRIALS["mlp-acgan"])
    content = as_onnx(generator, {}).content
    (latents, _), _ = inputs_of(generator, 1)
    onnxruntime.set_default_logger_severity(4)
    with pytest.raises(Exception, match=r"out of (data )?bounds"):
        run(content, latents, torch.tensor([CLASSES]))


def test_a_file_that_makes_other_images_is_never_given(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, other = made(TRIALS["dcgan-none"]), made(TRIALS["dcgan-none"])
    with torch.no_grad():
        next(other.network.parameters()).add_(0.01)
    monkeypatch.setattr(onnx_export, "portable", lambda given: portable(other))
    from trainables.portable import portable

    with pytest.raises(CorruptFile, match=r"differ from the network's by 0\.\d+ of 1 \(at most 0.0001 is right\)"):
        as_onnx(generator, {})
    with torch.no_grad():
        for weight in generator.network.parameters():
            weight.fill_(torch.nan)
    with pytest.raises(CorruptFile, match="by nan of 1"):
        as_onnx(generator, {})


def test_batches_of_one_and_of_another_size_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def remember(generator: Generator, *inputs: torch.Tensor) -> torch.Tensor:
        seen.append(len(inputs[0]))
        return eager_images(generator, *inputs)

    eager_images = onnx_export.eager_images
    monkeypatch.setattr(onnx_export, "eager_images", remember)
    as_onnx(made(TRIALS["mlp-none"]), {})
    assert tuple(seen) == CHECKED == (1, 7)


@pytest.mark.slow
def test_onnx_runtime_reports_to_nobody(tmp_path: Path) -> None:
    code = "from trainables.onnx_export import check_onnx; check_onnx('--onnx')"
    others = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code], env=others | {"HOME": str(tmp_path)}, check=True)
    assert not list(tmp_path.rglob("*onnxruntime*"))


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_one_line_that_says_what_to_install(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_onnx("--onnx")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(GanStudyError, match=rf"--onnx needs {package} .*pip install 'ganstudy\[onnx\]'"):
        check_onnx("--onnx")
