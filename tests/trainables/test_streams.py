import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_trials import global_randomness_untouched

from trainables.streams import Streams, derive_seed

CPU = torch.device("cpu")
keys = st.tuples(st.integers(0, 2**63 - 1), st.sampled_from(["train", "evaluate", "samples"]), st.integers(0, 10**9))


def drawn(seed: int, purpose: str, step: int) -> list[float]:
    return torch.rand(4, generator=Streams(seed, CPU).at(purpose, step)).tolist()


def test_a_derived_seed_is_half_of_a_hash_so_that_it_never_changes() -> None:
    digest = hashlib.blake2b(b"7/train/12", digest_size=8).digest()
    assert derive_seed(7, "train", 12) == int.from_bytes(digest, "little") // 2


@given(one=keys, other=keys)
def test_derived_seeds_fit_torch_and_differ_with_their_keys(
    one: tuple[int, str, int], other: tuple[int, str, int]
) -> None:
    assert 0 <= derive_seed(*one) < 2**63
    assert (derive_seed(*one) == derive_seed(*other)) == (one == other)


def test_neighbouring_steps_and_seeds_draw_unrelated_numbers() -> None:
    for keys in ([(3, "train", s) for s in range(4000)], [(s, "train", 3) for s in range(4000)]):
        first = torch.tensor([drawn(*key)[0] for key in keys]).double()
        pairs = torch.corrcoef(torch.stack([first[:-1], first[1:]]))[0, 1]
        assert abs(pairs.item()) < 4 / 4000**0.5
        assert first.mean().item() == pytest.approx(0.5, abs=4 * (1 / 12 / 4000) ** 0.5)


def test_what_a_step_draws_depends_on_its_key_alone() -> None:
    streams = Streams(5, CPU)
    with global_randomness_untouched():
        torch.rand(100, generator=streams.at("evaluate", 9))
        first = torch.rand(4, generator=streams.at("train", 2)).tolist()
    assert first == drawn(5, "train", 2)
    assert len({tuple(x) for x in (first, drawn(5, "train", 3), drawn(5, "samples", 2), drawn(6, "train", 2))}) == 4
