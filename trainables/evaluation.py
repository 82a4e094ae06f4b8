"""How a study measures its generators: part of the study file, and of what makes two FIDs comparable."""

from pydantic import BaseModel, Field

from trainables.data.images import Split
from trainables.extractors import ClassifierExtractor


class Evaluation(BaseModel, frozen=True, extra="forbid"):
    """The same for every trial of a study."""

    extractor: ClassifierExtractor = ClassifierExtractor()
    count: int = Field(10_000, ge=2, description="generated images per FID; more than the extractor's features")
    split: Split = Field(default=Split.VALIDATION, description="the real images that they are measured against")
    batch: int = Field(default=500, ge=1, description="images per batch through generator and extractor")
