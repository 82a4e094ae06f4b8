"""The seeds of a confirmation's retrainings."""

from trainables.streams import derive_seed

_FIRST_SEED = 2**32  # a study's trials, and the retrainings of `ganstudy noise`, have seeds below


def confirmation_seed(seed: int, index: int) -> int:
    """The seed of all trials at one index, from the study's: the same, so that differences between trials are paired.

    It is none that the study has used: those are below 2**32.
    """
    return _FIRST_SEED + derive_seed(seed, "confirm", index) % 2**32
