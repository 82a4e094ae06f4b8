"""docs/from-photos-to-onnx.md, line by line: its Python and its commands, in the order of the page."""

import os
import re
import shlex
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from command_line import ganstudy
from PIL import Image

PAGE = (Path(__file__).parents[1] / "docs/from-photos-to-onnx.md").read_text()
_STEP = re.compile(r"^```python\n(.*?)^```$|^    (ganstudy [^\n]*)$", re.MULTILINE | re.DOTALL)

STEPS = [(code, command.split("  #")[0].strip()) for code, command in _STEP.findall(PAGE)]
"""Python or a command, whichever it is."""


def test_the_page_has_the_whole_road() -> None:
    words = [shlex.split(command)[1:] for _, command in STEPS if command]
    road = ["init", "data", "launch", "launch", "best", "report", "sample", "evaluate", "confirm", "promote"]
    assert [first for first, *_ in words][: len(road)] == road
    assert "--dry-run" in words[2]
    assert "--onnx" in words[9]
    assert len([code for code, _ in STEPS if code]) == 2
    assert "onnxruntime" in STEPS[11][0]


@pytest.mark.slow
def test_every_line_of_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("GANSTUDY_STORAGE", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    names: dict[str, object] = {}
    for code, command in STEPS:
        if code:
            exec(code, names)
        else:
            print(command, ganstudy(*shlex.split(command)[1:]), flush=True)
    assert len(list(Path("photos").rglob("*.jpg"))) == 600
    images = names["images"]
    assert isinstance(images, np.ndarray)
    assert images.shape == (16, 3, 24, 24)
    assert 0 <= images.min() < 0.5 < images.max() <= 1
    assert "<title>" in Path("runs/photos/report.html").read_text()
    assert np.asarray(Image.open("shapes.png")).std() > 10, "not one grey"
    for file in ("shapes.onnx", "trained.onnx"):
        assert os.path.getsize(file) > 10_000  # noqa: PTH202
        assert onnxruntime.InferenceSession(file).get_inputs()[0].shape == ["batch", 64]
