"""Whether a generator may become the champion: not if it is worse than the one there is, or than noise."""

from typing import TYPE_CHECKING

from study.production.champion_registry import WEIGHTS, champion_of
from study.production.champion_text import Candidate
from study.views.tables import number
from trainables.errors import InvalidInput

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient


def check_better(client: "MlflowClient", candidate: Candidate, force: bool) -> list[str]:
    """Hold a candidate against the champion it would replace; nothing is changed.

    Returns:
        What is to be said of it: why it had to be forced, or why the two do not compare.

    Raises:
        InvalidInput: if it is worse and not forced, or the registered model is somebody else's.
        Exception: whatever MLflow raises.
    """
    champion = champion_of(client, candidate.model)
    if champion is not None and champion.tags.get(WEIGHTS) == candidate.facts.weights:
        return []
    fid, worse = candidate.facts.fid, []
    if fid >= candidate.ceiling:
        worse.append(f"its FID {number(fid)} is no better than uniform noise's, {number(candidate.ceiling)}")
    notes = _against(candidate, champion, worse) if champion is not None else []
    if worse and not force:
        raise InvalidInput(
            f"{candidate.origin} is not made the champion of {candidate.model}: {', and '.join(worse)}; "
            "choose another, or --force it"
        )
    return [*(f"forced: {text}" for text in worse), *notes]


def _against(candidate: Candidate, champion: "ModelVersion", worse: list[str]) -> list[str]:
    """Add to `worse` if the champion's FID is lower; return what else is to be said.

    An FID of fewer images is higher on average, so of two such the candidate's must be the lower one all the same.
    """
    facts, tags = candidate.facts, champion.tags
    fid, images, whose = float(tags["ganstudy.fid"]), int(tags["ganstudy.fid_images"]), f"version {champion.version}"
    if facts.fid_fingerprint != tags["ganstudy.fid_fingerprint"]:
        return [f"the champion until now, {whose}, has an FID of another fingerprint, so the two do not compare"]
    own, its = number(facts.fid), number(fid)
    if images != facts.images_judged:
        own, its = f"{own} of {facts.images_judged:,} images", f"{its} of {images:,} images"
    if float(f"{facts.fid:.6g}") <= fid:  # as the tag is written
        if images >= facts.images_judged:
            return []
        return [f"its FID is {own}, that of the champion until now, {whose}, {its}: they do not quite compare"]
    text = f"its FID {own} is worse than that of the champion, {whose}, {its}"
    if candidate.confirmed and "ganstudy.training" not in tags and tags.get("ganstudy.study") == candidate.study:
        return [f"{text}, but `confirm` puts it first of the study's trials"]
    worse.append(text)
    return []
