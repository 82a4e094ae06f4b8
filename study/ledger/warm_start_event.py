"""What a study's ledger keeps of the earlier studies that it began with."""

from dataclasses import dataclass
from typing import Any, ClassVar

from study.ledger.event_base import Event

_FIELDS = {"params", "state", "curve"}
TEACHING = frozenset({"completed", "stopped", "diverged"})
"""How a trial may have ended to be of use elsewhere: what failed may work on another machine."""


@dataclass(frozen=True)
class WarmStarted(Event):
    """What the sampler is told of an earlier study: a copy, so that it holds when that study changes or goes away.

    `source` is its name, `uid` its uid, `finished` how many trials it had ended when this study was opened. `trials`
    are those of them that fit this study, by number: `params` in this study's space, `state`, and `curve`, FID by kimg;
    and `images`, the number of images of each FID, where that study judged at its rungs by fewer.
    """

    source: str
    uid: str
    finished: int
    trials: dict[str, Any]
    kind: ClassVar[str] = "warm_started"

    @property
    def key(self) -> str:
        """One per earlier study."""
        return f"warm/{self.source}"

    def __post_init__(self) -> None:
        """Check the fields, and those of every trial."""
        super().__post_init__()
        for number, trial in self.trials.items():
            place = f"{self.key}: trial {number!r:.40}"
            if not (_is_count(number) and isinstance(trial, dict) and trial.keys() - {"images"} == _FIELDS):
                raise ValueError(f"{place}: has a number, and {', '.join(sorted(_FIELDS))}")
            if not isinstance(trial["params"], dict) or trial["state"] not in TEACHING:
                raise ValueError(f"{place}: its params or state {trial['state']!r:.40} are impossible")
            curve = trial["curve"]
            if not (isinstance(curve, dict) and all(_is_point(kimg, fid) for kimg, fid in curve.items())):
                raise ValueError(f"{place}: its curve is no FID by kimg")
            images = trial.get("images", dict.fromkeys(curve, 1))
            alike = isinstance(images, dict) and images.keys() == curve.keys()
            if not (alike and all(map(_is_whole, images.values()))):
                raise ValueError(f"{place}: its images are no number for each FID")


def _is_count(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isdecimal() and str(int(text)) == text


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_point(kimg: object, fid: object) -> bool:
    return _is_count(kimg) and isinstance(fid, int | float) and not isinstance(fid, bool)
