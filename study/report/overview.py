"""The report's beginning and end: headline, ranking, pictures, and everything else folded away."""

from collections import Counter

import yaml
from markupsafe import Markup

from study.analysis.cost import cost, saved, wall_seconds
from study.analysis.ranking import RULE
from study.analysis.rung_facts import schedule_of
from study.analysis.standing import standings
from study.ledger.earlier import words as words_of_earlier
from study.report.facts import Facts
from study.report.html import render
from study.report.pictures import TRIALS, more_grids, probabilities, progress, sample_grids
from study.report.words import state, words
from study.views.noise import ranking_lines
from study.views.seen_images import seen_lines
from study.views.tables import best_words, number, standing_words
from trainables.display import redacted

_TOP = 10


def headline(facts: Facts) -> Markup:
    """Best trial, counts, budget spent, saved; and warnings."""
    study, spent = facts.study, cost(facts.study.trials)
    counts = Counter(str(trial.state) for trial in study.trials)
    return render(
        "headline.html",
        facts=facts,
        study=study,
        counts=", ".join(f"{count} {state}" for state, count in counts.items()) or "none yet",
        images=f"{spent.kimg * 1000:,}" if spent.kimg < 1000 else f"{spent.kimg / 1000:.3g} million",
        spent=spent,
        won=saved(study),
        wall=wall_seconds(study),
        earlier=words_of_earlier(study.earlier),
        unfinished=sum(trial.unfinished for trial in study.trials),
        end=schedule_of(study.config).max_kimg,
        seen=seen_lines(study.config),
    )


def ranking(facts: Facts) -> Markup | None:
    """The first trials, which of them are tied, and how large the noise is."""
    if not facts.ranked:
        return None
    found = standings(facts.study)
    best = next((standing.best for standing in found.values()), None)
    rows = []
    for r in facts.ranked[:_TOP]:
        behind = [standing_words(found.get(r.trial.number))] if found else []
        first = r.rank, r.trial.number, state(r.trial), r.trial.kimg, number(r.fid_best)
        rows.append([*first, *behind, r.trial.kimg_best, number(r.fid), words(r.trial)])
    return render(
        "ranking.html",
        rows=rows,
        rule=RULE,
        best=best_words(best, facts.ranked) if best is not None else None,
        tied=[trial for trial, standing in found.items() if standing.tied],
        notes=ranking_lines(facts.study, facts.ranked, f"ganstudy noise {facts.folder.name}"),
    )


def pictures(facts: Facts) -> Markup | None:
    """Sample grids of the first trials side by side, how they came about, and those of more trials."""
    if not facts.ranked:
        return None
    ways = ((r, progress(r.trial, facts.folder)) for r in facts.ranked[:TRIALS])
    return render(
        "pictures.html",
        pictures=sample_grids(facts.ranked, facts.folder),
        first=min(TRIALS, len(facts.ranked)),
        progress=[(r, way) for r, way in ways if way],
        probabilities=probabilities(facts.ranked, facts.folder),
        more=more_grids(facts.ranked, facts.folder),
    )


def everything(facts: Facts) -> Markup:
    """All trials, the study file and the versions, folded away."""
    study = facts.study
    about = {"uid": study.uid, "fid_fingerprint": study.fingerprint, "versions": study.versions, "study": study.config}
    return render(
        "everything.html",
        rows=[
            [t.number, state(t), t.kimg, number(t.fid_best), number(t.fid), t.origin, redacted(t.cause or words(t))]
            for t in study.trials
        ],
        about=redacted(yaml.safe_dump(about, sort_keys=False, allow_unicode=True)),
    )
