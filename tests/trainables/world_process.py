"""One of several processes that train every small trial together: `python world_process.py FOLDER RANK COUNT`.

FOLDER holds `prepared.pickle`; what came out is left there as `rank-RANK.pt`. `outcome` is also what the test compares
with: a session of one process. Networks are in float64, where a training is not chaotic.
"""

import pickle
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from small_trials import ROWS
from torch import distributed, nn

from trainables.evaluation.prepare import Prepared
from trainables.gan.config import TrialConfig
from trainables.gan.session import Session
from trainables.world import SINGLE, DistributedWorld, World

PRECISE: dict[str, TrialConfig] = {
    name: config.model_copy(update={"precision": "float32"}) for name, config in ROWS.items()
}
"""Every row of every registry; none of them in bf16, whose rounding differs with the size of the parts."""


def outcome(config: TrialConfig, prepared: Prepared, world: World = SINGLE) -> dict[str, Any]:
    """Train 2 kimg; return what a report would say, and the state."""
    session = Session(config, prepared, world=world)
    for network in (session.generator, session.discriminator):
        network.double().register_forward_pre_hook(_doubled)
    if session.evaluated is not session.generator:
        session.evaluated.double()
    values = [vars(session.train(1)) for _ in range(2)]
    for value in values:
        del value["seconds"]
    return {"values": values, **session.state_dict()}


def _doubled(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return (inputs[0].double(), *inputs[1:])


def main(folder: Path, rank: int, count: int) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder / 'store'}"
    distributed.init_process_group("gloo", store, timedelta(seconds=300), rank=rank, world_size=count)
    prepared = pickle.loads((folder / "prepared.pickle").read_bytes())
    found = {name: outcome(config, prepared, DistributedWorld()) for name, config in PRECISE.items()}
    torch.save(found, folder / f"rank-{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
