"""`ganstudy report`: a study as one self-contained HTML page.

Each section prepares plain values, and a template of `templates/` says how they look. The plots are inline SVG of our
own, styled by the page. Plotly (which Optuna's figures need) would add a dependency, 5 MB of script to each page, and
colours that follow neither dark mode nor paper; and Optuna's figures of a study with stopped trials compare FIDs of
different budgets. Of Optuna the importances are used, on trials at one budget.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from markupsafe import Markup

from study.analysis.images_judged import fid_meaning
from study.folder import StudyFolder
from study.ledger.records import StudyRecord
from study.report import confirmation, metrics, overview, space, time, trouble
from study.report.facts import Facts
from study.report.html import render

SECTIONS: Mapping[str, Callable[[Facts], Markup | None]] = {
    "Ranking": overview.ranking,
    "Confirmed with fresh seeds, on test images": confirmation.confirmation,
    "Images of the best trials": overview.pictures,
    "FID against training time": time.curves,
    "All metrics against training time": metrics.metrics,
    "Was the early stopping right?": time.rungs,
    "Best FID against time": time.spending,
    "What mattered, at one budget": space.space,
    "Diverged, collapsed, failed": trouble.trouble,
    "Cost": time.costs,
    "Everything": overview.everything,
}
"""In the order of the page."""


def report(study: StudyRecord, folder: StudyFolder) -> str:
    """Return the page.

    Args:
        study: what to tell.
        folder: where its pictures lie.
    """
    facts = Facts.of(study, folder)
    found = {heading: section(facts) for heading, section in SECTIONS.items()}
    return render(
        "page.html",
        name=study.config["name"],
        opened=datetime.fromtimestamp(study.opened_at, UTC),
        meaning=fid_meaning(study),
        headline=overview.headline(facts),
        sections={heading: content for heading, content in found.items() if content is not None},
    )
