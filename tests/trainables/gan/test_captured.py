"""Steps that are captured and replayed train as steps that are taken as they come."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_trials import ROWS, same, small, weights
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from trainables.errors import Diverged, GanStudyError, InvalidInput
from trainables.evaluation.prepare import Prepared
from trainables.gan.captured import CAPTURED, EAGER, STATIC, StaticSteps, Steps, reason_not_captured, steps_for
from trainables.gan.config import TrialConfig
from trainables.gan.finite import FiniteCheck
from trainables.gan.models.dropout import Dropout
from trainables.gan.penalties import PENALTIES, DiscriminatorStep
from trainables.gan.session import MEANS, Session
from trainables.world import SINGLE

BINARY = 2.0**-12
"""A learning rate that float32 holds exactly, as the plain step's double does."""

CONTROL = {"name": "false_positive_rate", "window": 7, "low": 1.0, "high": 1.0, "factor": 0.5, "limit": 64}
"""Halves G's rate after each window: exact in binary."""

CASES: dict[str, dict[str, Any]] = {
    "hinge": {"loss": "hinge", "normalisation": "spectral"},
    "wasserstein": {
        "loss": "wasserstein",
        "normalisation": "layer",
        "n_critic": 5,
        "penalty": {"name": "gradient_penalty", "weight": 10},
    },
    "lazy": {"penalty": {"name": "r1", "weight": 1, "interval": 3}, "n_critic": 2},
    "generator-first": {"update_order": "generator_first", "n_critic": 3, "loss": "relativistic"},
    "average": {"ema_kimg": 1.5},
    "reused": {"reuse_fakes": True, "n_critic": 2, "normalisation": "spectral"},
    "diffaugment": {"augmentation": {"name": "diffaugment"}},
    "dropout": {"model": {"name": "dcgan", "width": 4, "dropout": 0.3}, "normalisation": "batch"},
    "controlled": {"rate_control": CONTROL, "n_critic": 2},
    "conditional": {"conditioning": {"name": "acgan"}, "latent": {"name": "class_conditional", "dimension": 12}},
    "truncated": {"latent": {"name": "truncated_normal", "dimension": 8, "noise_std": 0.1}},
    "bf16": {"precision": "bf16", "penalty": {"name": "r1", "weight": 1, "interval": 3}},
    **{name: {"optimisers": name} for name in ("adam", "adamw", "rmsprop", "sgd")},
    "clipped": {"optimisers": "adam", "clip_norm": 0.05},
}
"""What a captured step could get wrong, a knob at a time."""


def case(name: str, **more: Any) -> TrialConfig:
    """A small trial with exact rates, 20 steps of D to a kimg."""
    changes = dict(CASES[name]) | more
    kind, clip = changes.pop("optimisers", "adam"), changes.pop("clip_norm", 0.0)
    rate = {"name": kind, "lr": BINARY, "clip_norm": clip}
    return small(**{"batch_size": 50, "generator_optimiser": rate, "discriminator_optimiser": rate} | changes)


every_case = pytest.mark.parametrize("name", CASES)


def trained(config: TrialConfig, prepared: Prepared, steps: str, kimg: int = 2, device: str = "cpu") -> Session:
    session = Session(config, prepared, device, steps=steps)
    session.train(kimg)
    return session


def nets(session: Session) -> dict[str, Tensor]:
    both = {"g": session.generator, "d": session.discriminator}
    return {f"{net}.{name}": value for net, module in both.items() for name, value in weights(module).items()}


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor], rtol: float = 1e-5, atol: float = 1e-6) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(
            value, other[name], rtol=rtol, atol=atol, msg=lambda text, name=name: f"{name}: {text}"
        )


# ---------------------------------------------------------------------------------- the same training, on a CPU


@every_case
def test_replayed_steps_train_to_the_last_bit_as_steps_that_come_where_the_rate_is_exact(
    name: str, prepared: Prepared
) -> None:
    config = case(name)
    plain, replayed = Session(config, prepared), Session(config, prepared, steps=STATIC)
    before = nets(plain)
    means = [[getattr(session.train(2), mean) for mean in MEANS] for session in (plain, replayed)]
    assert means[0] == means[1]
    assert same(nets(plain), nets(replayed))
    assert not same(nets(plain), before)
    assert plain.state_dict().keys() == replayed.state_dict().keys()
    assert_close(weights(plain.evaluated), weights(replayed.evaluated))  # the average adds up in another order


@pytest.mark.parametrize("name", ROWS)
def test_replayed_steps_train_every_row_alike(name: str, prepared: Prepared) -> None:
    # Rates are rounded to float32 here: a relative 6e-8 of each move.
    one, other = (trained(ROWS[name], prepared, steps, kimg=1) for steps in (EAGER, STATIC))
    loose = {"rtol": 2e-2, "atol": 1e-3} if ROWS[name].precision == "bf16" else {}
    assert_close(nets(one), nets(other), **loose)
    assert_close(weights(one.evaluated), weights(other.evaluated), **loose)


def test_a_replay_really_repeats_the_work_of_an_old_step(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(case("lazy"), prepared, steps=STATIC)
    worked: list[int] = []
    work = session._stepper.work
    monkeypatch.setattr(session._stepper, "work", lambda step, sums: (worked.append(step), work(step, sums)))
    session.train(2)  # 40 steps: G moves in every second, the penalty is due in every third
    kinds = {step: (step % 2, step % 3 == 0) for step in range(40)}
    first: dict[tuple[int, bool], list[int]] = {}
    for step, kind in kinds.items():
        first.setdefault(kind, []).append(step)
    captured_at = {kind: steps[StaticSteps.WARM_UPS] for kind, steps in first.items()}
    assert worked == [min(step, captured_at[kinds[step]]) for step in range(40)]


@pytest.mark.parametrize("name", ["controlled", "average", "adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize(("before", "after"), [(EAGER, STATIC), (STATIC, EAGER), (STATIC, STATIC)])
def test_goes_on_from_a_checkpoint_of_either_kind(name: str, before: str, after: str, prepared: Prepared) -> None:
    config = case(name)
    straight = trained(config, prepared, EAGER, kimg=2)
    resumed = Session(config, prepared, steps=after)
    if after == STATIC:
        resumed.train(1)  # has captured, and is now given other moments
    resumed.load_state_dict(trained(config, prepared, before, kimg=1).state_dict())
    resumed.train(1)
    assert same(nets(straight), nets(resumed))
    saved, expected = resumed.state_dict(), straight.state_dict()
    for key in ("generator_optimiser", "discriminator_optimiser", "rate_control"):
        assert repr(saved[key]) == repr(expected[key])


# ------------------------------------------------------------------------------------------ what can be captured

READS = ("_local_scalar_dense", "item", "nonzero", "is_nonzero", "equal", "masked_select", "unique", "_pin_memory")
"""Operations for which the host would wait, or whose result has a size that it must wait for."""


class Log(TorchDispatchMode):
    """Keeps every operation with all that a graph bakes in: plain numbers, shapes, types, addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.operations.append((str(func), _baked(args), _baked(sorted(kwargs.items()))))
        return func(*args, **kwargs)


def _baked(value: Any) -> Any:
    if isinstance(value, Tensor):
        return tuple(value.shape), value.dtype, value.device
    if isinstance(value, list | tuple):
        return [_baked(part) for part in value]
    opaque = isinstance(value, torch.Generator | torch.ScriptObject)  # a generator stays, only its seed changes
    return type(value).__name__ if opaque else value


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"rmsprop"}))  # torch makes it capturable on a GPU alone
def test_steps_of_one_kind_are_the_same_operations_with_the_same_numbers(name: str, prepared: Prepared) -> None:
    decaying = {"lr": 1e-3, "decay_kimg": 3}  # all that changes does
    kind = CASES[name].get("optimisers", "adam")
    config = case(name).model_copy(
        update={
            net: getattr(case(name), net).model_copy(update=decaying)
            for net in ("generator_optimiser", "discriminator_optimiser")
        }
    )
    session = Session(config, prepared, steps=STATIC)
    steps, stepper = session._steps, session._stepper
    assert isinstance(steps, StaticSteps)
    session.train(1)
    logs: dict[Any, list[Any]] = {}
    seen: Counter[Any] = Counter()
    for step in range(20, 44):
        stepper.dial(step)
        steps._dial_average(step)
        with Log() as log:
            steps._work(step)
        if (kind := stepper.kind(step)) is not None:
            seen[kind] += 1
            assert log.operations == logs.setdefault(kind, log.operations), step
            names = {entry[0].split(".")[1] for entry in log.operations}
            on_a_cpu = {"_local_scalar_dense"} if name == "conditional" else set()  # one_hot checks its labels there
            assert not names & set(READS) - on_a_cpu
    assert min(seen.values()) >= 2
    assert len(next(iter(logs.values()))) > 50
    if config.rate_control.name != "none":
        assert sum(seen.values()) < 24  # the steps at which a window ends are of no kind


def addresses(session: Session) -> dict[str, int]:
    """Where every tensor lies that outlives a step."""
    found: dict[str, Tensor] = {
        "sums": session._sums,
        **_all("g", session.generator),
        **_all("d", session.discriminator),
    }
    found |= _all("evaluated", session.evaluated)
    for name in ("_g_optimiser", "_d_optimiser"):
        optimiser = getattr(session._stepper, name)
        for number, values in enumerate(optimiser.state.values()):
            found |= {f"{name}.{number}.{key}": value for key, value in values.items() if isinstance(value, Tensor)}
        found[f"{name}.lr"] = optimiser.param_groups[0]["lr"]
    return {name: value.data_ptr() for name, value in found.items()}


def _all(net: str, module: nn.Module) -> dict[str, Tensor]:
    named: Iterable[tuple[str, Tensor]] = [*module.named_parameters(), *module.named_buffers()]
    return {f"{net}.{name}": value for name, value in named}


@every_case
def test_what_outlives_a_step_stays_where_it_is(name: str, prepared: Prepared) -> None:
    session = trained(case(name), prepared, STATIC, kimg=1)
    before = addresses(session)
    session.evaluate()
    session.samples(3)
    session.train(1)
    assert addresses(session) == before
    assert len(before) > 20


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_looks_at_nothing_but_the_phase_of_a_step(name: str) -> None:
    knobs = {"none": {}, "weight_clip": {"limit": 0.1}}.get(name, {"weight": 1.0})
    fields = PENALTIES[name].model_fields
    penalty = PENALTIES[name].model_validate(knobs | ({"interval": 3} if "interval" in fields else {}))
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 1), nn.Softplus(), nn.Flatten(0))
    terms: dict[int, set[float | None]] = {}
    for step in range(8):
        draws = torch.Generator().manual_seed(2)
        real, fake = (torch.randn(5, 1, 2, 2, generator=draws) for _ in range(2))
        nn.init.constant_(net[1].weight, 0.3)
        nn.init.constant_(net[1].bias, 0.0)
        at = DiscriminatorStep(lambda x, y: net(x), list(net.parameters()), real, fake, draws, step, world=SINGLE)
        term = penalty.loss(at)
        terms.setdefault(penalty.phase(step), set()).add(None if term is None else term.item())
    assert all(len(values) == 1 for values in terms.values())
    assert len(terms) == (2 if "interval" in fields else 1)


@pytest.mark.parametrize(
    ("changes", "device", "processes", "reason"),
    [
        ({}, "cuda", 1, None),
        ({"rate_control": CONTROL}, "cuda", 1, None),
        ({}, "cpu", 1, "device cpu: CUDA graphs need a GPU"),
        ({}, "cuda:1", 4, "4 processes: what they send each other cannot be captured"),
        (
            {"rate_control": CONTROL | {"window": 1}},
            "cuda",
            1,
            "rate_control 'false_positive_rate': the host reads from the device at every step",
        ),
    ],
)
def test_says_why_steps_cannot_be_captured(
    changes: dict[str, Any], device: str, processes: int, reason: str | None
) -> None:
    config = small(**changes)
    assert reason_not_captured(config, device, processes) == reason
    assert steps_for(config, device, True, processes) == (EAGER if reason else CAPTURED)
    assert steps_for(config, device, False, processes) == EAGER


def test_graphs_without_a_gpu_are_refused_in_one_line(prepared: Prepared) -> None:
    with pytest.raises(InvalidInput, match=r"^steps 'captured': device cpu: CUDA graphs need a GPU; use 'eager'$"):
        Session(small(), prepared, steps=CAPTURED)


# -------------------------------------------------------------------------- the recording itself, CUDA made up


class Cuda:
    """Stands in for `torch.cuda`: work done while a graph is captured is kept for its replay, and not done."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.graphs: list[Any] = []
        self.beside: list[bool] = []
        stream = SimpleNamespace(wait_stream=lambda other: None)
        cuda = self

        class Graph:
            def __init__(self) -> None:
                self.generators: list[torch.Generator] = []
                self.register_generator_state = self.generators.append
                self.work: list[tuple[Steps, int]] = []
                self.replays = 0
                cuda.graphs.append(self)

            def replay(self) -> None:
                self.replays += 1
                for steps, step in self.work:
                    work(steps, step)

        @contextmanager
        def recording(graph: Any, pool: object, stream: object) -> Iterator[None]:
            patch.setattr(Steps, "_work", lambda steps, step: graph.work.append((steps, step)))
            yield
            patch.setattr(Steps, "_work", work)

        @contextmanager
        def on(stream: object) -> Iterator[None]:
            self.beside.append(True)
            yield

        work = Steps._work
        made = {"Stream": lambda device: stream, "current_stream": lambda device: stream, "stream": on}
        made |= {
            "graph": recording,
            "CUDAGraph": Graph,
            "graph_pool_handle": object,
            "synchronize": lambda device: None,
        }
        for name, value in made.items():
            patch.setattr(torch.cuda, name, value)
        patch.setattr("trainables.gan.session.reason_not_captured", lambda *about: None)


@pytest.mark.parametrize("name", ["lazy", "controlled", "average", "dropout"])
def test_each_kind_of_step_is_captured_once_with_all_generators(
    name: str, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = case(name)
    plain, static = (trained(config, prepared, steps, kimg=2) for steps in (EAGER, STATIC))
    cuda = Cuda(monkeypatch)
    session = trained(config, prepared, CAPTURED, kimg=2)
    assert same(nets(plain), nets(session))
    assert same(weights(static.evaluated), weights(session.evaluated))
    kinds = [session._stepper.kind(step) for step in range(40)]
    assert len(cuda.graphs) == len(set(kinds) - {None})
    assert sum(graph.replays for graph in cuda.graphs) == 40 - len(cuda.beside)
    assert len(cuda.beside) == 3 * len(cuda.graphs) + kinds.count(None)
    dropouts = [layer for layer in session.discriminator.modules() if isinstance(layer, Dropout)]
    assert bool(dropouts) == (name == "dropout")
    for graph in cuda.graphs:
        assert graph.generators == [session._streams.generator, *(layer.generators[0] for layer in dropouts)]
        assert len(graph.work) == 1
    session.load_state_dict(session.state_dict())
    session.train(2)
    assert len(cuda.graphs) == 2 * len(set(kinds) - {None})  # moments lie elsewhere now


def test_a_step_that_cannot_be_captured_is_told_in_one_line(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    Cuda(monkeypatch)

    @contextmanager
    def failing(graph: Any, pool: object, stream: object) -> Iterator[None]:
        raise RuntimeError("operation not permitted\nwhen stream is capturing")
        yield

    monkeypatch.setattr(torch.cuda, "graph", failing)
    message = (
        r"^a training step cannot be captured as a CUDA graph: operation not permitted when stream is capturing; "
        r"set resources\.cuda_graphs to false$"
    )
    with pytest.raises(GanStudyError, match=message):
        Session(case("hinge"), prepared, steps=CAPTURED).train(1)


# ----------------------------------------------------------------------------------------------- still finite?


def test_sums_that_are_not_finite_are_refused_at_once_on_a_cpu() -> None:
    sums = torch.zeros(2, dtype=torch.float64)
    check = FiniteCheck(sums, ("one", "two"))
    check.note(1)
    sums[1] = float("nan")
    with pytest.raises(Diverged, match=r"^two became non-finite by 2 kimg$"):
        check.note(2)


# -------------------------------------------------------------------------------------------------- on a GPU

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@on_a_gpu
@every_case
def test_a_graph_trains_as_steps_that_come_on_a_gpu(name: str, prepared: Prepared) -> None:
    # 40 steps of D: bf16 adds up in other orders from run to run, so it gets more room.
    config = case(name)
    plain, graphed = (trained(config, prepared, steps, device="cuda") for steps in (EAGER, CAPTURED))
    loose = {"rtol": 2e-2, "atol": 2e-3} if config.precision == "bf16" else {"rtol": 1e-4, "atol": 1e-5}
    assert graphed._steps._replays  # type: ignore[attr-defined]
    assert_close(nets(plain), nets(graphed), **loose)
    assert_close(weights(plain.evaluated), weights(graphed.evaluated), **loose)


@on_a_gpu
@every_case
def test_a_graph_goes_on_from_a_checkpoint_on_a_gpu(name: str, prepared: Prepared) -> None:
    config = case(name)
    straight = trained(config, prepared, EAGER, device="cuda")
    resumed = trained(config, prepared, CAPTURED, kimg=1, device="cuda")
    resumed.load_state_dict(trained(config, prepared, CAPTURED, kimg=1, device="cuda").state_dict())
    resumed.train(1)
    loose = {"rtol": 2e-2, "atol": 2e-3} if config.precision == "bf16" else {"rtol": 1e-4, "atol": 1e-5}
    assert_close(nets(straight), nets(resumed), **loose)


@on_a_gpu
def test_evaluating_between_replays_changes_no_training_on_a_gpu(prepared: Prepared) -> None:
    config = case("average")
    quiet, watched = (Session(config, prepared, "cuda", steps=CAPTURED) for _ in range(2))
    quiet.train(2)
    for _ in range(2):
        watched.train(1)
        watched.evaluate()
        watched.samples(3)
    assert_close(nets(quiet), nets(watched), rtol=1e-4, atol=1e-5)


@on_a_gpu
def test_a_gpu_is_told_of_what_is_not_finite_one_note_later() -> None:
    sums = torch.zeros(1, dtype=torch.float64, device="cuda")
    check = FiniteCheck(sums, ("one",))
    sums.fill_(float("inf"))
    check.note(1)
    with pytest.raises(Diverged, match=r"^one became non-finite by 1 kimg$"):
        check.note(2)
    check.note(3)
    with pytest.raises(Diverged, match="by 3 kimg"):
        check.settle()
