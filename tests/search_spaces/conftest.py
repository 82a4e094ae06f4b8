"""A small space that has one of everything."""

import pytest

from search_spaces.distributions import choice, integer, real
from search_spaces.space import Baseline, Condition, Parameter, Space


@pytest.fixture
def small() -> Space:
    """Two models with widths of their own, a penalty that depends on the normalisation, a shared rate."""
    dcgan, mlp = Condition("model.name", ("dcgan",)), Condition("model.name", ("mlp",))
    return Space(
        name="small",
        description="for tests",
        parameters=(
            Parameter("model.name", choice("dcgan", "mlp")),
            Parameter("dcgan.width", integer(8, 32, step=8), (dcgan,), path="model.width"),
            Parameter("mlp.width", integer(64, 512), (mlp,), path="model.width"),
            Parameter("normalisation", choice("none", "batch", "spectral")),
            Parameter(
                "free.penalty",
                choice("none", "gradient_penalty", "weight_clip"),
                (Condition("normalisation", ("none",)),),
                path="penalty.name",
            ),
            Parameter(
                "batch_norm.penalty",
                choice("none", "weight_clip"),
                (Condition("normalisation", ("batch",)),),
                path="penalty.name",
            ),
            Parameter(
                "spectral_norm.penalty",
                choice("none", "gradient_penalty"),
                (Condition("normalisation", ("spectral",)),),
                path="penalty.name",
            ),
            Parameter("penalty.weight", real(0.1, 10.0, log=True), (Condition("penalty.name", ("gradient_penalty",)),)),
            Parameter("penalty.limit", real(0.01, 1.0, log=True), (Condition("penalty.name", ("weight_clip",)),)),
            Parameter("loss", choice("hinge", "lsgan")),
            Parameter("lr", real(1e-5, 1e-2, log=True), path=("generator_optimiser.lr", "discriminator_optimiser.lr")),
            Parameter("batch_size", choice(32, 64)),
        ),
        constants={"generator_optimiser.name": "adam", "discriminator_optimiser.name": "adam", "n_critic": 2},
        baselines=(
            Baseline(
                "plain",
                "a paper",
                {
                    "model.name": "dcgan",
                    "dcgan.width": 16,
                    "normalisation": "batch",
                    "batch_norm.penalty": "none",
                    "loss": "hinge",
                    "lr": 2e-4,
                    "batch_size": 64,
                },
            ),
            Baseline(
                "penalised",
                "another paper",
                {
                    "model.name": "mlp",
                    "mlp.width": 256,
                    "normalisation": "none",
                    "free.penalty": "gradient_penalty",
                    "penalty.weight": 10.0,
                    "loss": "lsgan",
                    "lr": 1e-4,
                    "batch_size": 32,
                },
            ),
        ),
    )
