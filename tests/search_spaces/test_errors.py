"""Every space that makes no sense is refused in one line that names the value."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import optuna
import pytest
from draws import DATA
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.distributions import choice, integer, real
from search_spaces.gan28 import GAN28
from search_spaces.space import Baseline, Condition, Parameter, Space
from trainables.errors import InvalidInput
from trainables.gan.config import TrialConfig

ANY = choice("hinge", "lsgan")


def space(*parameters: Parameter, **more: Any) -> Space:
    return Space("s", "d", parameters, **more)


def refused(make: Callable[[], object], *words: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


DISTRIBUTIONS: dict[str, tuple[Callable[[], object], tuple[str, ...]]] = {
    "log low 0": (lambda: real(0.0, 1.0, log=True), ("0 .. 1", "low > 0")),
    "log low negative": (lambda: real(-1.0, 1.0, log=True), ("-1 .. 1",)),
    "int log low 0": (lambda: integer(0, 8, log=True), ("0 .. 8", "low > 0")),
    "low above high": (lambda: real(2.0, 1.0), ("2 .. 1", "swap")),
    "int low above high": (lambda: integer(2, 1), ("2 .. 1", "swap")),
    "NaN low": (lambda: real(math.nan, 1.0), ("nan", "finite")),
    "inf high": (lambda: real(0.0, math.inf), ("inf", "finite")),
    "int inf": (lambda: integer(0, math.inf), ("inf",)),  # type: ignore[arg-type]
    "int fraction": (lambda: integer(0, 2.5), ("2.5",)),  # type: ignore[arg-type]
    "text bound": (lambda: real("1", 2.0), ("'1'",)),  # type: ignore[arg-type]
    "bool bound": (lambda: real(True, 2.0), ("True",)),
    "step wider": (lambda: real(0.0, 1.0, step=2.0), ("step 2", "0 .. 1")),
    "int step wider": (lambda: integer(0, 4, step=5), ("step 5", "0 .. 4")),
    "step 0": (lambda: real(0.0, 1.0, step=0.0), ("step 0",)),
    "step negative": (lambda: integer(0, 4, step=-1), ("step -1",)),
    "step NaN": (lambda: real(0.0, 1.0, step=math.nan), ("step nan",)),
    "step and log": (lambda: real(1.0, 2.0, log=True, step=0.5), ("log", "step")),
    "no choice": (lambda: choice(), ("none",)),
    "equal choices": (lambda: choice("a", "b", "a"), ("'a'", "twice")),
    "True and 1": (lambda: choice(True, 1), ("twice",)),
    "NaN choice": (lambda: choice(0.5, math.nan), ("nan", "finite")),
    "None choice": (lambda: choice("a", None), ("None",)),  # type: ignore[arg-type]
    "list choice": (lambda: choice("a", [1]), ("[1]",)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("make", "words"), DISTRIBUTIONS.values(), ids=list(DISTRIBUTIONS))
def test_distributions(make: Callable[[], object], words: tuple[str, ...]) -> None:
    refused(make, *words)


RAW: dict[str, Callable[[], Any]] = {
    "NaN": lambda: FloatDistribution(math.nan, 1.0),
    "inf": lambda: FloatDistribution(0.0, math.inf),
    "equal": lambda: CategoricalDistribution(("a", "a")),
    "None": lambda: CategoricalDistribution((None, "a")),
    "nan choice": lambda: CategoricalDistribution((math.nan,)),
}


@pytest.mark.parametrize("make", RAW.values(), ids=list(RAW))
def test_distributions_made_by_optuna_are_checked_too(make: Callable[[], Any]) -> None:
    refused(lambda: Parameter("ema_kimg", make()), "'ema_kimg'")


@pytest.mark.filterwarnings("ignore:.*not divisible by `step`")
def test_step_that_optuna_shortened_to_nothing() -> None:
    refused(lambda: Parameter("n_critic", IntDistribution(1, 3, step=5)), "'n_critic'", "step 5")
    refused(lambda: Parameter("ema_kimg", FloatDistribution(1, 3, step=5)), "'ema_kimg'", "step 5")


def test_a_distribution_of_another_kind() -> None:
    with pytest.warns(FutureWarning):
        old = optuna.distributions.UniformDistribution(0, 1)
    refused(lambda: Parameter("ema_kimg", old), "UniformDistribution", "use real")


MODEL = Parameter("model.name", choice("mlp", "dcgan"))
MLP, DCGAN = (Condition("model.name", ("mlp",)),), (Condition("model.name", ("dcgan",)),)
SPACES: dict[str, tuple[Callable[[], object], tuple[str, ...]]] = {
    "condition on nothing": (
        lambda: space(MODEL, Parameter("loss", ANY, (Condition("modle.name", ("mlp",)),))),
        ("'loss'", "'modle.name'", "did you mean 'model.name'"),
    ),
    "condition on a later one": (
        lambda: space(Parameter("loss", ANY, MLP), MODEL),
        ("'loss'", "'model.name'", "later"),
    ),
    "condition on itself": (
        lambda: space(Parameter("loss", ANY, (Condition("loss", ("hinge",)),))),
        ("'loss'", "later"),
    ),
    "a loop": (
        lambda: space(
            Parameter("loss", ANY, (Condition("normalisation", ("none",)),)),
            Parameter("normalisation", choice("none", "batch"), (Condition("loss", ("hinge",)),)),
        ),
        ("'loss'", "'normalisation'", "later"),
    ),
    "a parent filled again later": (
        lambda: space(
            MODEL,
            Parameter("a", choice("none"), MLP, path="normalisation"),
            Parameter("loss", ANY, (Condition("normalisation", ("none",)),)),
            Parameter("b", choice("none"), DCGAN, path="normalisation"),
        ),
        ("'loss'", "'normalisation'", "later"),
    ),
    "a value that the parent never has": (
        lambda: space(MODEL, Parameter("loss", ANY, (Condition("model.name", ("resnet",)),))),
        ("'loss'", "'resnet'", "mlp, dcgan"),
    ),
    "a condition without values": (
        lambda: space(MODEL, Parameter("loss", ANY, (Condition("model.name", ()),))),
        ("'loss'", "no values"),
    ),
    "a range as parent": (
        lambda: space(Parameter("n_critic", integer(1, 5)), Parameter("loss", ANY, (Condition("n_critic", (1,)),))),
        ("'n_critic'", "range"),
    ),
    "a constant that never has the value": (
        lambda: space(Parameter("loss", ANY, MLP), constants={"model.name": "dcgan"}),
        ("'mlp'", "dcgan"),
    ),
    "two of one name": (lambda: space(MODEL, MODEL), ("'model.name'", "twice")),
    "two active at one path": (
        lambda: space(Parameter("a", ANY, path="loss"), Parameter("b", ANY, path="loss")),
        ("'a'", "'b'", "'loss'"),
    ),
    "two active at one path sometimes": (
        lambda: space(
            MODEL,
            Parameter("a", ANY, MLP, path="loss"),
            Parameter("b", ANY, (Condition("model.name", ("mlp", "dcgan")),), path="loss"),
        ),
        ("'a'", "'b'", "'loss'"),
    ),
    "a name that is another's path": (
        lambda: space(
            MODEL,
            Parameter("loss", ANY, MLP),
            Parameter("b", ANY, DCGAN, path="loss"),
        ),
        ("'loss'", "rename"),
    ),
    "a name that is short for another's path": (
        lambda: space(Parameter("model", ANY, path="loss"), MODEL),
        ("'model'", "rename"),
    ),
    "a constant at a parameter's path": (
        lambda: space(MODEL, constants={"model.name": "mlp"}),
        ("'model.name'", "constant"),
    ),
    "a path inside another": (
        lambda: space(Parameter("model", ANY), constants={"model.width": 64}),
        ("'model'", "'model.width'"),
    ),
    "no such field": (lambda: space(Parameter("los", ANY)), ("'los'", "did you mean 'loss'")),
    "the study's field": (lambda: space(Parameter("data.name", ANY)), ("'data.name'", "study file")),
    "the seed": (lambda: space(constants={"seed": 1}), ("'seed'", "study file")),
    "an odd name": (lambda: space(Parameter("a b", ANY, path="loss")), ("'a b'", "rename")),
    "an empty path": (lambda: space(Parameter("a", ANY, path=())), ("'a'", "path")),
    "a path twice": (lambda: space(Parameter("a", ANY, path=("loss", "loss"))), ("'a'", "path")),
    "a range that expands": (
        lambda: space(Parameter("a", real(0.0, 1.0), expands={0.0: {"loss": "hinge"}})),
        ("'a'", "expands"),
    ),
    "path and expands": (
        lambda: space(Parameter("a", choice("x"), path="loss", expands={"x": {"loss": "hinge"}})),
        ("'a'", "path"),
    ),
    "expands lacks a choice": (
        lambda: space(Parameter("a", choice("x", "y"), expands={"x": {"loss": "hinge"}})),
        ("'a'", "'y'"),
    ),
    "expands to different paths": (
        lambda: space(Parameter("a", choice("x", "y"), expands={"x": {"loss": "hinge"}, "y": {"n_critic": 1}})),
        ("'a'", "'y'", "n_critic"),
    ),
}


@pytest.mark.parametrize(("make", "words"), SPACES.values(), ids=list(SPACES))
def test_spaces(make: Callable[[], object], words: tuple[str, ...]) -> None:
    refused(make, *words)


PARAMS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "unknown": ({"lrr": 1e-3}, ("'lrr'", "did you mean 'lr'")),
    "missing": ({"lr": None}, ("'lr'", "no value", "1e-05 .. 0.01")),
    "out of range": ({"lr": 1.0}, ("lr = 1.0", "1e-05 .. 0.01")),
    "NaN": ({"lr": math.nan}, ("lr = nan",)),
    "text": ({"lr": "2e-4"}, ("lr = '2e-4'",)),
    "bool": ({"batch_size": True}, ("batch_size = True", "32, 64")),
    "off the grid": ({"dcgan.width": 17}, ("dcgan.width = 17", "step 8")),
    "fraction": ({"dcgan.width": 16.0}, ("dcgan.width = 16.0",)),
    "no such choice": ({"loss": "minimax"}, ("loss = 'minimax'", "hinge, lsgan")),
    "inactive": ({"mlp.width": 128}, ("'mlp.width'", "only active when model.name is mlp")),
    "penalty of another normalisation": ({"free.penalty": "none"}, ("'free.penalty'", "normalisation is none")),
}


@pytest.mark.parametrize(("change", "words"), PARAMS.values(), ids=list(PARAMS))
def test_params_and_baselines(small: Space, change: dict[str, Any], words: tuple[str, ...]) -> None:
    params = {k: v for k, v in {**small.baselines[0].params, **change}.items() if v is not None}
    assert not small.contains(params)
    refused(lambda: small.build(params, data=DATA, evaluation={}, seed=0), *words)
    refused(lambda: small.distributions(params), *words)
    bad = Baseline("bad", "nowhere", params)
    refused(lambda: replace(small, baselines=(bad,)), "baseline 'bad'", *words)


def test_baselines_of_one_name(small: Space) -> None:
    refused(lambda: replace(small, baselines=(small.baselines[0],) * 2), "baseline 'plain'", "twice")


CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "a constant": ({"n_critic": 1}, "n_critic = 1"),
    "a default that the space leaves alone": ({"ema_kimg": 5.0}, "ema_kimg = 5.0"),
    "a value out of range": ({"batch_size": 48}, "batch_size = 48"),
    "a variant that is not there": (
        {"generator_optimiser": {"name": "rmsprop", "lr": 2e-4}},
        "generator_optimiser",
    ),
    "shared paths that differ": ({"generator_optimiser": {"name": "adam", "lr": 3e-4}}, "generator_optimiser.lr"),
}


@pytest.mark.parametrize(("change", "word"), CONFIGS.values(), ids=list(CONFIGS))
def test_configurations_outside(small: Space, change: dict[str, Any], word: str) -> None:
    inside = small.build(small.baselines[0].params, data=DATA, evaluation={}, seed=0)
    assert small.contains(inside)
    outside = TrialConfig.from_dict({**inside.to_dict(), **change})
    assert not small.contains(outside)
    assert re.search(re.escape(word), refused(lambda: small.params_of(outside)))


def test_a_space_that_is_not_closed_says_which_trial() -> None:
    """Batch norm and the gradient penalty, which `TrialConfig` refuses, together in one space."""
    open_space = space(
        Parameter("normalisation", choice("none", "batch")),
        constants={"model.name": "mlp", "penalty.name": "gradient_penalty", "penalty.weight": 10.0},
    )
    refused(open_space.check_closed, "gradient_penalty", "batch", "possible in this space")


@pytest.mark.parametrize("keys", [("normalisation", "penalty"), ("penalty", "normalisation")])
def test_what_cannot_be_fixed_together_is_refused_with_the_condition(keys: tuple[str, str]) -> None:
    values = {"normalisation": "batch", "penalty": "gradient_penalty"}
    with pytest.raises(InvalidInput, match="penalty gradient_penalty: is possible only where normalisation is none"):
        GAN28.fixed({key: values[key] for key in keys})


def test_what_is_never_active_is_refused_with_the_condition() -> None:
    with pytest.raises(InvalidInput, match="only where loss is minimax or nonsaturating or lsgan"):
        GAN28.fixed({"loss": "wasserstein", "label_smoothing": 0.1})
