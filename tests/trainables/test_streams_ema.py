import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_trials import global_randomness_untouched, weights
from torch import Tensor, nn

from trainables.gan.ema import Ema
from trainables.streams import Streams, derive_seed

CPU = torch.device("cpu")
keys = st.tuples(st.integers(0, 2**63 - 1), st.sampled_from(["train", "evaluate", "samples"]), st.integers(0, 10**9))

# ---------------------------------------------------------------------------------------------------- streams


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


# -------------------------------------------------------------------------------------------- moving average


class Net(nn.Module):
    """One weight, one statistic and one counter, as a generator with batch norm has them."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("batches", torch.tensor(0))

    def become(self, value: float) -> "Net":
        with torch.no_grad():
            self.weight.fill_(value)
            self.mean.fill_(10 * value)
            self.batches.fill_(int(value))
        return self


def average(ema: Ema) -> dict[str, Tensor]:
    return weights(ema.module)


def test_moves_half_way_in_a_half_life() -> None:
    net = Net()
    ema = Ema(net, kimg=2)
    net.become(8)
    ema.update(net, shown=10**6, since_last=2000)
    assert average(ema)["weight"].tolist() == [4, 4]
    ema.update(net, shown=10**6, since_last=4000)  # two more half-lives: a quarter of the way is left
    assert average(ema)["weight"].tolist() == [7, 7]
    assert average(ema)["mean"].tolist() == [70, 70]  # statistics follow as weights do
    assert average(ema)["batches"].item() == 8  # and counters are simply taken over


def test_the_half_life_is_at_most_a_twentieth_of_what_was_shown() -> None:
    net = Net()
    ema = Ema(net, kimg=100)
    net.become(8)
    ema.update(net, shown=20_000, since_last=1000)  # a twentieth of 20,000 is 1000: one half-life
    assert average(ema)["weight"].tolist() == [4, 4]
    net.become(4)
    ema.update(net, shown=4_000_000, since_last=100_000)  # now 100 kimg is the smaller
    assert average(ema)["weight"].tolist() == [4, 4]
    net.become(0)
    ema.update(net, shown=4_000_000, since_last=100_000)
    assert average(ema)["weight"].tolist() == [2, 2]


def test_the_first_update_all_but_forgets_the_initial_weights() -> None:
    net = Net()
    ema = Ema(net, kimg=50)
    net.become(1)
    ema.update(net, shown=64, since_last=64)  # 64 images are twenty half-lives of 3.2
    assert average(ema)["weight"].tolist() == pytest.approx([1 - 0.5**20] * 2, rel=1e-7)


@given(parts=st.lists(st.integers(1, 5000), min_size=1, max_size=20))
def test_how_often_it_is_updated_does_not_matter_once_ramped_up(parts: list[int]) -> None:
    net = Net().double()
    often, once = Ema(net, kimg=3), Ema(net, kimg=3)
    net.become(1)
    for images in parts:
        often.update(net, shown=10**7, since_last=images)
    once.update(net, shown=10**7, since_last=sum(parts))
    assert average(often)["weight"].tolist() == pytest.approx(average(once)["weight"].tolist(), rel=1e-9)


def test_is_a_copy_of_its_own_that_no_optimiser_moves() -> None:
    net = Net().become(3)
    ema = Ema(net, kimg=1)
    net.become(5)
    assert average(ema)["weight"].tolist() == [3, 3]
    assert not any(p.requires_grad for p in ema.module.parameters())
    assert all(p.requires_grad for p in net.parameters())
    ema.update(net, shown=10**6, since_last=1000)
    assert net.weight.tolist() == [5, 5]
