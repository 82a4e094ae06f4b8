import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from inception_weights import write_random_weights
from pydantic import ValidationError
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from trainables.data import Dataset, LabelledImages
from trainables.errors import CorruptInput, InvalidInput
from trainables.evaluation import extractors_inception
from trainables.evaluation.config import Evaluation
from trainables.evaluation.evaluator import Evaluator
from trainables.evaluation.extractors import build_extractor
from trainables.evaluation.extractors_inception import DIMENSION, FILE, InceptionExtractor, read_weights
from trainables.evaluation.fid import FeatureMoments, Reference
from trainables.evaluation.prepare import Prepared, prepare

RELATIVE = 1e-4


def shapes(count: int, seed: int, channels: int, dark: int = 0) -> Tensor:
    """Smooth random images: noise of 4 x 4 enlarged to 32 x 32."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(count, channels, 4, 4, generator=generator)
    large = torch.nn.functional.interpolate(small, size=32, mode="bicubic").clamp(0, 1)
    return (large * (255 - dark)).to(torch.uint8)


def dataset(images: Tensor) -> Dataset:
    part = LabelledImages(images.numpy(), None)
    return Dataset("shapes", part, part, part, classes=None)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_weights(tmp_path_factory.mktemp("weights") / "inception.pth", shapes(6, 0, 3))


# ---------------------------------------------------------------------------------------------- the weights' file


def test_a_missing_file_says_where_it_was_looked_for_and_how_to_bring_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    data = dataset(shapes(4, 0, 3))
    for config, path in (
        (InceptionExtractor(), tmp_path / "hub" / "checkpoints" / FILE),
        (InceptionExtractor(weights=tmp_path / "mine.pth"), tmp_path / "mine.pth"),
        (InceptionExtractor(weights=tmp_path), tmp_path),
    ):
        with pytest.raises(InvalidInput) as caught:
            config.prepare(data)
        for part in (
            f"{path}: not there",
            f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}",
        ):
            assert part in str(caught.value)
        assert "evaluation.extractor.weights" in str(caught.value)


class Bomb:
    """Makes a file as soon as it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return (Path.touch, (self.path,))


def test_a_file_of_something_else_is_refused_and_never_run(tmp_path: Path) -> None:
    exploded = tmp_path / "exploded"
    for name, content in (
        ("text", b"not weights"),
        ("empty", b""),
        ("pickle", pickle.dumps({"fc.weight": Bomb(exploded)})),
    ):
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(CorruptInput, match="not a state dict"):
            read_weights(file)
    torch.save({"fc.weight": Bomb(exploded)}, tmp_path / "zip")
    with pytest.raises(CorruptInput, match="not a state dict"):
        read_weights(tmp_path / "zip")
    assert not exploded.exists()
    for state in ({"fc.weight": torch.zeros(1000, 2048)}, {"a": torch.zeros(1)}, {"fc.weight": 5}, [1, 2]):
        torch.save(state, tmp_path / "other")
        with pytest.raises(CorruptInput):
            read_weights(tmp_path / "other")


def test_the_path_in_a_study_file_survives_the_round_trip() -> None:
    evaluation = Evaluation.model_validate({"extractor": {"name": "inception", "weights": "weights/mine.pth"}})
    assert evaluation.extractor == InceptionExtractor(weights=Path("weights/mine.pth"))
    assert Evaluation.model_validate(evaluation.model_dump(mode="json")) == evaluation
    with pytest.raises(ValidationError):
        Evaluation.model_validate({"extractor": {"name": "classifier", "weights": "weights/mine.pth"}})


def test_fewer_images_than_features_are_no_study(weights: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", images=shapes(60, 1, 1).numpy())
    from trainables.data import Npz

    evaluation = Evaluation(extractor=InceptionExtractor(weights=weights), count=2048)
    with pytest.raises(InvalidInput, match=r"evaluation\.count=2048: must be more than the extractor's 2048"):
        prepare(Npz(path=tmp_path / "few.npz"), evaluation)


# ------------------------------------------------------------------------------- against torch-fidelity's numbers


class Images(TorchDataset[Tensor]):
    def __init__(self, images: Tensor) -> None:
        self.images = images.expand(-1, 3, -1, -1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


def measured(fake: Tensor, real: Tensor, evaluation: Evaluation) -> dict[str, float]:
    """As a study would, without its rule of more images than features."""
    data = dataset(real)
    state = evaluation.extractor.prepare(data)
    features = build_extractor(state)(real)
    moments = FeatureMoments(DIMENSION)
    moments.update(features)
    reference = Reference.of(moments)
    prepared = Prepared(
        dataset=data,
        evaluation=evaluation,
        extractor=state,
        fingerprint="",
        mean=reference.mean.numpy(),
        covariance=reference.covariance.numpy(),
        root=reference.root.numpy(),
        features=features.numpy(),
        classes_present=1,
        count=len(real),
        fid_floor=0.0,
        fid_ceiling=0.0,
        floor_count=0,
        noise_mean=np.zeros(DIMENSION),  # the noise is of no matter here
        noise_covariance=np.zeros((DIMENSION, DIMENSION)),
    )
    return Evaluator(prepared).evaluate(fake.split(evaluation.batch))


@pytest.mark.slow
def test_grey_images_are_repeated_to_three_channels(weights: Path) -> None:
    grey = shapes(3, 5, 1)
    config = InceptionExtractor(weights=weights)
    of_grey, of_colour = (build_extractor(config.prepare(dataset(x))) for x in (grey, grey.repeat(1, 3, 1, 1)))
    assert torch.equal(of_grey(grey), of_colour(grey.repeat(1, 3, 1, 1)))
    for wrong in (grey.float(), grey[:, :, 1:], grey.repeat(1, 3, 1, 1)):
        with pytest.raises(InvalidInput, match="the extractor takes uint8 N x 1 x 32 x 32"):
            of_grey(wrong)


@pytest.mark.slow
def test_fid_kid_and_inception_score_are_torch_fidelitys(weights: Path) -> None:
    from torch_fidelity import calculate_metrics

    fake, real = shapes(36, 1, 3, dark=60), shapes(32, 2, 3)  # far fewer than features: the FID must hold there too
    evaluation = Evaluation(
        extractor=InceptionExtractor(weights=weights), batch=16, count=36, kid_subsets=7, kid_subset_size=20
    )
    before = torch.get_rng_state()
    found = measured(fake, real, evaluation)
    assert torch.equal(torch.get_rng_state(), before)
    expected = calculate_metrics(
        input1=Images(fake),
        input2=Images(real),
        **dict.fromkeys(("isc", "fid", "kid", "save_cpu_ram"), True),
        **dict.fromkeys(("cuda", "cache", "verbose", "samples_shuffle"), False),
        feature_extractor_weights_path=str(weights),
        kid_subsets=7,
        kid_subset_size=20,
        isc_splits=1,
        batch_size=16,
    )
    pairs = {
        "fid": "frechet_inception_distance",
        "kid": "kernel_inception_distance_mean",
        "kid_std": "kernel_inception_distance_std",
        "inception_score": "inception_score_mean",
    }
    assert {ours: found[ours] for ours in pairs} == pytest.approx(
        {ours: expected[theirs] for ours, theirs in pairs.items()}, rel=RELATIVE
    )
    assert found["fid"] > 0
    assert found["inception_score"] > 1.05


def test_the_network_is_given_no_file_to_unpickle() -> None:
    # torch-fidelity's constructor loads with weights_only=False; ours hands it bytes that were made of tensors.
    state = {"Conv2d_1a_3x3.conv.weight": torch.zeros(1)}
    with pytest.raises(RuntimeError, match="Missing key"):
        extractors_inception._network(state)
