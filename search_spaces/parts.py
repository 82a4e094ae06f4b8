"""Groups of parameters that several spaces share; each group is a part of what a `TrialConfig` says.

What does not fit is never sampled: D's normalisation is chosen first, and then the penalty from those that go with
it; label smoothing is only for losses with a target, and a rate control only for losses with a boundary.
"""

from collections.abc import Iterable, Mapping

from optuna.distributions import BaseDistribution, IntDistribution

from search_spaces.distributions import choice, integer, real
from search_spaces.parameter import Condition, Parameter
from trainables.gan.losses import LOSSES
from trainables.gan.models import MODELS
from trainables.gan.models.normalisation import NORMALISATIONS
from trainables.gan.optimisers import OPTIMISERS
from trainables.gan.penalties import PENALTIES

G, D = "generator_optimiser", "discriminator_optimiser"

WITH_TARGET = tuple(name for name, loss in LOSSES.items() if loss.smoothed)
WITH_BOUNDARY = tuple(name for name, loss in LOSSES.items() if loss.boundary is not None)

_NORMALISATION, _PENALTY = "normalisation", "penalty.name"


def when(path: str, *values: str) -> tuple[Condition, ...]:
    """Return the one condition that `path` has one of `values`."""
    return (Condition(path, values),)


def models(**widths: IntDistribution) -> tuple[Parameter, ...]:
    """Return the choice among the architectures that `widths` names, and their knobs."""
    chosen = [
        Parameter(f"{name}.{knob}", distribution, when("model.name", name), path=f"model.{knob}")
        for name, width in widths.items()
        for knob, distribution in ({"width": width} | _KNOBS.get(name, {})).items()
    ]
    return (Parameter("model.name", choice(*widths)), *chosen)


_KNOBS: dict[str, dict[str, BaseDistribution]] = {
    "mlp": {"depth": integer(1, 4)},
    "dcgan": {"kernel": choice(4, 5), "dropout": choice(0.0, 0.25, 0.5)},
    "upsample": {"resize": choice("nearest", "bilinear"), "skip": choice("none", "output")},
}


def normalisations(names: Iterable[str]) -> tuple[Parameter, ...]:
    """Return D's normalisation for the architectures `names`: any, without instance norm where it does not fit."""
    groups: dict[str, list[str]] = {"any": [], "non_instance": []}
    for name in names:
        groups["any" if "instance" in MODELS[name].normalisations else "non_instance"].append(name)
    return tuple(
        Parameter(
            f"{label}.{_NORMALISATION}",
            choice(*MODELS[group[0]].normalisations),
            when("model.name", *group),
            path=_NORMALISATION,
        )
        for label, group in groups.items()
        if group
    )


def penalties(names: Iterable[str], normalised: Iterable[str] = tuple(NORMALISATIONS)) -> tuple[Parameter, ...]:
    """Return the choices among the penalties `names`, by D's normalisation, and their knobs.

    Args:
        names: rows of `PENALTIES`.
        normalised: the normalisations that the space has.
    """
    names, normalised = tuple(names), tuple(normalised)
    lists = {"free": ("none", "layer", "instance"), "batch_norm": ("batch",), "spectral_norm": ("spectral",)}
    chosen = [
        Parameter(f"{label}.penalty", choice(*_fitting(names, here[0])), when(_NORMALISATION, *here), path=_PENALTY)
        for label, group in lists.items()
        if (here := [name for name in group if name in normalised])
    ]
    knobs = [
        Parameter(name, distribution, when(_PENALTY, *here), path=path)
        for name, (path, group, distribution) in _PENALTY_KNOBS.items()
        if (here := [name for name in group if name in names])
    ]
    return (*chosen, *knobs)


_PENALTY_KNOBS: Mapping[str, tuple[str, tuple[str, ...], BaseDistribution]] = {
    # The ranges of Lucic et al. 2018 and Kurach et al. 2019.
    "one_centred.weight": ("penalty.weight", ("gradient_penalty", "dragan"), real(0.1, 100.0, log=True)),
    "zero_centred.weight": ("penalty.weight", ("r1", "r2"), real(0.1, 100.0, log=True)),
    "penalty.interval": ("penalty.interval", ("r1", "r2"), choice(1, 4, 16)),
    "l2.weight": ("penalty.weight", ("l2",), real(1e-4, 10.0, log=True)),
    "penalty.limit": ("penalty.limit", ("weight_clip",), real(1e-3, 1.0, log=True)),
}


def _fitting(names: Iterable[str], normalisation: str) -> tuple[str, ...]:
    """Return the penalties that `TrialConfig` takes with `normalisation`."""
    row = NORMALISATIONS[normalisation]
    return tuple(
        name
        for name in names
        if not (PENALTIES[name].per_sample and row.mixes_samples)
        and not (PENALTIES[name].limits_weights and row.reparametrises)
    )


def losses(*names: str) -> tuple[Parameter, ...]:
    """Return the choice among the losses `names` and what depends on it: label smoothing, G's rate control."""
    smoothed = [name for name in names if name in WITH_TARGET]
    bounded = [name for name in names if name in WITH_BOUNDARY]
    controlled = when("rate_control.name", "false_positive_rate")
    return (
        Parameter("loss", choice(*names)),
        Parameter("label_smoothing", choice(0.0, 0.1), when("loss", *smoothed)),
        Parameter("rate_control.name", choice("none", "false_positive_rate"), when("loss", *bounded)),
        Parameter("rate_control.window", choice(50, 200), controlled),
        Parameter("rate_control.low", choice(0.05, 0.1, 0.2), controlled),
        Parameter("rate_control.high", choice(0.4, 0.5, 0.6), controlled),
        Parameter("rate_control.factor", choice(0.7, 0.9), controlled),
    )


def optimisers(names: Iterable[str] = tuple(OPTIMISERS)) -> tuple[Parameter, ...]:
    """Return one optimiser for G and one for D, learning rates 10^U(-5, -2) as in Lucic et al. 2018."""
    return (*_optimiser(G, tuple(names)), *_optimiser(D, tuple(names)))


def _optimiser(whose: str, names: tuple[str, ...]) -> tuple[Parameter, ...]:
    knobs: dict[str, tuple[tuple[str, ...], BaseDistribution]] = {
        "beta1": (("adam", "adamw"), real(0.0, 0.9)),
        "beta2": (("adam", "adamw"), choice(0.9, 0.99, 0.999)),
        "weight_decay": (("adamw",), real(1e-4, 1e-1, log=True)),
        "alpha": (("rmsprop",), choice(0.9, 0.99)),
        "momentum": (("sgd",), choice(0.0, 0.5, 0.9)),
    }
    return (
        Parameter(f"{whose}.name", choice(*names)),
        Parameter(f"{whose}.lr", real(1e-5, 1e-2, log=True)),
        Parameter(f"{whose}.clip_norm", choice(0.0, 1.0, 10.0)),
        *(
            Parameter(f"{whose}.{knob}", distribution, when(f"{whose}.name", *here))
            for knob, (group, distribution) in knobs.items()
            if (here := [name for name in group if name in names])
        ),
    )


def latents(*names: str) -> tuple[Parameter, ...]:
    """Return the choice among the latents `names` and their knobs."""
    return (
        Parameter("latent.name", choice(*names)),
        Parameter("latent.dimension", integer(16, 256, log=True)),
        Parameter("latent.noise_std", choice(0.0, 0.1, 0.3)),
        *(
            Parameter(f"latent.{knob}", distribution, when("latent.name", name))
            for name, (knob, distribution) in _LATENT_KNOBS.items()
            if name in names
        ),
    )


_LATENT_KNOBS: Mapping[str, tuple[str, BaseDistribution]] = {
    "truncated_normal": ("bound", choice(1.0, 1.5, 2.0)),
    "class_conditional": ("separation", real(0.5, 8.0, log=True)),
}


def augmentations() -> tuple[Parameter, ...]:
    """Return the choice of DiffAugment or none, with its policies."""
    on = when("augmentation.name", "diffaugment")
    return (
        Parameter("augmentation.name", choice("none", "diffaugment")),
        Parameter("augmentation.colour", choice(True, False), on),
        Parameter("augmentation.translation", choice(0.0, 0.125), on),
        Parameter("augmentation.cutout", choice(0.0, 0.25, 0.5), on),
    )


def training() -> tuple[Parameter, ...]:
    """Return how often and in which order G and D move: steps, order, average, batch."""
    return (
        Parameter("n_critic", integer(1, 5)),
        Parameter("update_order", choice("discriminator_first", "generator_first")),
        Parameter("ema_kimg", choice(0.0, 1.0, 5.0, 20.0)),
        Parameter("batch_size", choice(32, 64, 128, 256)),
    )
