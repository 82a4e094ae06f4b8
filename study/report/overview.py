"""The report's beginning and end: headline, ranking, pictures, and everything else folded away."""

from collections import Counter

import yaml
from markupsafe import Markup

from study.analysis.cost import cost, saved, wall_seconds
from study.analysis.noise import noise_of
from study.analysis.ranking import RULE, tied_with_first
from study.analysis.rung_facts import schedule_of
from study.ledger.earlier import words as words_of_earlier
from study.report.facts import Facts
from study.report.html import render
from study.report.pictures import TRIALS, sample_grids
from study.report.words import state, words
from study.views.noise import ranking_lines
from study.views.seen_images import seen_lines
from study.views.tables import number
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
    ties = tied_with_first(facts.ranked, noise_of(facts.study))
    rows = []
    for r in facts.ranked[:_TOP]:
        gap = f"+{number(r.fid_best - facts.ranked[0].fid_best)}" if r.trial.number in ties else ""
        behind = [f"{gap}, tied" if ties.get(r.trial.number) else gap] if ties else []
        first = r.rank, r.trial.number, state(r.trial), r.trial.kimg, number(r.fid_best)
        rows.append([*first, *behind, r.trial.kimg_best, number(r.fid), words(r.trial)])
    return render(
        "ranking.html",
        rows=rows,
        rule=RULE,
        tied_known=bool(ties),
        tied=[trial for trial, tie in ties.items() if tie],
        notes=ranking_lines(facts.study, facts.ranked, f"ganstudy noise {facts.folder.name}"),
    )


def pictures(facts: Facts) -> Markup | None:
    """Sample grids of the first trials side by side."""
    if not facts.ranked:
        return None
    found = sample_grids(facts.ranked, facts.folder)
    return render("pictures.html", pictures=found, first=min(TRIALS, len(facts.ranked)))


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
