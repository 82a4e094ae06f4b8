"""Evaluates a finished generator as its trial was evaluated: the same latents, so the same numbers."""

from collections.abc import Iterator

from torch import Tensor

from trainables.errors import Diverged, InvalidInput
from trainables.evaluation.evaluator import Evaluator
from trainables.evaluation.prepare import Prepared
from trainables.gan.batches import Batches
from trainables.generator import Generator
from trainables.images import to_bytes
from trainables.streams import Streams
from trainables.threads import fixed_threads


def evaluate_generator(generator: Generator, prepared: Prepared) -> dict[str, float]:
    """Return all metrics of `prepared.evaluation`, `fid` first.

    With the trial's own evaluation, data, device and version they equal those of its report at `facts.kimg`, if that
    was of `evaluation.count` images, to the last bit on a CPU: latents and classes come from the stream of
    `Session.evaluate`.

    Args:
        generator: on its device.
        prepared: data and FID reference, from `prepare(generator.facts.trial.data, evaluation)`.

    Raises:
        InvalidInput: if the data does not fit what it was trained on.
        Diverged: if an image or a metric is not finite.
    """
    facts, dataset = generator.facts, prepared.dataset
    found = (dataset.channels, dataset.size, dataset.classes or 0)
    if found != (facts.channels, facts.size, facts.classes):
        raise InvalidInput(
            f"{dataset.name}: channels, pixels a side and classes are {found}, the generator's "
            f"{(facts.channels, facts.size, facts.classes)}; restore the data that it was trained on"
        )
    with fixed_threads(facts.threads):
        return Evaluator(prepared, generator.device).evaluate(_generated(generator, prepared))


def _generated(generator: Generator, prepared: Prepared) -> Iterator[Tensor]:
    facts, evaluation = generator.facts, prepared.evaluation
    batches = Batches.of(facts.trial, prepared.dataset, generator.device)
    rng = Streams(facts.trial.seed, generator.device).at("evaluate", facts.kimg)
    for images, _ in batches.generated(generator.network, evaluation.count, evaluation, rng):
        if not images.isfinite().all():
            raise Diverged("the generator's images are not finite")
        yield to_bytes(images)
