"""Which device a command computes on: what its `--device` names, or the best there is."""

import torch

from trainables.display import quoted
from trainables.errors import InvalidInput


def device_of(name: str | None) -> str:
    """Return the device of that name, "cpu" or "cuda"; of None the best there is.

    Raises:
        InvalidInput: if there is no such device.
    """
    found = torch.cuda.is_available()
    if name is None:
        return "cuda" if found else "cpu"
    if name != "cpu" and not (name == "cuda" and found):
        raise InvalidInput(f"--device {quoted(name)}: use cpu, or cuda where torch finds a GPU")
    return name
