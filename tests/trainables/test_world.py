"""Two processes that train together do what one does with the whole batch: every loss, penalty and other row."""

import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from small_trials import small
from torch import Tensor, nn
from world_process import PRECISE, outcome

from trainables.errors import InvalidInput
from trainables.evaluation.prepare import Prepared
from trainables.gan.models.batch_norm import SharedBatchNorm, share_batch_norm
from trainables.gan.session import Session
from trainables.world import SINGLE, World, check_divides

COUNT = 2
CLOSE = {"rtol": 1e-5, "atol": 1e-8}
"""Of float64 networks whose logits and images are float32."""


@pytest.fixture(scope="module")
def together(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes has after training every row: by rank, by the row's name."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "prepared.pickle").write_bytes(pickle.dumps(prepared))
    script = Path(__file__).with_name("world_process.py")
    commands = [[sys.executable, script, folder, str(rank), str(COUNT)] for rank in range(COUNT)]
    world = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    for process in world:
        _, error = process.communicate(timeout=550)
        assert process.returncode == 0, error
    return [torch.load(folder / f"rank-{rank}.pt", weights_only=True) for rank in range(COUNT)]


def leaves(tree: Any, name: str = "") -> dict[str, Any]:
    """All tensors and plain values in nested dictionaries and lists, by their path."""
    if isinstance(tree, Mapping):
        return {key: leaf for k, v in tree.items() for key, leaf in leaves(v, f"{name}/{k}").items()}
    if isinstance(tree, list):
        return leaves(dict(enumerate(tree)), name)
    return {name: tree}


@pytest.mark.slow
@pytest.mark.parametrize("row", PRECISE)
def test_two_processes_train_as_one(row: str, together: list[dict[str, Any]], prepared: Prepared) -> None:
    one = leaves(outcome(PRECISE[row], prepared))
    first, second = (leaves(ranks[row]) for ranks in together)
    assert one.keys() == first.keys() == second.keys()
    for name, expected in one.items():
        if isinstance(expected, Tensor | float | int) and not isinstance(expected, bool):
            torch.testing.assert_close(first[name], expected, **CLOSE, msg=lambda text, name=name: f"{name}: {text}")
            assert torch.equal(torch.as_tensor(first[name]), torch.as_tensor(second[name])), name
        else:
            assert first[name] == second[name] == expected


def test_alone_is_the_default_and_changes_no_network(prepared: Prepared) -> None:
    session = Session(small(), prepared)
    share_batch_norm(session.generator, SINGLE)
    kinds = {type(module) for module in session.generator.modules()}
    assert nn.BatchNorm1d in kinds
    assert SharedBatchNorm not in kinds


@pytest.mark.parametrize(("size", "count"), [(64, 3), (64, 0), (64, -2), (7, 2), (4, 8)])
def test_a_batch_that_cannot_be_split_is_refused(size: int, count: int) -> None:
    with pytest.raises(InvalidInput, match=rf"--devices {count}: .* batch_size {size}; use one of 1, "):
        check_divides(size, count)


def test_a_session_does_not_split_unevenly(prepared: Prepared) -> None:
    class Three(World):
        world_size = 3

    with pytest.raises(InvalidInput, match="batch_size 200"):
        Session(small(), prepared, world=Three())
