"""The whole road with real parts: a study, its report, its confirmation, a file, production training, the champion."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from command_line import PATIENCE, ganstudy
from PIL import Image

pytestmark = pytest.mark.slow

STUDY = {
    "name": "road",
    "seed": 4,
    "data": {"name": "digits"},
    "space": {"base": "quick", "fix": {"model.name": "mlp"}, "narrow": {"mlp.width": {"low": 128, "high": 192}}},
    "sampler": {"startup_trials": 2},
    "trials": 3,
    "schedule": {"grace_kimg": 2, "max_kimg": 4, "reduction_factor": 2},
    "evaluation": {"count": 400},
}

# What somebody types who has torch and MLflow, and no ganstudy.
USER = """
import sys
root, uri, out = sys.argv[1:]
sys.path = [place for place in sys.path if place and not place.startswith(root) or "site-packages" in place]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
import mlflow, numpy, torch
mlflow.set_tracking_uri(uri)
model = mlflow.pytorch.load_model("models:/road@champion")
latents = torch.randn(5, int(sys.stdin.read()), generator=torch.Generator().manual_seed(1))
numpy.save(out, model(latents).numpy())
assert not {"study", "trainables", "search_spaces"} & sys.modules.keys()
"""


def test_from_a_study_to_the_champion(tmp_path: Path) -> None:
    """Each step takes what the one before left, as the README tells a user."""
    runs = tmp_path / "runs"
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY | {"storage": {"path": str(runs)}}))
    here = ("--storage", runs)
    ganstudy("launch", file)

    confirmed = json.loads(ganstudy("confirm", "road", "--top", "2", "--seeds", "2", "--json", *here))
    ganstudy("verify", "road", *here)
    page = tmp_path / "report.html"
    ganstudy("report", "road", "--out", page, *here)
    assert "onfirm" in page.read_text()

    best = tmp_path / "best.yaml"
    ganstudy("export", "road", best, *here)
    winner = yaml.safe_load(best.read_text())["origin"]["trial"]
    assert winner == confirmed["winner"]

    uri = f"sqlite:///{runs / 'road' / 'mlflow.db'}"
    ganstudy("train", best, "--kimg", "6", "--mlflow", uri, "--register")
    picture = tmp_path / "grid.png"
    ganstudy("sample", tmp_path / "best", "-n", "16", "--out", picture)
    assert np.asarray(Image.open(picture)).std() > 10, "not one grey"
    assert json.loads(ganstudy("evaluate", tmp_path / "best", "--split", "test", "--json"))["metrics"]["fid"] > 0

    facts = yaml.safe_load(best.read_text())["trial"]
    images = load_champion(uri, tmp_path / "trained.npy", facts["latent"]["dimension"])
    assert images.shape == (5, 1, 8, 8)
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std(axis=0).max() > 0.05, "five latents, five images"

    ganstudy("promote", "road", "--force", *here)  # whose FID is worse than that of the one trained longer
    promoted = load_champion(uri, tmp_path / "promoted.npy", facts["latent"]["dimension"])
    assert promoted.shape == images.shape
    assert not np.array_equal(promoted, images), "the study's generator had seen less"
    ganstudy("verify", "road", *here)


def load_champion(uri: str, out: Path, latent: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """Sample the registered champion in a process that has no ganstudy."""
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", USER, root, uri, str(out)],
        input=str(latent),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=out.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = np.load(out)
    return loaded
