"""Fixtures of the trial's tests: one thread, and the digits prepared once."""

from collections.abc import Iterator

import pytest
import torch
from small_trials import EVALUATION

from trainables.data import Digits
from trainables.evaluation import classifier
from trainables.evaluation.prepare import Prepared, prepare
from trainables.threads import fixed_threads


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks are slower on more threads, and the last bits of a sum depend on their number."""
    with fixed_threads(1):
        yield


@pytest.fixture(scope="session")
def prepared(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The digits at 8 x 8, with a classifier of a few steps from a cache of this run's own."""
    assert torch.get_num_threads() == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "_STEPS_MIN", 50)
        patch.setattr(classifier, "_STEPS_MAX", 50)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return prepare(Digits(), EVALUATION)
