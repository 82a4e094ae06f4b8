"""Events: what goes in comes out, and nothing else does."""

import json
import math
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import METRICS, OPENED, STORY, planned, reported, retraining_ended, retraining_reported, retraining_started

from study.ledger.event_base import Count, Metrics, Number, Object
from study.ledger.events import (
    CONFIRM,
    EVALUATION,
    KINDS,
    NOISE,
    SEED,
    AttemptStarted,
    Ended,
    Event,
    NoiseMeasured,
    Reported,
    RetrainingPlanned,
    StudyChanged,
    WarmStarted,
    from_json,
    to_json,
)
from study.ledger.warm_start_event import TEACHING
from trainables.errors import CorruptFile

finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    Count: st.integers(0, 2**60),
    Number: st.integers(1, 2**60),
    float: finite.filter(lambda x: x >= 0),
    str: st.text(),
    Object: st.dictionaries(st.text(), values, max_size=3),
    Metrics: st.dictionaries(st.text(), finite, max_size=3).map(lambda d: {**d, "fid": 1.0}),
    Count | None: st.none() | st.integers(0, 2**60),
    float | None: st.none() | finite,
    str | None: st.none() | st.text(),
    list[Count]: st.lists(st.integers(0, 2**60), min_size=1, max_size=5, unique=True),
    Metrics | None: st.dictionaries(st.text(), finite, max_size=3).map(lambda d: {**d, "fid": 1.0}),
}


def events_of(cls: type[Event]) -> st.SearchStrategy[Event]:
    parts = {field.name: _BY_TYPE[field.type] for field in fields(cls) if field.type in _BY_TYPE}  # type: ignore[arg-type]
    if issubclass(cls, AttemptStarted | Reported | Ended):  # of a trial, or of a retraining
        known = {"seed": st.just(0), "budget": st.just(0)} | (
            {"chosen": st.none(), "test": st.none()} if cls is Ended else {}
        )
        state = {"state": st.sampled_from(["diverged", "failed"]), "rung": st.none()} if cls is Ended else {}
        again = {"seed": st.integers(1, 2**60), "budget": st.just(2**60), **state}
        stopped = {"state": st.just("stopped")} if cls is Ended else {}
        both = st.builds(cls, **parts | known | stopped) | st.builds(cls, **parts | known | again)
        if cls is not Ended:
            return both
        evaluated = {"state": st.just("completed"), "chosen": st.integers(1, 2**60), "test": _BY_TYPE[Metrics]}
        return both | st.builds(cls, **parts | again | evaluated)
    if cls is RetrainingPlanned:
        parts["group"] = st.sampled_from([CONFIRM, NOISE])
    if cls is WarmStarted:
        curves = st.dictionaries(st.integers(0, 99).map(str), finite, max_size=3)
        fields_of_trial = {"params": st.dictionaries(st.text(), values, max_size=3), "curve": curves}
        trial = st.fixed_dictionaries({**fields_of_trial, "state": st.sampled_from(sorted(TEACHING))})
        parts["trials"] = st.dictionaries(st.integers(0, 10**6).map(str), trial, max_size=3)
    if cls is NoiseMeasured:
        parts["source"] = st.sampled_from([EVALUATION, SEED])
        measured = st.builds(cls, **{**parts, "fid": finite, "cause": st.none()})
        return measured | st.builds(cls, **{**parts, "fid": st.none(), "cause": st.text()})
    return st.builds(cls, **parts)


@pytest.mark.parametrize("cls", KINDS.values())
@settings(deadline=None)
@given(data=st.data())
def test_an_event_comes_back_as_it_was_written(cls: type[Event], data: st.DataObject) -> None:
    event = data.draw(events_of(cls))
    text = to_json(event)
    assert text.isascii()
    assert from_json(event.kind, text) == event
    assert to_json(from_json(event.kind, text)) == text


def leaves(cls: type[Event]) -> set[type[Event]]:
    """The classes under `cls` that no other is under: those between are bases only."""
    below = cls.__subclasses__()
    return set().union(*map(leaves, below)) if below else {cls}


def test_the_table_of_kinds_names_every_event() -> None:
    assert all(cls.kind == kind for kind, cls in KINDS.items())
    assert set(KINDS.values()) == leaves(Event)
    assert {type(event) for event in STORY} == set(KINDS.values())


def test_keys_tell_events_apart() -> None:
    expected = ["study", "warm/other", "trial/0", "attempt/0/1", "report/0/10", "end/0/1", "change/1"]
    assert [event.key for event in STORY[:7]] == expected
    assert len({event.key for event in STORY}) == len(STORY)
    assert STORY[-1].key == "noise/0/10/evaluation/1"
    expected = ["confirm/1", "confirm-attempt/20/0/1/1", "confirm-report/20/0/1/20", "confirm-end/20/0/1/1"]
    assert [event.key for event in STORY[-5:-1]] == expected
    assert reported(0, 10, fid=1.0, attempt=1).key == reported(0, 10, fid=2.0, attempt=2).key


def test_the_text_does_not_depend_on_the_order_of_keys() -> None:
    forward = Reported(0, 1, 1, {"fid": 1.0, "a": 2.0})
    backward = Reported(0, 1, 1, {"a": 2.0, "fid": 1.0})
    assert to_json(forward) == to_json(backward)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused_with_the_key(bad: float) -> None:
    with pytest.raises(ValueError, match=r"^reported: metrics\.loss_g = .*: Input should be a finite number$"):
        to_json(Reported(3, 40, 1, {**METRICS, "loss_g": bad}))
    with pytest.raises(ValueError, match=r"^study_changed: config\.a\.1\.b = .*: Input should be a finite number$"):
        to_json(StudyChanged(2, {"a": [0.0, {"b": bad}]}))


def test_values_that_are_not_plain_data_are_refused() -> None:
    with pytest.raises(ValueError, match=r"study_changed: config\.path = <object .*not a valid JSON value"):
        to_json(StudyChanged(1, {"path": object()}))
    with pytest.raises(ValueError, match=r"study_changed: config\.a\.3 = 3: Input should be a valid string"):
        to_json(StudyChanged(1, {"a": {3: 1}}))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: AttemptStarted(0, 0), "attempt = 0"),
        (lambda: AttemptStarted(-1, 1), "trial = -1"),
        (lambda: AttemptStarted(True, 1), "trial = True: Input should be a valid integer"),
        (lambda: Reported(0, 10, 1, {"loss_g": 1.0}), "no 'fid'"),
        (lambda: Reported(0, 10, 1, {"fid": "50"}), "metrics.fid = '50': Input should be a valid number"),  # type: ignore[dict-item]
        (lambda: Reported(0, 2.5, 1, METRICS), "kimg = 2.5: Input should be a valid integer"),  # type: ignore[arg-type]
        (lambda: Ended(0, 1, 10, "lost", None, None), "state = 'lost'"),
        (lambda: Ended(0, 1, 10, "completed", 10, None), "only 'stopped' has a rung"),
        (lambda: StudyChanged(0, {}), "revision = 0"),
        (lambda: NoiseMeasured(0, 10, "weather", 1, 5.0, None), "source = 'weather'"),
        (lambda: NoiseMeasured(0, 10, "seed", 0, 5.0, None), "index = 0"),
        (lambda: NoiseMeasured(0, 0, "seed", 1, 5.0, None), "kimg = 0"),
        (lambda: NoiseMeasured(0, 10, "seed", 1, None, None), "the one or the other"),
        (lambda: NoiseMeasured(0, 10, "seed", 1, 5.0, "why"), "the one or the other"),
        (lambda: planned(0, [1], 2, 20, "f", "t"), "number = 0"),
        (lambda: planned(1, [], 2, 20, "f", "t"), r"trials = \[\]"),
        (lambda: planned(1, [3, 3], 2, 20, "f", "t"), r"trials = \[3, 3\]"),
        (lambda: planned(1, [-3], 2, 20, "f", "t"), r"trials\.0 = -3"),
        (lambda: planned(1, [1.5], 2, 20, "f", "t"), r"trials\.0 = 1.5: Input should be a valid integer"),  # type: ignore[list-item]
        (lambda: planned(1, [1], 0, 20, "f", "t"), "seeds = 0"),
        (lambda: retraining_started(0, 0, 20, 1), "seed = 0"),
        (lambda: retraining_reported(0, 1, 20, 1, 10, {}), "no 'fid'"),
        (lambda: retraining_reported(0, 1, 20, 1, 30, METRICS), "past the budget"),
        (lambda: retraining_ended(0, 1, 20, 1, 20, "stopped", None, None, None), "state = 'stopped'"),
        (lambda: retraining_ended(0, 1, 20, 1, 20, "completed", None, 20, None), "completed with"),
        (lambda: retraining_ended(0, 1, 20, 1, 20, "failed", "why", 20, {"fid": 1.0}), "failed with"),
        (lambda: retraining_ended(0, 1, 20, 1, 20, "completed", None, 20, {"kid": 1.0}), "no 'fid'"),
    ],
)
def test_an_impossible_event_cannot_be_built(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        ("x", {}, "String should match pattern"),
        ("01", {}, "String should match pattern"),
        ("-1", {}, "String should match pattern"),
        ("1", {"more": 1}, "unknown key 'trials.1.more'"),
        ("1", {"state": "failed"}, "trials.1.state = 'failed'"),
        ("1", {"params": []}, "trials.1.params"),
        ("1", {"curve": {"ten": 1.0}}, "trials.1.curve"),
        ("1", {"curve": {"10": "low"}}, "trials.1.curve.10 = 'low'"),
        ("1", {"curve": {"10": True}}, "trials.1.curve.10 = True"),
        ("1", {"curve": [1.0]}, "trials.1.curve"),
    ],
)
def test_an_impossible_earlier_trial_cannot_be_built(number: str, change: dict[str, Any], message: str) -> None:
    trial: dict[str, Any] = {"params": {}, "state": "stopped", "curve": {"10": 1.0}}
    WarmStarted("other", "u0", 1, {"1": trial})
    with pytest.raises(ValueError, match=message):
        WarmStarted("other", "u0", 1, {number: {**trial, **change}})


def test_an_unknown_kind_or_field_is_refused() -> None:
    body = json.loads(to_json(OPENED))
    with pytest.raises(CorruptFile, match="unknown kind 'study_burnt'"):
        from_json("study_burnt", to_json(OPENED))
    for name in body:
        without = {key: value for key, value in body.items() if key != name}
        with pytest.raises(CorruptFile, match=rf"missing: \['{name}'\]"):
            from_json(OPENED.kind, json.dumps(without))
    with pytest.raises(CorruptFile, match=r"unknown: \['extra'\]"):
        from_json(OPENED.kind, json.dumps({**body, "extra": 1}))
    with pytest.raises(CorruptFile, match=r"study_opened: uid = 3: Input should be a valid string"):
        from_json(OPENED.kind, json.dumps({**body, "uid": 3}))


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"x"'])
def test_a_body_that_is_no_object_is_refused(body: str) -> None:
    with pytest.raises(CorruptFile, match="JSON"):
        from_json(OPENED.kind, body)
