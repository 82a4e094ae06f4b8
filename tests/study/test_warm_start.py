"""Warm starts: what is taken from an earlier study, what the sampler makes of it, and that a ledger says it all."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState as OptunaState
from rich.console import Console
from toys import CEILING, Crash, drive, fid_of, toy_config

from study.folder import StudyFolder
from study.ledger.earlier import Earlier, EarlierTrial
from study.ledger.events import Ended, Event, Reported, StudyOpened, TrialProposed, WarmStarted
from study.ledger.ledger import Ledger, Writer
from study.ledger.records import StudyRecord, TrialState, fold
from study.ledger.rows import Row
from study.running.conductor import Conductor
from study.running.plan import Plan, show_plan
from study.running.sampling import Sampling
from study.running.warm_start import check_fingerprints, lesson, lessons, offers, planned
from study.study_file.config import StudyConfig, read_study, refuse_changes
from study.verify.check import Discrepancy
from study.verify.decisions import Replay, check_sampler
from trainables.errors import CorruptFile, GanStudyError, InvalidInput
from trainables.evaluation.image_counts import ImageCounts

COMPLETE, PRUNED = OptunaState.COMPLETE, OptunaState.PRUNED
COUNTS = ImageCounts(10_000)
SCHEDULE = {"grace_kimg": 1, "max_kimg": 9, "reduction_factor": 3}


def begin(config: StudyConfig) -> StudyFolder:
    """What a launch does before the first trial: the ledger's first rows in one transaction."""
    folder = config.folder
    earlier = offers(config)
    check_fingerprints(earlier, "fingerprint")
    folder.path.mkdir(parents=True)
    folder.study_file.write_text(yaml.safe_dump(config.to_dict()))
    opened = StudyOpened(f"uid of {config.name}", config.to_dict(), "fingerprint", 0.5, CEILING, {})
    with Ledger.open(folder.ledger, schema=config.name, create=True) as ledger, ledger.own("host", 1) as writer:
        writer.append(opened, *(offer.earlier.event for offer in earlier))
    return folder


def run(config: StudyConfig, **options: Any) -> StudyRecord:
    begin(config)
    return drive(config.folder.ledger, config, schema=config.name, **options)


def events(folder: StudyFolder) -> list[Event]:
    with Ledger.open(folder.ledger, schema=folder.name, create=False) as ledger:
        return [row.event for row in ledger.read()]


def study_in(root: Path, name: str, **changes: Any) -> StudyConfig:
    return toy_config(name=name, storage={"path": str(root)}, **changes)


def proposals(study: StudyRecord) -> list[tuple[Any, ...]]:
    return [(t.number, t.config, t.params, t.origin, t.state, t.curve) for t in study.trials]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage folder with the study `a`: 12 trials, of which some completed and some were stopped."""
    root = tmp_path_factory.mktemp("runs")
    study = run(study_in(root, "a"))
    assert {TrialState.COMPLETED, TrialState.STOPPED} <= {trial.state for trial in study.trials}
    return root


@pytest.fixture
def mine(root: Path, tmp_path: Path) -> Path:
    """A copy of that storage folder, to write in."""
    shutil.copytree(root, tmp_path / "runs")
    return tmp_path / "runs"


# ------------------------------------------------------------------------------------------- what a trial teaches here

PARAMS = dict(toy_config().space.resolve().baselines[0].params)


def told(state: str, curve: Mapping[int, float], **schedule: Any) -> tuple[Any, ...]:
    config = toy_config(schedule=SCHEDULE | schedule)
    trial = EarlierTrial(3, PARAMS, state, curve)
    frozen = lesson(trial, config.space.resolve(), config.schedule, CEILING, COUNTS)
    return frozen.state, frozen.value, frozen.intermediate_values


CURVE = {1: 70.0, 2: 60.0, 3: 40.0, 4: 45.0, 5: 44.0, 6: 43.0, 7: 42.0, 8: 41.0, 9: 42.0}


def upto(end: int, step: int = 1) -> dict[int, float]:
    return {kimg: fid for kimg, fid in CURVE.items() if kimg <= end and kimg % step == 0}


@pytest.mark.parametrize(
    ("state", "curve", "schedule", "expected"),
    [
        # The same schedule: as an own trial.
        ("completed", CURVE, {}, (COMPLETE, 40.0, CURVE)),
        ("stopped", upto(3), {}, (PRUNED, 40.0, upto(3))),
        ("stopped", upto(2), {}, (PRUNED, 60.0, upto(2))),
        ("diverged", upto(2), {}, (COMPLETE, CEILING, upto(2))),
        ("diverged", {}, {}, (COMPLETE, CEILING, {})),
        # This study ends sooner: what came later does not count, and who got there is complete, however it ended.
        ("completed", CURVE, {"max_kimg": 3}, (COMPLETE, 40.0, upto(3))),
        ("stopped", upto(3), {"max_kimg": 3}, (COMPLETE, 40.0, upto(3))),
        ("diverged", upto(5), {"max_kimg": 3}, (COMPLETE, 40.0, upto(3))),
        ("completed", CURVE, {"max_kimg": 2}, (COMPLETE, 60.0, upto(2))),
        # This study goes on longer: nobody got to its end.
        ("completed", CURVE, {"max_kimg": 27}, (PRUNED, 42.0, CURVE)),
        ("stopped", upto(3), {"max_kimg": 27}, (PRUNED, 40.0, upto(3))),
        ("diverged", upto(8), {"max_kimg": 27}, (COMPLETE, CEILING, upto(8))),
        # This study reports less often: a minimum over more reports would be lower by luck.
        ("completed", CURVE, {"grace_kimg": 2, "max_kimg": 8}, (COMPLETE, 41.0, upto(8, 2))),
        ("completed", CURVE, {"grace_kimg": 5, "max_kimg": 10}, (PRUNED, 44.0, {5: 44.0})),
        # It went past this study's end, and was not judged there.
        ("completed", {4: 45.0, 8: 41.0}, {"grace_kimg": 2, "max_kimg": 6}, (PRUNED, 45.0, {4: 45.0})),
        ("diverged", {4: 45.0, 8: 41.0}, {"grace_kimg": 2, "max_kimg": 6}, (PRUNED, 45.0, {4: 45.0})),
    ],
)
def test_what_an_earlier_trial_is_told_as(
    state: str, curve: Mapping[int, float], schedule: Mapping[str, int], expected: tuple[Any, ...]
) -> None:
    assert told(state, curve, **schedule) == expected


@pytest.mark.parametrize(("state", "feasible"), [("completed", True), ("stopped", True), ("diverged", False)])
def test_only_a_diverged_trial_is_infeasible_and_only_if_it_diverged_by_this_studys_end(
    state: str, feasible: bool
) -> None:
    """Else all complete trials of a shorter study would be diverged ones, and these rank before pruned ones."""
    for end, expected in ((3, True), (9, feasible)):
        config = toy_config(schedule=SCHEDULE | {"max_kimg": end})
        frozen = lesson(
            EarlierTrial(3, PARAMS, state, upto(5)), config.space.resolve(), config.schedule, CEILING, COUNTS
        )
        assert (not frozen.constraints) == expected


@pytest.mark.parametrize(("state", "curve"), [("completed", {3: 40.0}), ("stopped", {}), ("diverged", {11: 40.0})])
def test_a_trial_without_a_report_where_this_study_reports_is_of_no_use(state: str, curve: dict[int, float]) -> None:
    with pytest.raises(InvalidInput, match="this study reports every 2 kimg up to 10"):
        told(state, curve, grace_kimg=2, max_kimg=10)


# ------------------------------------------------------------------------------------------------- what is taken over


def test_every_trial_of_an_equal_study_fits_and_is_told_as_there(mine: Path) -> None:
    folder = begin(study_in(mine, "b", warm_start=["a"]))
    opened, warm = events(folder)
    assert isinstance(opened, StudyOpened)
    assert isinstance(warm, WarmStarted)
    original = fold_of(StudyFolder(mine, "a"))
    config = study_in(mine, "a")
    there = Sampling(config.space.resolve(), "random", 0, 1, CEILING)
    for trial in original.trials:
        there.restore(trial, finished=True)
    earlier = Earlier.of(warm)
    assert (earlier.name, earlier.uid, earlier.finished) == ("a", "uid of a", 12)
    here = list(lessons([earlier], config.space.resolve(), config.schedule, CEILING, COUNTS))
    assert len(here) == 12
    for mine_, theirs in zip(here, there.history.trials, strict=True):
        assert (mine_.state, mine_.value, mine_.params) == (theirs.state, theirs.value, theirs.params)
        assert (mine_.intermediate_values, mine_.distributions) == (theirs.intermediate_values, theirs.distributions)


def fold_of(folder: StudyFolder) -> StudyRecord:
    with Ledger.open(folder.ledger, schema=folder.name, create=False) as ledger:
        return fold(ledger.read(), live=False)


def places(study: StudyRecord, config: StudyConfig) -> dict[int, Mapping[str, Any]]:
    space = config.space.resolve()
    return {trial.number: space.settings_of(trial.params) for trial in study.trials}


def used(config: StudyConfig) -> set[int]:
    return {trial.number for offer in offers(config) for trial in offer.earlier.trials}


def test_a_narrowed_range_takes_the_trials_inside_it(mine: Path) -> None:
    config = study_in(mine, "b", warm_start=["a"], space={"base": "quick", "narrow": {"batch_size": [32, 64]}})
    at = places(fold_of(StudyFolder(mine, "a")), study_in(mine, "a"))
    inside = {number for number, place in at.items() if place["batch_size"] in (32, 64)}
    assert 0 < len(inside) < 12
    assert used(config) == inside


def test_a_fixed_value_takes_the_trials_that_had_it(mine: Path) -> None:
    config = study_in(mine, "b", warm_start=["a"], space={"base": "quick", "fix": {"model.name": "dcgan"}})
    at = places(fold_of(StudyFolder(mine, "a")), study_in(mine, "a"))
    having = {number for number, place in at.items() if place["model.name"] == "dcgan"}
    assert 0 < len(having) < 12
    (offer,) = offers(config)
    assert {trial.number for trial in offer.earlier.trials} == having
    assert all("model.name" not in trial.params for trial in offer.earlier.trials)


def test_what_was_fixed_there_is_a_parameter_here(mine: Path) -> None:
    run(study_in(mine, "fixed", trials=5, space={"base": "quick", "fix": {"batch_size": 32}}))
    (offer,) = offers(study_in(mine, "b", warm_start=["fixed"]))
    assert [trial.params["batch_size"] for trial in offer.earlier.trials] == [32] * 5


def test_two_studies_come_in_the_order_they_are_named(mine: Path) -> None:
    run(study_in(mine, "other", seed=9, trials=6))
    config = study_in(mine, "b", warm_start=["other", "a"])
    folder = begin(config)
    assert [event.source for event in events(folder) if isinstance(event, WarmStarted)] == ["other", "a"]
    with Ledger.open(folder.ledger, schema="b", create=False) as ledger, ledger.own("host", 1) as writer:
        history = Conductor(config, CEILING, writer, ledger.read())._sampling.history.trials
    assert [t.params for t in history] == [
        t.params for name in ("other", "a") for t in fold_of(StudyFolder(mine, name)).trials
    ]


def test_trials_that_failed_or_still_run_teach_nothing(mine: Path) -> None:
    out_of_memory = {"kimg": 0, "ended": "failed", "cause": "out_of_memory: OutOfMemoryError: no"}
    config = study_in(mine, "half", trials=6)
    with pytest.raises(Crash):
        run(config, crash_after=20, concurrency=2)
    unfinished = [trial.number for trial in fold_of(config.folder).trials if trial.unfinished]
    assert unfinished
    assert not used(study_in(mine, "b", warm_start=["half"])) & set(unfinished)
    run(study_in(mine, "lost", trials=2), result=lambda c, k: out_of_memory)
    with pytest.raises(InvalidInput, match=r"warm_start lost: none of its 2 ended trials fits.*failed"):
        offers(study_in(mine, "b", warm_start=["lost"]))


# ----------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["b"], "this study itself"),
        (["a", "a"], "is there twice"),
        (["../a"], "study name"),
        ([""], "study name"),
        ("a", "list"),
    ],
)
def test_impossible_names_are_refused_by_the_study_file(names: Any, says: str, tmp_path: Path) -> None:
    file = tmp_path / "b.yaml"
    file.write_text(yaml.safe_dump(toy_config(name="b").to_dict() | {"warm_start": names}))
    with pytest.raises(InvalidInput, match=says) as caught:
        read_study(file)
    assert "\n" not in str(caught.value)


def one_line(error: pytest.ExceptionInfo[GanStudyError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_an_unknown_study_is_refused(mine: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        offers(study_in(mine, "b", warm_start=["a", "zzz"]))
    assert one_line(caught).startswith("warm_start zzz: no study 'zzz'")


def test_a_damaged_ledger_is_refused(mine: Path) -> None:
    file = StudyFolder(mine, "a").ledger
    file.write_bytes(file.read_bytes().replace(b'"fid":', b'"fie":', 1))
    with pytest.raises(CorruptFile) as caught:
        offers(study_in(mine, "b", warm_start=["a"]))
    assert one_line(caught).startswith("warm_start a: ledger")


def test_a_study_without_an_ended_trial_is_refused(mine: Path) -> None:
    begin(study_in(mine, "fresh"))
    with pytest.raises(InvalidInput) as caught:
        offers(study_in(mine, "b", warm_start=["fresh"]))
    assert "no trial of it has ended" in one_line(caught)


def test_a_study_of_another_space_is_refused_with_a_reason(mine: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        offers(study_in(mine, "b", warm_start=["a"], space={"base": "quick", "fix": {"n_critic": 2}}))
    assert "none of its 12 ended trials fits (trial 0: n_critic" in one_line(caught)


def test_another_fingerprint_is_refused_and_both_are_named(mine: Path) -> None:
    found = offers(study_in(mine, "b", warm_start=["a"]))
    check_fingerprints(found, "fingerprint")
    with pytest.raises(InvalidInput) as caught:
        check_fingerprints(found, "another")
    assert all(name in one_line(caught) for name in ("warm_start a", "fingerprint", "another"))


def test_it_cannot_be_changed_later(tmp_path: Path) -> None:
    before, after = toy_config(name="b", warm_start=["a"]).to_dict(), toy_config(name="b").to_dict()
    for old, new in ((before, after), (after, before)):
        with pytest.raises(InvalidInput, match="warm_start: "):
            refuse_changes(old, new, tmp_path)


def test_a_study_from_before_there_was_such_a_key_goes_on(tmp_path: Path) -> None:
    new = toy_config().to_dict()
    old = {key: value for key, value in new.items() if key != "warm_start"}
    refuse_changes(old, new, tmp_path)


# --------------------------------------------------------------------------------------- the sampler, replay and crash


def test_the_sampler_learns_and_the_study_counts_only_its_own_trials(mine: Path) -> None:
    cold = run(study_in(mine, "b"))
    shutil.rmtree(mine / "b")
    warm = run(study_in(mine, "b", warm_start=["a"]))
    baselines = len(toy_config().space.resolve().baselines)
    assert [t.number for t in warm.trials] == list(range(12))
    assert [t.params for t in warm.trials[:baselines]] == [t.params for t in cold.trials[:baselines]]
    assert all(w.params != c.params for w, c in zip(warm.trials[baselines:], cold.trials[baselines:], strict=True))
    assert warm.trials[0].curve == {k: fid_of(warm.trials[0].config, k) for k in warm.trials[0].curve}, "own rungs only"


def test_earlier_trials_count_as_startup_trials(mine: Path) -> None:
    """With 12 of them and 12 startup trials the first own proposal is the model's, not random."""
    changes: dict[str, Any] = {"sampler": {"name": "tpe", "startup_trials": 12}, "trials": 1}
    changes["space"] = {"base": "quick", "baselines": False}
    random = run(study_in(mine, "b", **changes)).trials[0]
    warm = run(study_in(mine, "c", warm_start=["a"], **changes)).trials[0]
    shutil.rmtree(mine / "c")
    changes["sampler"] = {"name": "tpe", "startup_trials": 13}
    waiting = run(study_in(mine, "c", warm_start=["a"], **changes)).trials[0]
    assert waiting.params == random.params != warm.params


@pytest.fixture(scope="module")
def commits(root: Path) -> tuple[StudyConfig, StudyRecord, list[bytes]]:
    """A warm study, and its ledger's file as each commit left it, from the opening on."""
    config = study_in(root, "crashing", warm_start=["a"], trials=6, space={"base": "quick", "baselines": False})
    place = begin(config).ledger
    after_each, append = [place.read_bytes()], Writer.append

    def observed(writer: Writer, *written: Event) -> list[bool]:
        done = append(writer, *written)
        after_each.append(place.read_bytes())
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "append", observed)
        study = drive(place, config, schema="crashing")
    return config, study, after_each


STEP = 4


@pytest.mark.parametrize("first", [0, *(pytest.param(first, marks=pytest.mark.slow) for first in range(1, STEP))])
def test_a_crash_after_any_commit_changes_nothing_even_without_the_earlier_study(
    commits: tuple[StudyConfig, StudyRecord, list[bytes]], first: int
) -> None:
    """From the opening on; no other study is near the ledger. In memory, where commits wait for no disk."""
    config, whole, after_each = commits
    assert len(after_each) > 6
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        for number in range(first, len(after_each), STEP):
            place = Path(folder) / f"{number}.db"
            place.write_bytes(after_each[number])
            again = drive(place, config, schema="crashing")
            assert proposals(again) == proposals(whole), f"after commit {number}"
            assert again.earlier == whole.earlier


def replayed(rows: Sequence[Row], config: StudyConfig) -> list[tuple[str, dict[str, Any]]]:
    """What the sampler proposes when the ledger is played again, with nothing but its rows."""
    record = fold(rows, live=False)
    space = config.space.resolve()
    sampling = Sampling(space, config.sampler.name, config.seed, config.sampler.startup_trials, record.fid_ceiling)
    sampling.learn(lessons(record.earlier, space, config.schedule, record.fid_ceiling, COUNTS))
    found: list[tuple[str, dict[str, Any]]] = []

    def propose(event: TrialProposed) -> None:
        proposal = sampling.propose(event.trial)
        found.append((proposal.origin, proposal.params))

    def end(event: Ended) -> None:
        trial = record.trials[event.trial]
        sampling.end(trial.number, trial.state, trial.fid_best, trial.fid, trial.cause)

    take: dict[type, Callable[[Any], None]] = {
        TrialProposed: propose,
        Reported: lambda event: sampling.report(event.trial, event.kimg, event.metrics["fid"]),
        Ended: end,
    }
    for row in rows:
        take.get(type(row.event), lambda event: None)(row.event)
    return found


@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate])  # an example is a whole study
@given(data=st.data())
def test_any_fitting_trials_replay_to_the_same_proposals(root: Path, data: st.DataObject) -> None:
    """Any part of an earlier study, under any schedule: the ledger alone gives the same proposals, and verifies."""
    (offer,) = offers(study_in(root, "any", warm_start=["a"]))
    part = data.draw(st.lists(st.sampled_from(offer.earlier.trials), unique_by=lambda t: t.number, max_size=12))
    end, startup = data.draw(st.sampled_from([1, 3, 9, 27])), data.draw(st.integers(1, 14))
    schedule = SCHEDULE | {"max_kimg": end}
    sampler = {"name": data.draw(st.sampled_from(["tpe", "random"])), "startup_trials": startup}
    config = study_in(root, "any", warm_start=["a"], trials=6, schedule=schedule, sampler=sampler)
    earlier = Earlier("a", "uid of a", 12, tuple(sorted(part, key=lambda t: t.number)))
    assert Earlier.of(earlier.event) == earlier
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        place = Path(folder) / "ledger.db"
        with Ledger.open(place, schema="any", create=True) as ledger, ledger.own("host", 1) as writer:
            opened = StudyOpened("uid", config.to_dict(), "fingerprint", 0.5, CEILING, {})
            writer.append(opened, earlier.event)
        study = drive(place, config, schema="any")
        with Ledger.open(place, schema="any", create=False) as ledger:
            rows = ledger.read()
    assert replayed(rows, config) == [(trial.origin, trial.params) for trial in study.trials]
    assert problem(rows, config) is None


# ------------------------------------------------------------------------------------------------------------- verify


def problem(rows: Sequence[Row], config: StudyConfig) -> str | None:
    """What `ganstudy verify` finds wrong with the decisions or the sampler's history."""
    counts = Counter[str]()
    try:
        Replay(config.folder, counts).take(rows)
        check_sampler(fold(rows, live=False), counts)
    except Discrepancy as error:
        return str(error)
    assert counts["earlier trials"] == sum(len(r.event.trials) for r in rows if isinstance(r.event, WarmStarted))
    return None


def rows_with(rows: Sequence[Row], change: Callable[[WarmStarted], list[Event]]) -> list[Row]:
    changed: list[Event] = []
    for row in rows:
        changed += change(row.event) if isinstance(row.event, WarmStarted) else [row.event]
    return [Row(seq, float(seq), 1, event) for seq, event in enumerate(changed, start=1)]


def test_verify_finds_earlier_results_that_are_not_those_named(mine: Path) -> None:
    config = study_in(mine, "b", warm_start=["a"], trials=2)
    run(config)
    with Ledger.open(config.folder.ledger, schema="b", create=False) as ledger:
        rows = ledger.read()
    assert problem(rows, config) is None
    gone = problem(rows_with(rows, lambda event: []), config)
    assert gone is not None
    assert "to begin with the results of a, and has those of no other" in gone
    other = problem(rows_with(rows, lambda event: [replace(event, source="c")]), config)
    assert other is not None
    assert "results of a, and has those of c" in other

    def out_of_range(event: WarmStarted) -> list[Event]:
        first, *_ = event.trials
        wrong = {**event.trials[first], "params": {**event.trials[first]["params"], "generator_optimiser.lr": 9.0}}
        return [replace(event, trials={**event.trials, first: wrong})]

    outside = problem(rows_with(rows, out_of_range), config)
    assert outside is not None
    assert "out of range" in outside


def test_verify_finds_a_lesson_told_wrongly(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own reading of a curve is not the sampler's: a mistake in the one is seen by the other."""
    config = study_in(mine, "b", warm_start=["a"], trials=1)
    run(config)
    with Ledger.open(config.folder.ledger, schema="b", create=False) as ledger:
        rows = ledger.read()

    def worse(*arguments: Any) -> Iterator[optuna.trial.FrozenTrial]:
        for told in lessons(*arguments):
            told.value = told.value and told.value + 1
            yield told

    monkeypatch.setattr("study.verify.decisions.lessons", worse)
    found = problem(rows, config)
    assert found is not None
    assert "of a: its value" in found


# ------------------------------------------------------------------------------------------------------------ dry run


def test_a_dry_run_shows_what_would_be_taken_over_and_of_a_begun_study_what_was(mine: Path) -> None:
    config = study_in(mine, "b", warm_start=["a"], space={"base": "quick", "fix": {"model.name": "mlp"}})
    fitting = len(offers(config)[0].earlier.trials)
    assert 0 < fitting < 12
    before = planned(config)
    begin(config)
    shutil.rmtree(mine / "a")
    assert planned(config) == before
    plan = Plan(config, slots=1, sizes={}, kimg=1.0, costs=(), earlier=before)
    assert plan.to_dict()["warm_start"] == [{"study": "a", "finished": 12, "fitting": fitting}]
    console = Console(file=StringIO(), width=200)
    show_plan(plan, console)
    assert f"{fitting} of 12 finished trials of a fit this study" in console.file.getvalue()  # type: ignore[attr-defined]
    shutil.rmtree(mine / "b")
    with pytest.raises(InvalidInput, match="warm_start a: no study"):
        planned(config)
