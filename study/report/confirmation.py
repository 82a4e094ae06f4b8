"""The report on the confirmation: the best configurations, retrained from fresh seeds and evaluated on test images."""

from collections.abc import Sequence

from markupsafe import Markup

from study.analysis.confirmation import LEVEL, conclude
from study.report.facts import Facts
from study.report.html import render
from study.report.svg import StripRow, strips
from study.report.words import words
from study.views.confirmation import HEAD, cells, legend, verdict


def confirmation(facts: Facts) -> Markup | None:
    """What the retrainings came to, as a table and as dots; None of a study that was not confirmed."""
    study, evaluated = facts.study, conclude(facts.study)
    if evaluated is None:
        return None
    known = [c for c in evaluated.configurations if c.tests]
    validation, test = [], []
    for c in known:
        name, own = f"trial {c.trial.number}", {"completed": tuple(c.validations.values()), "best": [c.study_fid]}
        validation.append(StripRow(name, own, None, c.validation_mean))
        test.append(StripRow(name, {"completed": tuple(c.tests.values())}, c.interval, c.mean))
    return render(
        "confirmation.html",
        lines=list(verdict(study, evaluated, facts.folder)),
        head=HEAD,
        rows=[[*cells(c), words(c.trial)] for c in evaluated.configurations],
        meaning=legend(study),
        validation=_strips(validation, "lowest FID on validation images"),
        test=_strips(test, "FID on test images"),
        level=f"{LEVEL:.0%}",
    )


def _strips(rows: Sequence[StripRow], label: str) -> Markup | None:
    return strips(rows, label, f"{label}, a row per configuration", row_height=40) if rows else None
