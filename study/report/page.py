"""`ganstudy report`: a study as one HTML page that needs nothing else.

The plots are inline SVG of our own, styled by the page. Plotly (which Optuna's figures need) would add a dependency,
5 MB of script to each page, and colours that follow neither dark mode nor paper; and Optuna's figures of a study with
stopped trials compare FIDs of different budgets. Of Optuna the importances are used, on trials at one budget.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from study.folder import StudyFolder
from study.ledger.records import StudyRecord
from study.report import confirmation as report_confirmation
from study.report import overview as report_overview
from study.report import space as report_space
from study.report import time as report_time
from study.report import trouble as report_trouble
from study.report.facts import Facts
from study.report.markup import Html, el, join
from study.report.style import CSS

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # no network, no scripts

SECTIONS: Mapping[str, Callable[[Facts], Html | None]] = {
    "Ranking": report_overview.ranking,
    "Confirmed with fresh seeds, on test images": report_confirmation.confirmation,
    "Images of the best trials": report_overview.pictures,
    "FID against training time": report_time.curves,
    "Was the early stopping right?": report_time.rungs,
    "Best FID against time": report_time.spending,
    "The space at the common rung": report_space.space,
    "Losses and models": report_space.groups,
    "Diverged, collapsed, failed": report_trouble.trouble,
    "Cost": report_time.costs,
    "Everything": report_overview.everything,
}
"""In the order of the page."""


def report(study: StudyRecord, folder: StudyFolder) -> str:
    """Return the page.

    Args:
        study: what to tell.
        folder: where its pictures lie.
    """
    facts = Facts(study, folder)
    name = str(study.config["name"])
    parts = [el("h1", name), el("p", _when(study), class_="dim"), report_overview.headline(facts)]
    for heading, section in SECTIONS.items():
        content = section(facts)
        if content is not None:
            parts.append(el("section", el("h2", heading), content))
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{name} - ganstudy"),
        el("style", Html(CSS)),
    )
    return Html("<!doctype html>\n") + el("html", head, el("body", join(parts, "\n")), lang="en")


def _when(study: StudyRecord) -> str:
    opened = datetime.fromtimestamp(study.opened_at, UTC)
    return f"A ganstudy report. The study began on {opened:%Y-%m-%d %H:%M} UTC; FIDs of {study.fingerprint}."
