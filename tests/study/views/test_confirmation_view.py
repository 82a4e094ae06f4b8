"""A confirmation as people see it: on the terminal, in the report, in an exported file; and what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from confirmations import TEST_FINGERPRINT, Fids, confirmed_study
from made_up import big_ledger, study, trial
from rich.console import Console
from toys import toy_config
from typer.testing import CliRunner

from study import cli
from study.analysis.export import export, winner
from study.folder import StudyFolder
from study.ledger.catalogue import load_study
from study.ledger.events import Ended
from study.ledger.ledger import Ledger
from study.ledger.records import Fold, StudyRecord, fold
from study.report.page import report
from study.views.confirmation import plain_confirmation, print_confirmation
from trainables.errors import InvalidInput

STUDY = study(trial(0, {1: 60, 9: 11}), trial(1, {1: 50, 9: 10}), evaluation={"count": 300}, resources={"cpus": 1})
GOOD: Fids = {1: (12.0, 14.0), 2: (10.0, 11.0), 3: (11.0, 14.0)}
POOR: Fids = {1: (44.0, 45.0), 2: (41.0, 41.5), 3: (44.0, 44.0)}
LOST: Fids = {1: (3.0, 3.0), 2: "diverged", 3: (3.0, 3.0)}


def with_found(first: Fids, second: Fids) -> StudyRecord:
    return confirmed_study(STUDY, {1: first, 0: second}, 3, [1, 0])


def text_of(record: StudyRecord, tmp_path: Path) -> str:
    console = Console(record=True, width=200, file=(tmp_path / "out").open("w"))
    print_confirmation(record, StudyFolder(tmp_path, "toy"), console)
    return console.export_text()


def test_a_clear_winner_is_said_to_be_ahead_with_its_numbers(tmp_path: Path) -> None:
    text = text_of(with_found(POOR, GOOD), tmp_path)
    first = next(line for line in text.splitlines() if line.strip().startswith("0 "))
    assert first.split()[:6] == ["0", "11.00", "11.00", "+0.00", "13.00", "1.73"]
    assert "confirmed best: trial 0, mean test FID 13.00 over 3 seeds" in text
    assert "it is ahead of trial 1: test FID lower by 30.50" in text
    assert "Student's t over 3 pairs" in text
    assert "selection bias: the study's FIDs of these 2 are 16.50 below" in text  # (10 - 43 + 0) / 2
    assert f"validation images ({'f' * 16})" in text
    assert f"test images ({TEST_FINGERPRINT})" in text


def test_what_was_lost_is_told_and_a_lower_mean_over_fewer_seeds_does_not_win(tmp_path: Path) -> None:
    text = text_of(with_found(GOOD, LOST), tmp_path)
    assert "2 of 3, 1 diverged" in text
    assert "trial 0 with seed 2 diverged at 0 kimg: Diverged: <loss_d> became non-finite" in text
    assert "trial 0 has a lower mean test FID, 3.00, but over 2 of 3, 1 diverged seeds only: it cannot win" in text
    assert "confirmed best: trial 1" in text
    assert "is not known: no other completed as many seeds" in text


def test_a_winner_that_lost_seeds_says_so(tmp_path: Path) -> None:
    text = text_of(with_found({**GOOD, 2: "failed"}, {**POOR, 2: "diverged"}), tmp_path)
    assert "trial 1 lost 1 of 3 retrainings" in text
    assert "confirmed best: trial 1" in text


def test_an_unfinished_or_outdated_one_says_how_to_go_on_and_names_no_winner(tmp_path: Path) -> None:
    unfinished = text_of(with_found(GOOD, {1: (3.0, 3.0), 2: "interrupted"}), tmp_path)
    assert "4 of 6 retrainings are done; go on with: ganstudy confirm toy --top 2 --seeds 3" in unfinished
    assert "confirmed best" not in unfinished
    outdated = text_of(confirmed_study(STUDY, {0: GOOD, 1: POOR}, 3, [0, 1]), tmp_path)
    assert "the study has gone on since" in outdated
    assert "confirmed best" not in outdated


def with_newer(record: StudyRecord) -> StudyRecord:
    """The same with a plan of 5 seeds that has just been made."""
    (plan,) = record.confirmation.plans
    newer = replace(plan, number=2, seeds=5)
    return replace(record, plans=(plan, newer))


def test_an_unfinished_newer_plan_is_told_and_the_winner_stays(tmp_path: Path) -> None:
    record = with_newer(with_found(POOR, GOOD))
    text = text_of(record, tmp_path)
    assert "a newer plan, the best 2 with 5 seeds each, is unfinished: 6 of 10 retrainings are done" in text
    assert "go on with: ganstudy confirm toy --top 2 --seeds 5" in text
    assert "confirmed best: trial 0, mean test FID 13.00 over 3 seeds" in text
    data = plain_confirmation(record)
    assert (data["winner"], data["seeds"], data["complete"]) == (0, 3, True)
    assert data["newer_unfinished"] == {"trials": [1, 0], "seeds": 5, "retrainings": 10, "ended": 6}
    best = winner(record)
    assert best is not None
    export(record, best, tmp_path / "best.yaml")
    told = yaml.safe_load((tmp_path / "best.yaml").read_text())["origin"]
    assert (told["trial"], told["confirmation"]["best"], told["confirmation"]["seeds"]) == (0, True, 3)


def test_what_failed_can_be_tried_again_and_what_diverged_not(tmp_path: Path) -> None:
    again = "try it again: ganstudy confirm toy --top 2 --seeds 3"
    assert again in text_of(with_found(POOR, {**GOOD, 2: "failed"}), tmp_path)
    assert again not in text_of(with_found(POOR, {**GOOD, 2: "diverged"}), tmp_path)


@pytest.mark.parametrize(("seeds", "code"), [(1, 3), (3, 0)])
def test_the_exit_code_is_of_the_plan_just_run(
    seeds: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first seed of both diverged: of a plan with one seed nothing completed, whatever an older one found."""
    record = with_found({**POOR, 1: "diverged"}, {**GOOD, 1: "diverged"})
    (plan,) = record.confirmation.plans
    plans = (plan, replace(plan, number=2, seeds=seeds))
    config = toy_config(storage={"path": str(tmp_path)})
    record = replace(record, config=config.to_dict(), plans=plans)
    big_ledger(config, tmp_path, trials=4)
    monkeypatch.setattr(Fold, "record", lambda fold, live: record)
    assert CliRunner().invoke(cli.app, ["confirm", "toy", "--storage", str(tmp_path)]).exit_code == code


def test_json_holds_all_of_it() -> None:
    data = json.loads(json.dumps(plain_confirmation(with_found(POOR, GOOD))))
    assert (data["winner"], data["complete"], data["paired"]["ahead"]) == (0, True, True)
    assert data["paired"]["differences"] == [31.0, 30.5, 30.0]
    assert [r["test"]["fid"] for r in data["configurations"][0]["retrainings"]] == [14.0, 11.0, 14.0]
    assert (data["fid_fingerprint"], data["test_fingerprint"]) == ("f" * 16, TEST_FINGERPRINT)
    nothing = plain_confirmation(with_found({1: "failed"}, {1: "diverged"}))
    assert nothing["winner"] is None
    assert nothing["configurations"][0]["test_mean"] is None


@pytest.mark.parametrize(
    "found", [(POOR, GOOD), (GOOD, LOST), ({1: "diverged"}, {1: "failed"}), ({}, {1: "interrupted"}), (GOOD, {})]
)
def test_the_report_has_it_whatever_became_of_it(found: tuple[Fids, Fids], tmp_path: Path) -> None:
    page = report(with_found(*found), StudyFolder(tmp_path, "toy"))
    assert "<h2>Confirmed with fresh seeds, on test images</h2>" in page
    assert ("FID on test images, a row per configuration" in page) == any(
        isinstance(f, tuple) for fids in found for f in fids.values()
    )
    assert "<loss_d>" not in page
    assert "Confirmed with" not in report(STUDY, StudyFolder(tmp_path, "toy"))


def test_export_takes_the_confirmed_winner_and_says_how_it_was_confirmed(tmp_path: Path) -> None:
    record = with_found(POOR, GOOD)
    best = winner(record)
    assert best is not None
    assert best.number == 0
    assert (winner(STUDY) or best).number == 1, "without a confirmation the first of the ranking"
    export(record, best, tmp_path / "best.yaml")
    told = yaml.safe_load((tmp_path / "best.yaml").read_text())["origin"]["confirmation"]
    assert (told["best"], told["ahead_of_second"], told["seeds"], told["seeds_lost"]) == (True, True, 3, 0)
    assert (told["test_fid_mean"], told["test_fid_fingerprint"]) == (13.0, TEST_FINGERPRINT)
    export(record, record.trials[1], tmp_path / "second.yaml")
    assert not yaml.safe_load((tmp_path / "second.yaml").read_text())["origin"]["confirmation"]["best"]
    half = with_found(POOR, {1: (3.0, 3.0)})
    assert (winner(half) or best).number == 1, "an unfinished confirmation decides nothing"
    export(half, half.trials[1], tmp_path / "third.yaml")
    assert "confirmation" not in yaml.safe_load((tmp_path / "third.yaml").read_text())["origin"]


def ganstudy(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(cli.app, [str(a) for a in arguments])
    assert isinstance(done.exception, Exception | SystemExit)
    code = getattr(done.exception, "exit_code", done.exit_code)
    return code, str(done.exception)


def test_a_study_is_refused_before_data_and_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from study.retraining import confirm
    from study.running import driver

    def never(*arguments: object) -> None:
        raise AssertionError("nothing may be loaded or started")

    monkeypatch.setattr(confirm, "prepare", never)
    monkeypatch.setattr(driver, "connected", never)
    config = toy_config(storage={"path": str(tmp_path)})
    folder = big_ledger(config, tmp_path, trials=4, fate="stopped")
    where = ("--storage", tmp_path)
    for options, message in ((("--top", "0"), "--top 0: give at least 1"), (("--seeds", "-2"), "--seeds -2")):
        code, text = ganstudy("confirm", "toy", *options, *where)
        assert code == 2
        assert message in text
    code, text = ganstudy("confirm", "nobody", *where)
    assert (code, "no study 'nobody'" in text) == (2, True)
    code, text = ganstudy("confirm", "toy", *where)
    assert (code, "no trial of toy has completed" in text) == (3, True)
    record = load_study(folder)
    with Ledger.open(folder.ledger, schema="toy", create=False) as ledger, ledger.own("far", 7, "confirm"):
        monkeypatch.setattr(Fold, "record", lambda fold, live: _completed(record))
        code, text = ganstudy("confirm", "toy", *where)
        assert code == 1
        assert "is being run by process 7 on far since" in text
        assert "(ganstudy confirm)" in text


def _completed(record: StudyRecord) -> StudyRecord:
    return replace(record, trials=(trial(0, {9: 10.0}),))


def test_other_data_is_refused_before_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from study.retraining import confirm
    from study.running import driver
    from trainables.evaluation.prepare import Prepared

    started: list[object] = []
    monkeypatch.setattr(driver, "connected", lambda *arguments: started.append(arguments))
    config = toy_config(storage={"path": str(tmp_path)})
    folder = big_ledger(config, tmp_path, trials=4, fate="completed")

    class Other:
        fingerprint = "other"

        def on(self, split: str) -> "Other":
            return self

    prepare: Callable[..., Prepared] = lambda *arguments, **options: Other()  # type: ignore[assignment, return-value]  # noqa: E731
    monkeypatch.setattr(confirm, "prepare", prepare)
    with pytest.raises(InvalidInput, match=r"FID fingerprint other: the study began with f{16}"):
        confirm.confirm(folder, confirm.ConfirmRequest(1, 1), None, Console(quiet=True))
    assert not started


def test_an_end_of_an_old_ledger_is_read_as_before(tmp_path: Path) -> None:
    """A ledger from before confirmations holds none, and a row of one is no row of a trial."""
    folder = big_ledger(toy_config(storage={"path": str(tmp_path)}), tmp_path, trials=4)
    with Ledger.open(folder.ledger, schema="toy", create=False) as ledger:
        rows = ledger.read()
    assert not any(getattr(row.event, "seed", 0) for row in rows)
    record = fold(rows, live=False)
    assert record.confirmation.plan is None
    assert sum(isinstance(row.event, Ended) for row in rows) == len(record.trials)
