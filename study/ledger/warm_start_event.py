"""What a study's ledger keeps of the earlier studies that it began with."""

from typing import Annotated, ClassVar, NotRequired

from pydantic import StringConstraints, with_config
from typing_extensions import TypedDict  # pydantic's: it takes none of Python 3.11

from study.ledger.event_base import STRICT, Count, Event, Number, Object, event, one_of

_Count = Annotated[str, StringConstraints(pattern="^(0|[1-9][0-9]*)$")]  # JSON's keys are texts
TEACHING = frozenset({"completed", "stopped", "diverged"})
"""How a trial may have ended to be of use elsewhere: what failed may work on another machine."""


@with_config(STRICT)
class EarlierValues(TypedDict):
    """A trial of `WarmStarted`."""

    params: Object
    state: Annotated[str, one_of(*sorted(TEACHING))]
    curve: dict[_Count, float]
    images: NotRequired[dict[_Count, Number]]


@event
class WarmStarted(Event):
    """What the sampler is told of an earlier study: a copy, so that it holds when that study changes or goes away.

    `source` is its name, `uid` its uid, `finished` how many trials it had ended when this study was opened. `trials`
    are those of them that fit this study, by number: `params` in this study's space, `state`, and `curve`, FID by kimg;
    and `images`, the number of images of each FID, where that study evaluated at its rungs by fewer.
    """

    source: str
    uid: str
    finished: Count
    trials: dict[_Count, EarlierValues]
    kind: ClassVar[str] = "warm_started"
    key_of: ClassVar[str] = "warm/{0.source}"

    def __post_init__(self) -> None:
        """Each FID has its number of images, if any has."""
        for number, trial in self.trials.items():
            if trial.get("images", trial["curve"]).keys() != trial["curve"].keys():
                raise ValueError(f"{self.key}: trial {number}: its images are no number for each FID")
