"""The seeds of a study's trainings, all from the study's own."""

from trainables.streams import derive_seed

_OF_TRIALS = 2**32


def trial_seed(seed: int, number: int) -> int:
    """The seed of a trial: each has its own."""
    return derive_seed(seed, "trial", number) % _OF_TRIALS


def retraining_seed(seed: int, index: int) -> int:
    """The seed of all retrainings at one index: the same for all trials, so that differences between them are paired.

    It is none that the study itself has used.
    """
    return _OF_TRIALS + derive_seed(seed, "confirm", index) % _OF_TRIALS
