"""The report's page: whole for every kind of study, safe, small, and needing nothing but itself."""

import base64
import io
import random
import re
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_up import study, trial
from PIL import Image

from study.analysis.ranking import rank
from study.folder import StudyFolder
from study.ledger.events import NoiseMeasured
from study.ledger.records import Report, StudyRecord, TrialRecord
from study.report.html import render
from study.report.page import SECTIONS, report
from study.report.pictures import progress, sample_grids
from study.report.svg import Label, svg
from study.report.svg import Path as Shape

_VOID = {"meta", "img", "br", "input"}


class Outline(HTMLParser):
    """Reads a page strictly: every tag is closed in order, and ids of text are collected by tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in _VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]][-1] += data


def page_of(made: StudyRecord, tmp_path: Path) -> tuple[str, Outline]:
    page = report(made, StudyFolder(tmp_path, "toy"))
    return page, Outline(page)


def finished() -> StudyRecord:
    curves = [{1: 40.0, 3: 30.0, 9: 20.0}, {1: 50.0}, {1: 60.0, 3: 45.0}, {1: 35.0, 3: 33.0, 9: 21.0}]
    fates = [("completed", None), ("stopped", 1), ("stopped", 3), ("completed", None)]
    return study(
        *(
            trial(i, curve, state, rung=rung, params={"lr": 10.0**-i, "loss": "hinge" if i % 2 else "lsgan"})
            for i, (curve, (state, rung)) in enumerate(zip(curves, fates, strict=True))
        ),
        trial(4, {1: 90.0}, "diverged", params={"lr": 1.0, "loss": "lsgan"}, cause="Diverged: loss_d is <0> & gone"),
    )


ALONE = trial(0, {1: 40.0, 3: 30.0, 9: 20.0}, params={"lr": 1e-3})
KINDS: dict[str, tuple[TrialRecord, ...]] = {
    "none yet": (),
    "one": (ALONE,),
    "one without a report": (trial(0, {}, "running"),),
    "all diverged": tuple(trial(i, {1: 9.0} if i else {}, "diverged", params={"lr": 0.1 * i}) for i in range(3)),
    "all failed": tuple(trial(i, {}, "failed", cause="OSError: gone") for i in range(3)),
    "all stopped": tuple(trial(i, {1: 9.0 + i}, "stopped", rung=1, params={"lr": 0.1 * i}) for i in range(12)),
    "all equal": tuple(trial(i, {1: 9.0, 3: 9.0, 9: 9.0}, params={"lr": 0.1 * i}) for i in range(12)),
    "fid of zero": tuple(trial(i, {1: 0.0, 3: -1e-9, 9: float(i)}, params={"lr": i}) for i in range(12)),
    "interrupted": (ALONE, trial(1, {1: 50.0}, "interrupted", params={"lr": 1e-4})),
    "mixed": finished().trials,
}


@pytest.mark.parametrize("trials", KINDS.values(), ids=KINDS.keys())
def test_every_kind_of_study_has_a_whole_page(trials: tuple[TrialRecord, ...], tmp_path: Path) -> None:
    page, outline = page_of(study(*trials), tmp_path)
    assert outline.texts["h1"] == ["toy"]
    assert {"Cost", "Diverged, collapsed, failed", "Everything"} <= {*outline.texts["h2"]} <= {*SECTIONS}
    assert not re.search(r"\bnan\b|\binf\b|None", page)
    ranked = rank(trials)
    assert ("No trial can be ranked" in page) == (not ranked)
    if ranked:
        assert f"<b>{ranked[0].fid_best:.2f}</b>" in page


def test_the_page_needs_nothing_else_and_runs_nothing(tmp_path: Path) -> None:
    page, outline = page_of(finished(), tmp_path)
    assert all(address.startswith("data:image/png;base64,") for address in outline.addresses)
    assert not outline.tags & {"script", "link", "iframe", "object", "form", "base"}
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page


def test_text_from_outside_is_escaped(tmp_path: Path) -> None:
    evil = "</style><script>alert(1)</script>\"'"
    made = study(
        trial(0, {1: 5.0}, params={evil: 1, "loss": evil}, config={"loss": evil}),
        trial(1, {1: 6.0}, params={evil: 2, "loss": "x"}, config={"loss": "x"}),
        trial(2, {}, "failed", cause=evil, params={evil: 2, "loss": "x"}),
        fingerprint=evil,
        note=evil,
    )
    page, outline = page_of(made, tmp_path)
    assert "<script" not in page
    assert "script" not in outline.tags
    assert "alert(1)" in page


def test_what_the_page_says_of_rungs_cost_and_trouble(tmp_path: Path) -> None:
    page, outline = page_of(finished(), tmp_path)
    cells = outline.texts["td"]
    assert "2 of 5" in cells  # trial 0 had the second FID of five at 1 kimg
    # Stopped: 1 and 3 of 9 kimg, so 8 + 6 are left, at 3 s a kimg; spent: 9 + 1 + 3 + 9 + 1 kimg.
    assert "14 kimg and 42 s more" in page
    assert "37 kimg and 1:51 min in all" in page
    assert "1 diverged, 0 more had collapsed" in page
    assert "Diverged: loss_d is &lt;0&gt; &amp; gone" in page
    assert "4 trials at 1 kimg: all that reported there and did not diverge or fail" in page


def test_the_reader_chooses_the_budget(tmp_path: Path) -> None:
    """Without scripts: radio buttons, and one is down."""
    page, outline = page_of(finished(), tmp_path)
    assert [text.strip() for text in outline.texts["label"]] == ["1 kimg", "3 kimg", "9 kimg"]
    assert page.count(' id="budget-') == 3
    (checked,) = re.findall(r'id="budget-(\d+)" checked', page)
    assert checked == "1", "of so few trials no order is known to mean anything"
    for kimg, count in ((1, 4), (3, 3), (9, 2)):
        assert f"{count} trials at {kimg} kimg" in page
        assert f"Slices at {kimg} kimg" in page


def test_the_head_says_what_the_fids_are_of(tmp_path: Path) -> None:
    evaluation = {"count": 300, "split": "validation", "extractor": {"name": "classifier"}}
    made = study(ALONE, evaluation=evaluation, data={"name": "digits"})
    made = replace(made, versions={"data": {"images": {"validation": 6000}}})
    page, _ = page_of(made, tmp_path)
    assert "FIDs are\nagainst 6,000 validation images of digits, by the features of the extractor classifier, " in page
    assert "of 300 generated images" in page
    assert page.index(made.fingerprint) > page.index("<h2>Everything"), "a number that says nothing to a reader"


def test_each_metric_has_its_curve(tmp_path: Path) -> None:
    reports = tuple(Report(kimg, 1, {"fid": 9.0, "kid": 0.5, "sharpness": 2.0}, 0.0) for kimg in (1, 3, 9))
    page, outline = page_of(study(replace(ALONE, reports=reports)), tmp_path)
    assert {"kid", "sharpness"} <= {*outline.texts["b"]}
    assert "kernel inception distance, lower is better" in page
    for name in ("kid", "sharpness"):
        assert f'aria-label="{name} against kimg"' in page


def test_trouble_is_counted_by_its_cause(tmp_path: Path) -> None:
    causes = ["OSError: no space (errno 28)", "OSError: no space (errno 29)", "deadline: silent for 60 min"]
    made = study(*(trial(i, {1: 9.0}, "failed", cause=cause) for i, cause in enumerate(causes)))
    page, _ = page_of(made, tmp_path)
    table = page[page.index("<h3>By cause") : page.index("<h3>The trials")]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>.*?</tr>", table)[1:]]
    assert rows == [["2", causes[0], "2", "0, 1"], ["1", causes[2], "1", "2"]]


def test_ties_are_named_once_the_noise_is_known(tmp_path: Path) -> None:
    """Seeds 19, 20, 21: s = 1 with two degrees of freedom: 4.30 sqrt(2) = 6.08, and trial 3 is 1.0 behind."""
    seeds = tuple(NoiseMeasured(0, 9, "seed", i, 18.0 + i, None) for i in (1, 2, 3))
    page, outline = page_of(replace(finished(), measured=seeds), tmp_path)
    assert "1 trial cannot be told from the best: 3" in page
    assert "+1.00 tied" in outline.texts["td"]
    assert "6.08" in page


def test_a_thousand_trials_stay_below_ten_megabytes(tmp_path: Path) -> None:
    rng = random.Random(0)
    made = study(
        *(
            trial(
                i,
                {kimg: rng.uniform(5, 100) for kimg in range(1, 28 if i % 9 == 0 else 2)},
                "completed" if i % 9 == 0 else "diverged" if i % 9 == 1 else "stopped",
                rung=None if i % 9 < 2 else 1,
                params={f"section.parameter_{j}": rng.random() for j in range(40)} | {"loss": rng.choice("abcdef")},
                cause="Diverged: loss_d became non-finite" if i % 9 == 1 else None,
            )
            for i in range(1000)
        ),
        schedule={"grace_kimg": 1, "max_kimg": 27, "reduction_factor": 3},
    )
    page, _ = page_of(made, tmp_path)
    assert len(page.encode()) < 3_000_000  # leaves room for six pictures of 0.53 MB each and more


def grid(folder: StudyFolder, number: int, kimg: int, side: int) -> Path:
    file = folder.samples(number) / f"kimg-{kimg:06d}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise((side, side), 90).save(file)
    return file


def test_pictures_of_the_best_checkpoints_are_inside(tmp_path: Path) -> None:
    folder, made = StudyFolder(tmp_path, "toy"), finished()
    first = grid(folder, 0, 9, 32)
    grid(folder, 0, 3, 32)  # not of the best FID
    huge = grid(folder, 3, 9, 1200)
    grid(folder, 2, 3, 32).write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    found = sample_grids(rank(made.trials), folder)
    assert [(ranked.trial.number, ranked.trial.kimg_best) for ranked, _ in found] == [(0, 9), (3, 9)]
    urls = [url for _, url in found]
    assert base64.b64decode(urls[0].partition(",")[2]) == first.read_bytes()
    assert len(urls[1]) < 600_000 < huge.stat().st_size
    page, outline = page_of(made, tmp_path)
    assert len(outline.addresses) == 3, "and the progress of trial 0, which alone has two pictures that can be read"
    assert "rank 1: trial 0 at 9 kimg, FID 20.00" in page


def test_progress_is_a_row_of_each_report(tmp_path: Path) -> None:
    folder, (first, *_) = StudyFolder(tmp_path, "toy"), finished().trials
    for kimg, grey in ((1, 10), (3, 120), (9, 250)):
        Image.new("L", (32, 32), grey).save(grid(folder, 0, kimg, 32))
    found = progress(first, folder)
    assert found is not None
    assert found.kimg == (1, 3, 9)
    with Image.open(io.BytesIO(base64.b64decode(found.url.partition(",")[2]))) as strip:
        assert strip.size == (32, 3 * 4), "an eighth of the grid's height for each"
        assert [strip.convert("L").getpixel((5, row * 4 + 2)) for row in range(3)] == [10, 120, 250]
    (folder.samples(0) / "kimg-000003.png").unlink()
    assert progress(first, folder) is not None
    (folder.samples(0) / "kimg-000009.png").unlink()
    assert progress(first, folder) is None


def test_what_d_makes_of_the_images_and_more_trials_are_folded_away(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path, "toy")
    made = study(*(trial(i, {1: 10.0 + i}) for i in range(9)))
    for i in range(9):
        grid(folder, i, 1, 400)
        file = folder.trial(i) / "histograms" / "kimg-000001.png"
        file.parent.mkdir()
        Image.new("RGB", (960, 280)).save(file)
    page, outline = page_of(made, tmp_path)
    assert page.count("alt=\"D's probabilities in trial") == 6
    assert "3 more trials" in outline.texts["summary"]
    assert page.count('alt="generated images of trial') == 9


def test_templates_escape_what_is_not_markup() -> None:
    drawing = svg(1, 2, [Label("<i>", 0, 0, '"'), Shape("M0 0", "line", "&")], "'")
    assert '<text x="0.0" y="0.0" class="&#34;">&lt;i&gt;</text>' in drawing
    assert '<path d="M0 0" class="line"><title>&amp;</title></path>' in drawing
    assert 'aria-label="&#39;"' in drawing
    rows = [["<i>", *range(6)]]
    page = render("everything.html", rows=rows, about="</pre>")
    assert '<td class="right">&lt;i&gt;</td>' in page
    assert "<pre>&lt;/pre&gt;</pre>" in page
    assert drawing in render("spending.html", plots=[drawing], device="CPU", amount=1)


def test_an_installed_package_has_the_templates() -> None:
    root = Path(__file__).parents[3]
    declared = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["study"]
    packed = {file for pattern in declared for file in (root / "study").glob(pattern)}
    assert packed >= {*(root / "study/report/templates").iterdir()} >= {root / "study/report/templates/page.html"}
