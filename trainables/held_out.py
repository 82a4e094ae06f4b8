"""Evaluates a finished training on images that no decision has seen."""

from pathlib import Path

from trainables.checkpoint import CheckpointStore, read_checkpoint
from trainables.errors import CorruptFile
from trainables.evaluation.prepare import Prepared
from trainables.gan.config import TrialConfig
from trainables.gan.session import Session

TEST = "test/"
"""Prefix of test metrics in a result; Tune flattens nested results with this separator."""


def evaluate_best(
    config: TrialConfig, prepared: Prepared, folder: Path, device: str = "cpu"
) -> tuple[int, dict[str, float]]:
    """Evaluate the generator of a training's best FID on `evaluation.count` images.

    Args:
        config: the training's.
        prepared: for the split to evaluate on, `Prepared.on(split)` of the training's own.
        folder: the training's, as `Trial` left it.
        device: "cpu" or "cuda".

    Returns:
        The kimg of that generator, and its metrics (`prepared.evaluation.keys`), of the images that it was chosen by.

    Raises:
        CorruptFile: if there is no checkpoint, or it is damaged.
        Diverged: if a metric is not finite.
    """
    store = CheckpointStore(folder / "checkpoints")
    kimg = store.best()
    if kimg is None:
        raise CorruptFile(f"{store.folder}: the checkpoints are gone")
    session = Session(config, prepared, device)
    session.load_state_dict(read_checkpoint(store.path(kimg)).state)
    return kimg, session.evaluate()
