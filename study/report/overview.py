"""The report's beginning and end: headline, ranking, pictures, and everything else folded away."""

from collections import Counter
from collections.abc import Iterable

import yaml

from study.analysis.cost import cost, saved, wall_seconds
from study.analysis.noise import noise_of
from study.analysis.ranking import RULE, tied_with_first
from study.analysis.rung_facts import schedule_of
from study.ledger.earlier import words
from study.ledger.records import TrialRecord
from study.report import charts
from study.report.facts import Facts, numbers, so_many, state
from study.report.markup import Html, Part, el, join, table
from study.report.pictures import TRIALS, sample_grids
from study.views.noise import ranking_lines
from study.views.tables import duration, number

_TOP = 10


def headline(facts: Facts) -> Html:
    """Best trial, counts, budget spent, saved; and warnings."""
    study, spent, won = facts.study, cost(facts.study.trials), saved(facts.study)
    counts = Counter(str(trial.state) for trial in study.trials)
    cards = [
        _card(str(len(study.trials)), f"of {study.config['trials']} trials: {_counted(counts)}"),
        _card(_images(spent.kimg), "real images shown to D, over all trials"),
        _card(duration(spent.seconds), "of training and evaluation, summed over trials"),
        _card(duration(wall_seconds(study)), "from the study's opening to its last report"),
    ]
    if won.kimg:
        part = won.kimg / (won.kimg + spent.kimg)
        cards.append(_card(f"{part:.0%}", f"of the images saved by stopping {so_many(won.trials)} early"))
    if facts.ranked:
        first = facts.ranked[0]
        cards.insert(0, _card(number(first.fid_best), f"best FID: trial {first.trial.number}, {_at(first.trial)}"))
        story: Html | None = el("p", "Best configuration: ", el("b", charts.words(first.trial)), _origin(first.trial))
    else:
        story = el("p", "No trial can be ranked: none has reported, or all have diverged or failed.", class_="warn")
    scale = (
        f"On the same scale real images have an FID of {number(study.fid_floor)} (floor) and uniform noise has "
        f"{number(study.fid_ceiling)} (ceiling). Lower is better."
    )
    notes = [el("p", scale, class_="dim")]
    if study.earlier:
        began = f"The sampler began with {words(study.earlier)} (warm_start); these count nowhere on this page."
        notes.append(el("p", began, class_="dim"))
    return join([el("div", *cards, class_="cards"), story, *notes, *_warnings(facts)])


def _warnings(facts: Facts) -> Iterable[Html]:
    study = facts.study
    if open_ := sum(trial.unfinished for trial in study.trials):
        yield el("p", f"{so_many(open_)} not at the end yet: this is how the study stands so far.", class_="warn")
    if facts.best is not None and facts.best.kimg < (end := schedule_of(study.config).max_kimg):
        yield el("p", f"No trial has reached the full {end} kimg; the best went to {facts.best.kimg}.", class_="warn")
    if facts.best is not None and facts.best.collapsed_best:
        yield el("p", "The best trial's generator had collapsed where its FID was best: look at its images.")


def ranking(facts: Facts) -> Html | None:
    """The first trials, which of them are tied, and how large the noise is."""
    if not facts.ranked:
        return None
    ties = tied_with_first(facts.ranked, noise_of(facts.study))
    head = [("rank", "right"), ("trial", "right"), ("state", "left"), ("kimg", "right"), ("best FID", "right")]
    head += [("behind first", "left")] if ties else []
    head += [("at kimg", "right"), ("last FID", "right"), ("configuration", "left")]
    rows = []
    for r in facts.ranked[:_TOP]:
        row: list[Part] = [r.rank, r.trial.number, state(r.trial), r.trial.kimg, number(r.fid_best)]
        if ties:
            tie = ties.get(r.trial.number)
            gap = "" if tie is None else f"+{number(r.fid_best - facts.ranked[0].fid_best)}"
            row.append(f"{gap}, tied" if tie else gap)
        rows.append([*row, r.trial.kimg_best, number(r.fid), charts.words(r.trial)])
    notes = ranking_lines(facts.study, facts.ranked, f"ganstudy noise {facts.folder.name}")
    tied = [number_ for number_, tie in ties.items() if tie]
    if tied:
        notes.insert(0, f"{so_many(len(tied))} cannot be told from the first: {numbers(tied)}")
    return join([table(head, rows), el("p", RULE, class_="dim"), *(el("p", note, class_="dim") for note in notes)])


def pictures(facts: Facts) -> Html | None:
    """Sample grids of the first trials side by side."""
    found = sample_grids(facts.ranked, facts.folder)
    if not found:
        return None if not facts.ranked else el("p", "There are no sample grids in the study's folder.", class_="dim")
    figures = []
    for picture in found:
        r = picture.ranked
        text = f"rank {r.rank}: trial {r.trial.number} at {picture.kimg} kimg, FID {number(r.fid_best)}"
        image = el("img", src=picture.url, alt=f"generated images of trial {r.trial.number}")
        figures.append(el("figure", el("figcaption", text), image))
    note = f"Of the first {min(TRIALS, len(facts.ranked))} trials, each where its FID was best, not picked by hand."
    return join([el("p", note, class_="dim"), el("div", *figures, class_="pictures")])


def everything(facts: Facts) -> Html:
    """All trials, the study file and the versions, folded away."""
    head = [("trial", "right"), ("state", "left"), ("kimg", "right"), ("best FID", "right"), ("last FID", "right")]
    head += [("proposed by", "left"), ("configuration", "left")]
    rows: list[list[Part]] = [
        [t.number, state(t), t.kimg, number(t.fid_best), number(t.fid), t.origin, t.cause or charts.words(t)]
        for t in facts.study.trials
    ]
    study = facts.study
    about = {"uid": study.uid, "fid_fingerprint": study.fingerprint, "versions": study.versions, "study": study.config}
    text = yaml.safe_dump(about, sort_keys=False, allow_unicode=True)
    return join(
        [
            el("details", el("summary", f"All {len(rows)} trials"), table(head, rows)),
            el("details", el("summary", "The study file, as resolved"), el("pre", text)),
        ]
    )


def _card(value: str, what: str) -> Html:
    return el("div", el("b", value), el("span", what), class_="card")


def _images(kimg: int) -> str:
    return f"{kimg * 1000:,}" if kimg < 1000 else f"{kimg / 1000:.3g} million"


def _at(trial: TrialRecord) -> str:
    return f"at {trial.kimg_best} of {trial.kimg} kimg"


def _origin(trial: TrialRecord) -> str:
    return f" ({trial.origin})" if trial.origin != "sampler" else ""


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items()) or "none yet"
