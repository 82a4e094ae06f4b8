"""Which generators may become the champion: against the one there is, and against noise."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mlflow.tracking import MlflowClient

from study.production import champion_rules
from study.production.champion_registry import WEIGHTS
from study.production.champion_rules import check_better
from study.production.champion_text import Candidate

FACTS = SimpleNamespace(fid=20.0, fid_fingerprint="p", images_judged=5000, weights="new")
CANDIDATE = Candidate(
    cast(Any, FACTS), cast(Any, None), "clothes", "sqlite://", "trial 3 of study", "", {"ganstudy.study": "uid"}, 130.0
)


def champion(fid: float = 13.0, **tags: str) -> SimpleNamespace:
    known = {"fid": f"{fid:.6g}", "fid_fingerprint": "p", "fid_images": "5000", "study": "uid", "trial": "1"}
    named = {f"ganstudy.{name}": value for name, value in (known | tags).items()}
    return SimpleNamespace(version="4", tags=named | {WEIGHTS: tags.get("weights", "old")})


def judged(
    monkeypatch: pytest.MonkeyPatch, there: SimpleNamespace | None, force: bool = False, **changes: Any
) -> list[str]:
    facts = SimpleNamespace(**vars(FACTS) | {k: v for k, v in changes.items() if k in vars(FACTS)})
    others = {k: v for k, v in changes.items() if k not in vars(FACTS)}
    monkeypatch.setattr(champion_rules, "champion_of", lambda client, name: there)
    return check_better(cast(MlflowClient, None), replace(CANDIDATE, facts=cast(Any, facts), **others), force)


def test_the_first_and_a_better_one_need_no_force(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, None) == []
    assert judged(monkeypatch, champion(20.5)) == []
    assert judged(monkeypatch, champion(20.0)) == [], "as good"
    assert judged(monkeypatch, champion(20.0), fid=20.000001) == [], "the tag has six figures"


def test_one_that_is_worse_than_the_champion_or_noise_is_refused_unless_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        Exception,
        match=r"^trial 3 of study is not made the champion of clothes: its FID 20\.00 is worse than that of the "
        r"champion, version 4, 13\.00; choose another, or --force it$",
    ):
        judged(monkeypatch, champion())
    (said,) = judged(monkeypatch, champion(), force=True)
    assert said.startswith("forced: its FID 20.00 is worse than")
    for fid in (130.0, 143.95):
        with pytest.raises(Exception, match=rf"its FID {fid:.2f} is no better than uniform noise's, 130\.00; "):
            judged(monkeypatch, None, fid=fid)
    with pytest.raises(Exception, match=r"noise's, 130\.00, and its FID 143\.95 is worse than"):
        judged(monkeypatch, champion(), fid=143.95)
    assert len(judged(monkeypatch, champion(), fid=143.95, force=True)) == 2


def test_fids_of_another_fingerprint_are_not_compared_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    (said,) = judged(monkeypatch, champion(fid_fingerprint="q"))
    assert said == "the champion until now, version 4, has an FID of another fingerprint, so the two do not compare"


def test_an_fid_of_fewer_images_is_higher_so_it_must_be_the_lower_one_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(
        Exception, match=r"FID 20\.00 of 500 images is worse than .* version 4, 13\.00 of 5,000 images;"
    ):
        judged(monkeypatch, champion(), images_judged=500)
    assert judged(monkeypatch, champion(21.0), images_judged=500) == []
    with pytest.raises(Exception, match=r"20\.00 of 5,000 images is worse than .* 13\.00 of 500 images;"):
        judged(monkeypatch, champion(fid_images="500"))
    (said,) = judged(monkeypatch, champion(21.0, fid_images="500"))
    assert said.startswith("its FID is 20.00 of 5,000 images, that of the champion until now, version 4, 21.00 of 500")


def test_the_champion_itself_is_promoted_again_whatever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, champion(weights="new"), fid=500.0) == []


def test_a_confirmation_says_more_than_one_fid(monkeypatch: pytest.MonkeyPatch) -> None:
    (said,) = judged(monkeypatch, champion(), confirmed=True)
    assert said.endswith("but `confirm` puts it first of the study's trials")
    for another in ({"study": "elsewhere"}, {"training": "best"}):
        with pytest.raises(Exception, match="is worse than"):
            judged(monkeypatch, champion(**another), confirmed=True)
