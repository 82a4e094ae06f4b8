"""A trained generator as a file: what is drawn from it, and that it is evaluated as its trial was."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy import stats
from small_trials import EVERYTHING, ROWS, example, global_randomness_untouched, same, small, weights

from trainables.data import SOURCES, Dataset, LabelledImages
from trainables.data.licences import LICENCES
from trainables.errors import CorruptFile, CorruptInput, InvalidInput
from trainables.evaluate_generator import evaluate_generator
from trainables.evaluation.prepare import Prepared
from trainables.gan.config import TrialConfig
from trainables.gan.latents import LATENTS
from trainables.gan.session import Session
from trainables.generator import FILE, Generator, GeneratorFacts, write_generator
from trainables.images import to_bytes
from trainables.tensors import weights_digest

CONDITIONAL = small(conditioning={"name": "projection"})


def facts_of(session: Session, prepared: Prepared, fid: float = 1.0) -> GeneratorFacts:
    labels = prepared.dataset.train.labels
    assert labels is not None
    return GeneratorFacts(
        trial=session.config,
        channels=1,
        size=8,
        class_counts=tuple(np.bincount(labels).tolist()),
        kimg=session.kimg,
        fid=fid,
        fid_fingerprint=prepared.fingerprint,
        weights=weights_digest(session.evaluated.state_dict()),
    )


def written(config: TrialConfig, prepared: Prepared, file: Path, kimg: int = 1) -> Session:
    """Train a little and write the evaluated generator."""
    session = Session(config, prepared)
    session.train(kimg)
    write_generator(file, facts_of(session, prepared), session.evaluated.state_dict())
    return session


@pytest.fixture(scope="module")
def plain(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plain") / FILE
    written(small(ema_kimg=1), prepared, file)
    return file


@pytest.fixture(scope="module")
def conditional(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("conditional") / FILE
    written(CONDITIONAL, prepared, file)
    return file


# ------------------------------------------------------------------------------------------------------- the file


def test_what_is_read_is_what_was_written(prepared: Prepared, tmp_path: Path) -> None:
    session = written(small(ema_kimg=1), prepared, tmp_path / FILE)
    for path in (tmp_path, tmp_path / FILE):
        found = Generator.read(path)
        assert found.facts == facts_of(session, prepared)
        assert same(weights(found.network), weights(session.evaluated))
        assert not same(weights(found.network), weights(session.generator))  # the average, not the trained one
        assert not found.network.training


def test_equal_generators_are_equal_files(prepared: Prepared, tmp_path: Path) -> None:
    for name in ("one", "other"):
        written(CONDITIONAL, prepared, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_reading_and_drawing_leave_the_global_generators_alone(plain: Path) -> None:
    with global_randomness_untouched():
        generator = Generator.read(plain)
        generator.sample(3)
        generator.interpolate(3)


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_every_registry_is_evaluated_from_its_file_as_in_training(
    row: str, prepared: Prepared, tmp_path: Path
) -> None:
    session = written(ROWS[row], prepared, tmp_path / FILE)
    found = Generator.read(tmp_path / FILE)
    assert evaluate_generator(found, prepared) == session.evaluate()
    assert found.sample(5).images.shape == (5, 1, 8, 8)


def test_it_is_drawn_from_in_a_process_without_data(conditional: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from trainables.generator import Generator\n"
        f"images = Generator.read(Path({str(conditional)!r})).sample(20, seed=3).images\n"
        "assert 'sklearn' not in sys.modules\nprint(images.flatten().tolist())"
    )
    env = {"XDG_CACHE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env, cwd=root)
    assert json.loads(done.stdout) == Generator.read(conditional).sample(20, seed=3).images.flatten().tolist()


# -------------------------------------------------------------------------------------------------------- samples


@pytest.mark.parametrize("fixture", ["plain", "conditional"])
def test_samples_are_decided_by_the_seed_and_fewer_are_the_first_of_more(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    generator = Generator.read(request.getfixturevalue(fixture))
    many = generator.sample(150, seed=4)
    assert many.images.dtype == torch.uint8
    for count in (1, 63, 64, 65, 150):
        few = generator.sample(count, seed=4)
        assert torch.equal(few.images, many.images[:count])
        if few.labels is not None and many.labels is not None:
            assert torch.equal(few.labels, many.labels[:count])
    assert not torch.equal(generator.sample(64, seed=5).images, many.images[:64])
    assert not torch.equal(many.images[:64], many.images[64:128])


def test_samples_are_the_networks_images_of_the_trials_latents(plain: Path) -> None:
    generator = Generator.read(plain)
    seen = []
    generator.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    images = generator.sample(6000).images
    latents = torch.cat(seen)[:6000]
    assert stats.kstest(latents.flatten().numpy(), "norm").pvalue > 1e-3
    with torch.no_grad():
        assert torch.equal(images[:64], to_bytes(generator.network(latents[:64])))


def test_classes_are_as_frequent_as_in_the_data_and_a_class_keeps_the_latents(
    prepared: Prepared, conditional: Path
) -> None:
    generator = Generator.read(conditional)
    drawn = generator.sample(6400).labels
    assert drawn is not None
    shares = np.asarray(generator.facts.class_counts) / sum(generator.facts.class_counts)
    assert stats.chisquare(np.bincount(drawn.numpy(), minlength=10), shares * 6400).pvalue > 1e-3
    seen = []
    generator.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    free, seven = generator.sample(64, seed=1), generator.sample(64, seed=1, label=7)
    dimension = generator.facts.trial.latent.dimension
    assert torch.equal(seen[0][:, :dimension], seen[1][:, :dimension])
    assert torch.equal(seen[1][:, dimension:], torch.eye(10)[7].expand(64, 10))
    assert seven.labels is not None
    assert seven.labels.tolist() == [7] * 64
    assert free.labels is not None
    where = free.labels == 7
    assert torch.equal(free.images[where], seven.images[where])
    assert not torch.equal(free.images, seven.images)


@pytest.mark.parametrize("latent", LATENTS)
def test_a_strip_goes_from_one_latent_to_another_in_equal_steps(
    latent: str, prepared: Prepared, tmp_path: Path
) -> None:
    config = small(latent=example(LATENTS[latent], dimension=12), conditioning={"name": "projection"})
    written(config, prepared, tmp_path / FILE)
    generator = Generator.read(tmp_path)
    seen = []
    generator.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    strip = generator.interpolate(9, seed=2)
    assert strip.images.shape == (9, 1, 8, 8)
    assert strip.labels is not None
    assert len(set(strip.labels.tolist())) == 1
    latents = seen[0][:, :12].double()
    steps = (latents[1:] - latents[:-1]).norm(dim=1)
    torch.testing.assert_close(steps, steps.mean().expand(8), rtol=0.5 if latent == "normal" else 1e-4, atol=0)
    if latent == "normal":  # each point has the variance of the ends: cos^2 + sin^2 = 1
        first, last = latents[0], latents[-1]
        middle = (first + last) / 2**0.5
        torch.testing.assert_close(latents[4], middle, rtol=1e-5, atol=1e-6)
    else:
        torch.testing.assert_close(latents[4], (latents[0] + latents[-1]) / 2, rtol=1e-5, atol=1e-6)
    assert not torch.equal(generator.interpolate(9, seed=3).images, strip.images)
    of_three = generator.interpolate(9, seed=2, label=3).labels
    assert of_three is not None
    assert of_three.tolist() == [3] * 9


def test_classes_that_it_does_not_take_are_refused(plain: Path, conditional: Path) -> None:
    with pytest.raises(InvalidInput, match="trained without classes"):
        Generator.read(plain).sample(1, label=0)
    for label in (-1, 10):
        with pytest.raises(InvalidInput, match=f"class {label}: .* 0 to 9"):
            Generator.read(conditional).sample(1, label=label)
        with pytest.raises(InvalidInput, match="0 to 9"):
            Generator.read(conditional).interpolate(3, label=label)


def test_images_that_are_not_finite_are_no_images(prepared: Prepared, tmp_path: Path) -> None:
    session = Session(small(), prepared)
    with torch.no_grad():
        next(session.generator.parameters()).fill_(float("nan"))
    write_generator(tmp_path / FILE, facts_of(session, prepared), session.evaluated.state_dict())
    with pytest.raises(CorruptFile, match="not finite"):
        Generator.read(tmp_path).sample(1)


# ---------------------------------------------------------------------------------------------------- wrong files


def message(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        Generator.read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_that_is_something_else_is_refused_and_never_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
            return Path.touch, (tmp_path / "exploded",)

    torch.save({"a": Bomb()}, tmp_path / "pickle.pt")
    (tmp_path / "bare.safetensors").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "text.safetensors").write_text("no weights here")
    (tmp_path / "empty.safetensors").touch()
    for name in ("pickle.pt", "bare.safetensors", "text.safetensors", "empty.safetensors"):
        assert "not a safetensors file, or damaged" in message(tmp_path / name)
    assert not (tmp_path / "exploded").exists()
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    assert "not a generator that `ganstudy train` wrote" in message(tmp_path / "foreign.safetensors")
    for header in ("{", "[" * 100_000 + "]" * 100_000):
        save_file({"a": torch.zeros(2)}, tmp_path / "json.safetensors", {"ganstudy": header})
        assert "not a generator that `ganstudy train` wrote" in message(tmp_path / "json.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "format.safetensors", {"ganstudy": json.dumps({"format": 2})})
    assert "its header" in message(tmp_path / "format.safetensors")


def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    assert "not there" in message(tmp_path / "nowhere")
    assert "not there" in message(tmp_path / "a\0b")
    assert f"no {FILE} in it" in message(tmp_path)


def test_a_damaged_file_is_refused(plain: Path, tmp_path: Path) -> None:
    whole = plain.read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-1])
    assert "damaged" in message(tmp_path / "cut")
    (tmp_path / "flipped").write_bytes(whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
    with pytest.raises(CorruptInput, match="its weights are not those that were written"):
        Generator.read(tmp_path / "flipped")


def test_weights_of_another_network_are_refused(plain: Path, prepared: Prepared, tmp_path: Path) -> None:
    found = load_file(plain)
    wider = small(model={"name": "mlp", "width": 32})
    facts = Generator.read(plain).facts.model_copy(update={"trial": wider})
    write_generator(tmp_path / FILE, facts, found)
    assert "weights of another network" in message(tmp_path)
    lacking = CONDITIONAL
    facts = Generator.read(plain).facts.model_copy(update={"trial": lacking, "class_counts": ()})
    write_generator(tmp_path / FILE, facts, found)
    assert "needs labelled data" in message(tmp_path)


def test_other_data_than_it_was_trained_on_is_refused(plain: Path, prepared: Prepared) -> None:
    dataset = prepared.dataset
    unlabelled = [LabelledImages(part.images) for part in (dataset.train, dataset.validation, dataset.test)]
    other = Prepared(**(vars(prepared) | {"dataset": Dataset("other", *unlabelled)}))
    with pytest.raises(InvalidInput, match="restore the data"):
        evaluate_generator(Generator.read(plain), other)


def test_every_source_has_a_word_on_its_licence() -> None:
    assert LICENCES.keys() == SOURCES.keys()


def test_everything_at_once_is_drawn_from(prepared: Prepared, tmp_path: Path) -> None:
    written(small(**EVERYTHING), prepared, tmp_path / FILE, kimg=2)
    drawn = Generator.read(tmp_path).sample(70, seed=9, label=2)
    assert drawn.images.shape == (70, 1, 8, 8)
