"""Random numbers of a trial, keyed by (seed, purpose, step) instead of carried along.

What a step draws depends only on its key: so a resumed trial goes on bit for bit with no random state in its
checkpoint, evaluating more often changes nothing, and the global generators stay untouched.
"""

import hashlib

import torch


def derive_seed(seed: int, *keys: str | int) -> int:
    """Return a 63-bit seed from `seed` and `keys` (BLAKE2b, so that neighbours are unrelated)."""
    text = "/".join(str(part) for part in (seed, *keys))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class Streams:
    """Gives the generator of each (purpose, step) on one device."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed = seed
        self.generator = torch.Generator(device)
        """What `at` returns: always the same object, which a captured step keeps drawing from."""

    def at(self, purpose: str, step: int) -> torch.Generator:
        """Return the generator for `purpose` at `step`; valid until the next call."""
        return self.generator.manual_seed(derive_seed(self._seed, purpose, step))
