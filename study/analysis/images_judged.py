"""How many generated images a study's FIDs are of, in words: below its top budget there may be fewer."""

from study.ledger.records import Report, StudyRecord


def images_of(study: StudyRecord, report: Report | None) -> int:
    """Return how many generated images a report's FID is of; without a report `evaluation.count`."""
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


def fid_meaning(study: StudyRecord) -> str:
    """Return what the FIDs are against, by what, and of how many images, as a clause."""
    evaluation, data = study.config.get("evaluation", {}), study.config.get("data", {})
    split = str(evaluation.get("split", "real"))
    count = study.versions.get("data", {}).get("images", {}).get(split)
    real = f"{count:,} {split} images" if count is not None else f"{split} images"
    extractor = evaluation.get("extractor", {}).get("name", "unknown")
    against = f"against {real} of {data.get('name', 'unknown data')}, by the features of the extractor {extractor}"
    return f"{against}, of {images_judged(study)}"
