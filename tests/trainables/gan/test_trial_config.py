from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import annotated_types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from small_trials import example, refusal, small

from trainables.data import SOURCES, Digits, FashionMnist
from trainables.errors import InvalidInput
from trainables.gan.augmentation import AUGMENTATIONS, NoAugmentation
from trainables.gan.conditioning import CONDITIONINGS, NoConditioning
from trainables.gan.config import TrialConfig
from trainables.gan.latents import LATENTS, NormalLatent
from trainables.gan.losses import LOSSES
from trainables.gan.models import MODELS
from trainables.gan.models.dcgan import Dcgan
from trainables.gan.models.normalisation import NORMALISATIONS
from trainables.gan.optimisers import OPTIMISERS, Adam, RMSprop
from trainables.gan.penalties import PENALTIES, GradientPenalty
from trainables.gan.rate_control import RATE_CONTROLS, NoRateControl
from trainables.variants import Variant

# ------------------------------------------------------------------ every valid configuration, from the classes


def bounds(field: FieldInfo) -> dict[type, float]:
    """The field's limits by kind (Ge, Gt, Le, Lt)."""
    kinds = {annotated_types.Ge: "ge", annotated_types.Gt: "gt", annotated_types.Le: "le", annotated_types.Lt: "lt"}
    return {type(m): getattr(m, kinds[type(m)]) for m in field.metadata if type(m) in kinds}


def whole_numbers(field: FieldInfo) -> st.SearchStrategy[Any]:
    limits = bounds(field)
    assert annotated_types.Gt not in limits
    low, high = limits[annotated_types.Ge], limits.get(annotated_types.Le)
    return st.integers(int(low), int(high if high is not None else limits[annotated_types.Lt] - 1))


def real_numbers(field: FieldInfo) -> st.SearchStrategy[Any]:
    limits = bounds(field)
    low = limits.get(annotated_types.Ge, limits.get(annotated_types.Gt))
    high = limits.get(annotated_types.Le, limits.get(annotated_types.Lt))
    return st.floats(
        low,
        high,
        exclude_min=annotated_types.Gt in limits,
        exclude_max=annotated_types.Lt in limits,
        allow_nan=False,
        allow_infinity=False,
    )


PLAIN: dict[Any, Callable[[FieldInfo], st.SearchStrategy[Any]]] = {
    int: whole_numbers,
    float: real_numbers,
    bool: lambda field: st.booleans(),
}


def values(field: FieldInfo) -> st.SearchStrategy[Any]:
    """What a field with no structure of its own may hold."""
    if get_origin(field.annotation) is Literal:
        return st.sampled_from(get_args(field.annotation))
    return PLAIN[field.annotation](field)


def variants(registry: Mapping[str, type[Variant]]) -> st.SearchStrategy[dict[str, Any]]:
    """Every knob of every row, within its bounds."""
    return st.one_of(
        [st.fixed_dictionaries({n: values(f) for n, f in kind.model_fields.items()}) for kind in registry.values()]
    )


def fit(parts: dict[str, Any]) -> bool:
    """The rules between the parts, once more."""
    normalisation, penalty = NORMALISATIONS[parts["normalisation"]], PENALTIES[parts["penalty"]["name"]]
    loss, control = LOSSES[parts["loss"]], parts["rate_control"]
    return (
        parts["normalisation"] in MODELS[parts["model"]["name"]].normalisations
        and not (penalty.per_sample and normalisation.mixes_samples)
        and not (penalty.limits_weights and normalisation.reparametrises)
        and (loss.smoothed is not None or not parts["label_smoothing"])
        and (control["name"] == "none" or (loss.boundary is not None and control["low"] <= control["high"]))
    )


SIMPLE = ("n_critic", "batch_size", "seed", "ema_kimg", "label_smoothing", "update_order", "reuse_fakes", "precision")
PARTS = {
    "model": MODELS,
    "conditioning": CONDITIONINGS,
    "latent": LATENTS,
    "penalty": PENALTIES,
    "augmentation": AUGMENTATIONS,
    "generator_optimiser": OPTIMISERS,
    "discriminator_optimiser": OPTIMISERS,
    "rate_control": RATE_CONTROLS,
}
CONFIGS = st.fixed_dictionaries(
    {
        "data": st.sampled_from([{"name": "digits", "size": 16}, {"name": "fashion_mnist"}]),
        "normalisation": st.sampled_from(list(NORMALISATIONS)),
        "loss": st.sampled_from(list(LOSSES)),
        "evaluation": st.fixed_dictionaries({"count": st.integers(65, 10**5), "split": st.just("validation")}),
        **{name: variants(registry) for name, registry in PARTS.items()},
        **{name: values(TrialConfig.model_fields[name]) for name in SIMPLE},
        "label_smoothing": st.just(0.0) | st.floats(0, 0.5, exclude_max=True),  # most losses take none
    }
).filter(fit)


@settings(deadline=None)
@given(data=CONFIGS)
def test_goes_through_dict_and_yaml_unchanged(data: dict[str, Any]) -> None:
    config = TrialConfig.from_dict(data)
    plain = config.to_dict()
    assert {key: plain[key] for key in SIMPLE} == {key: data[key] for key in SIMPLE}
    for part in PARTS:
        assert plain[part] == data[part]
    assert TrialConfig.from_dict(plain) == config
    assert TrialConfig.from_yaml(config.to_yaml()) == config
    assert TrialConfig.from_yaml(config.to_yaml()).to_dict() == plain
    assert hash(config) == hash(TrialConfig.from_dict(plain))


def test_a_file_written_by_hand_is_read(tmp_path: Path) -> None:
    file = tmp_path / "trial.yaml"
    file.write_text(
        """
        data: {name: digits}
        model: {name: dcgan, width: 16}
        normalisation: layer
        loss: wasserstein
        penalty: {name: gradient_penalty, weight: 10}
        generator_optimiser: {name: adam, lr: 1e-4, beta1: 0}   # 1e-4 is a string in YAML 1.1
        discriminator_optimiser: {name: rmsprop, lr: 0.0005}
        n_critic: 5
        seed: 3
        """
    )
    assert TrialConfig.read(file) == TrialConfig(
        data=Digits(),
        model=Dcgan(width=16),
        normalisation="layer",
        loss="wasserstein",
        penalty=GradientPenalty(weight=10.0),
        generator_optimiser=Adam(lr=1e-4, beta1=0.0),
        discriminator_optimiser=RMSprop(lr=5e-4),
        n_critic=5,
        seed=3,
    )


def test_what_is_left_out_has_its_default() -> None:
    config = TrialConfig.from_dict({"data": {"name": "fashion_mnist"}, "model": {"name": "dcgan"}, "seed": 0})
    assert config.data == FashionMnist()
    assert (config.loss, config.normalisation, config.n_critic, config.ema_kimg) == ("nonsaturating", "none", 1, 0)
    assert config.latent == NormalLatent(dimension=64, noise_std=0.0)
    assert (config.conditioning, config.augmentation) == (NoConditioning(), NoAugmentation())
    assert (config.rate_control, config.label_smoothing) == (NoRateControl(), 0)
    assert (config.update_order, config.precision) == ("discriminator_first", "float32")
    assert (config.generator_optimiser.decay_kimg, config.generator_optimiser.clip_norm) == (0, 0)
    assert config.generator_optimiser == config.discriminator_optimiser == Adam(lr=2e-4, beta1=0.5, beta2=0.999)
    assert list(config.to_dict()) == list(TrialConfig.model_fields)  # and all of it is written out


def test_is_frozen_all_the_way_down() -> None:
    config = small()
    with pytest.raises(ValidationError, match="frozen"):
        config.seed = 3  # type: ignore[misc]
    for name in TrialConfig.model_fields:
        part = getattr(config, name)
        for field in getattr(type(part), "model_fields", {}):
            with pytest.raises(ValidationError, match="frozen"):
                setattr(part, field, getattr(part, field))


# ----------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batchsize": 3}, ["'batchsize'", "did you mean 'batch_size'"]),
        ({"frobnicate": 3}, ["'frobnicate'", "remove it"]),
        ({"loss": "wgan"}, ["loss = 'wgan'", *LOSSES]),
        ({"normalisation": "weight"}, ["normalisation = 'weight'", *NORMALISATIONS]),
        ({"model": {"name": "biggan"}}, ["model", "'biggan'", *MODELS]),
        ({"latent": {"name": "cauchy"}}, ["latent", "'cauchy'", *LATENTS]),
        ({"conditioning": {"name": "film"}}, ["conditioning", "'film'", *CONDITIONINGS]),
        ({"augmentation": {"name": "ada"}}, ["augmentation", "'ada'", *AUGMENTATIONS]),
        ({"rate_control": {"name": "pid"}}, ["rate_control", "'pid'", *RATE_CONTROLS]),
        ({"penalty": {"name": "r9"}}, ["penalty", "'r9'", *PENALTIES]),
        ({"generator_optimiser": {"name": "sgdx", "lr": 1}}, ["generator_optimiser", "'sgdx'", *OPTIMISERS]),
        ({"data": {"name": "imagenet"}}, ["data", "'imagenet'", *SOURCES]),
        ({"penalty": {"weight": 1}}, ["'penalty.name' is missing", "choose one of none"]),
        ({"penalty": {"name": "gradient_penalty"}}, ["'penalty.weight' is missing", "give it"]),
        ({"generator_optimiser": {"name": "adam"}}, ["'generator_optimiser.lr' is missing", "give it"]),
        ({"penalty": {"name": "none", "weight": 10}}, ["'penalty.weight'", "remove it"]),
        (
            {"penalty": {"name": "weight_clip", "limit": 0.1, "weight": 10}},
            ["'penalty.weight'", "remove it"],
        ),
        (
            {"generator_optimiser": {"name": "rmsprop", "lr": 1, "beta1": 0.5}},
            ["'generator_optimiser.beta1'", "remove"],
        ),
        ({"model": {"name": "dcgan", "depth": 2}}, ["'model.depth'"]),
        ({"seed": -1}, ["seed = -1", "greater than or equal to 0"]),
        ({"seed": 2**63}, [f"seed = {2**63}", "less than"]),
        ({"seed": None}, ["seed = None", "valid integer"]),
        ({"batch_size": 1}, ["batch_size = 1", "greater than or equal to 2"]),
        ({"n_critic": 0}, ["n_critic = 0", "greater than or equal to 1"]),
        ({"n_critic": 1.5}, ["n_critic = 1.5", "integer"]),
        ({"ema_kimg": float("nan")}, ["ema_kimg = nan", "finite"]),
        ({"penalty": {"name": "gradient_penalty", "weight": float("inf")}}, ["weight = inf", "finite"]),
        ({"penalty": {"name": "gradient_penalty", "weight": 0}}, ["weight = 0", "greater than 0"]),
        ({"generator_optimiser": {"name": "adam", "lr": 1, "beta1": 1.0}}, ["beta1 = 1.0", "less than 1"]),
        ({"penalty": {"name": "r1", "weight": 1, "interval": 0}}, ["interval = 0", "greater than or equal to 1"]),
        ({"penalty": {"name": "r2"}}, ["'penalty.weight' is missing", "give it"]),
        ({"latent": {"name": "truncated_normal", "bound": 0}}, ["bound = 0", "greater than 0"]),
        ({"latent": {"name": "normal", "noise_std": -1}}, ["noise_std = -1", "greater than or equal to 0"]),
        ({"generator_optimiser": {"name": "sgd", "lr": 1, "momentum": 1}}, ["momentum = 1", "less than 1"]),
        ({"generator_optimiser": {"name": "sgd", "lr": 1, "decay_kimg": -1}}, ["decay_kimg = -1"]),
        ({"generator_optimiser": {"name": "sgd", "lr": 1, "clip_norm": -1}}, ["clip_norm = -1"]),
        ({"label_smoothing": 0.5}, ["label_smoothing = 0.5", "less than 0.5"]),
        ({"update_order": "both"}, ["update_order = 'both'", "'discriminator_first' or 'generator_first'"]),
        ({"precision": "fp16"}, ["precision = 'fp16'", "'float32' or 'bf16'"]),
        ({"rate_control": {"name": "false_positive_rate", "low": 0.6}}, ["low 0.6 is above high 0.5", "swap them"]),
        ({"evaluation": {"cuont": 300}}, ["'evaluation.cuont'", "did you mean 'count'"]),
        ({"frobnicate": 3, "seed": -1}, ["(and 1 more)"]),
    ],
)
def test_one_line_says_the_value_the_rule_and_what_to_do(changes: dict[str, Any], said: list[str]) -> None:
    message = refusal(**changes)
    assert message.startswith("trial configuration: ")
    assert "\n" not in message
    assert len(message) < 300
    assert [part for part in said if part not in message] == []


def combinations(wrong: Callable[[str, str, str], bool]) -> list[tuple[str, str, str]]:
    """Model, normalisation and penalty of all rows for which `wrong` holds."""
    return [row for row in product(MODELS, NORMALISATIONS, PENALTIES) if wrong(*row)]


def together(model: str, normalisation: str, penalty: str) -> dict[str, Any]:
    return {
        "model": example(MODELS[model]),
        "normalisation": normalisation,
        "penalty": example(PENALTIES[penalty]),
    }


def mixing(model: str, normalisation: str, penalty: str) -> bool:
    fits = normalisation in MODELS[model].normalisations
    return fits and NORMALISATIONS[normalisation].mixes_samples and PENALTIES[penalty].per_sample


def rescaling(model: str, normalisation: str, penalty: str) -> bool:
    fits = normalisation in MODELS[model].normalisations
    return fits and NORMALISATIONS[normalisation].reparametrises and PENALTIES[penalty].limits_weights


@pytest.mark.parametrize(("model", "normalisation", "penalty"), combinations(mixing))
def test_a_penalty_per_sample_beside_a_norm_over_the_batch_is_refused(
    model: str, normalisation: str, penalty: str
) -> None:
    message = refusal(**together(model, normalisation, penalty))
    assert f"{penalty!r} is defined per sample, but normalisation {normalisation!r}" in message
    assert "use layer, spectral or none" in message


@pytest.mark.parametrize(("model", "normalisation", "penalty"), combinations(rescaling))
def test_a_limit_on_weights_that_are_rescaled_is_refused(model: str, normalisation: str, penalty: str) -> None:
    message = refusal(**together(model, normalisation, penalty))
    assert f"{penalty!r} limits the weights that normalisation {normalisation!r}" in message
    assert "use one of the two" in message


def test_the_pairs_that_everyone_tries_are_among_them() -> None:
    assert set(combinations(mixing)) >= {(model, "batch", "gradient_penalty") for model in ("mlp", "dcgan")}
    assert set(combinations(rescaling)) >= {(model, "spectral", "weight_clip") for model in ("mlp", "dcgan")}
    penalties = {penalty for _, _, penalty in combinations(mixing)}
    assert penalties == {"gradient_penalty", "dragan", "r1", "r2"}
    assert {penalty for _, _, penalty in combinations(rescaling)} == {"weight_clip", "l2"}


@pytest.mark.parametrize("loss", [name for name, row in LOSSES.items() if row.smoothed is None])
def test_smoothing_the_labels_of_a_loss_without_a_target_is_refused(loss: str) -> None:
    message = refusal(loss=loss, label_smoothing=0.1)
    assert f"label_smoothing 0.1 needs a loss with a target for real images, but {loss!r} has none" in message
    assert "use minimax, nonsaturating, lsgan, or 0" in message
    assert small(loss=loss, label_smoothing=0).loss == loss


@pytest.mark.parametrize("loss", [name for name, row in LOSSES.items() if row.boundary is None])
def test_counting_what_a_loss_without_a_boundary_takes_for_real_is_refused(loss: str) -> None:
    message = refusal(loss=loss, rate_control={"name": "false_positive_rate"})
    assert f"the scores of loss {loss!r} have no such boundary" in message
    assert "use minimax, nonsaturating, lsgan, hinge, or rate_control none" in message


def test_a_trial_uses_labels_if_one_of_its_parts_does() -> None:
    assert not small().uses_labels
    assert small(conditioning={"name": "projection"}).uses_labels
    assert small(latent={"name": "class_conditional"}).uses_labels


def test_a_normalisation_that_does_not_fit_the_model_is_refused() -> None:
    message = refusal(model={"name": "mlp"}, normalisation="instance")
    assert "normalisation 'instance' does not fit model 'mlp'; use none, batch, layer, spectral" in message


@pytest.mark.parametrize("data", [None, [], "mlp", 3])
def test_what_is_no_mapping_is_refused(data: Any) -> None:
    kind = type(data).__name__ if data is not None else NoneType.__name__
    with pytest.raises(InvalidInput, match=f"expected keys and values, got {kind}"):
        TrialConfig.from_dict(data)


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\x00", "seed: 2001-13-45", "- 1", ""])
def test_what_is_no_yaml_mapping_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^best\.yaml: ") as refused:
        TrialConfig.from_yaml(text, "best.yaml")
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, content in ((tmp_path / "absent.yaml", None), (tmp_path / "latin.yaml", b"name: \xff")):
        if content:
            path.write_bytes(content)
        with pytest.raises(InvalidInput, match="cannot be read") as refused:
            TrialConfig.read(path)
        assert str(path) in str(refused.value)
