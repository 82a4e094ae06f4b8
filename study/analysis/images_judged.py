"""By how many generated images a study's FIDs are, in words: below its top budget they may be fewer."""

from study.ledger.records import Report, StudyRecord


def images_of(study: StudyRecord, report: Report | None) -> int:
    """Return by how many generated images a report judges; without one `evaluation.count`."""
    return (report.estimate.images if report else 0) or int(study.config["evaluation"]["count"])


def images_judged(study: StudyRecord) -> str:
    """Return e.g. `5,000 generated images`, or `5,000 generated images at 45 kimg, of 1,000 at the others`."""
    asked = study.config.get("evaluation", {})
    if "count" not in asked:
        return "generated images"
    full = f"{asked['count']:,} generated images"
    if (fewer := asked.get("rung_count")) is None:
        return full
    return f"{full} at {' and '.join(map(str, study.full_count_at))} kimg, of {fewer:,} at the others"
