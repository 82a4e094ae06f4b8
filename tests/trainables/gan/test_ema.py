import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_trials import weights
from torch import Tensor, nn

from trainables.gan.ema import Ema


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
