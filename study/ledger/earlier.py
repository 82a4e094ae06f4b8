"""Results of an earlier study that a new one began with (`warm_start`), as its ledger keeps them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from study.ledger.warm_start_event import EarlierValues, WarmStarted


@dataclass(frozen=True)
class EarlierTrial:
    """A trial of another study: its parameters in this study's space, how it ended, its FID by kimg, rising.

    `images` has the number of images of each FID where that study evaluated at its rungs by fewer; else it is empty.
    """

    number: int
    params: Mapping[str, Any]
    state: str
    curve: Mapping[int, float]
    images: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Earlier:
    """Of the study `name` (`uid`), which had ended `finished` trials, those that fit this study's space, by number."""

    name: str
    uid: str
    finished: int
    trials: tuple[EarlierTrial, ...]

    @classmethod
    def of(cls, event: WarmStarted) -> "Earlier":
        """Read the ledger's row."""
        trials = []
        for number in sorted(event.trials, key=int):
            trial = event.trials[number]
            curve = {int(kimg): trial["curve"][kimg] for kimg in sorted(trial["curve"], key=int)}
            images = {int(kimg): count for kimg, count in trial.get("images", {}).items()}
            trials.append(EarlierTrial(int(number), trial["params"], trial["state"], curve, images))
        return cls(event.source, event.uid, event.finished, tuple(trials))

    @property
    def event(self) -> WarmStarted:
        """The row that says it."""
        return WarmStarted(self.name, self.uid, self.finished, {str(t.number): _plain(t) for t in self.trials})

    def __str__(self) -> str:
        """For people: `23 of 30 finished trials of other`."""
        return f"{len(self.trials)} of {self.finished} finished trials of {self.name}"


def _plain(trial: EarlierTrial) -> EarlierValues:
    curve = {str(kimg): fid for kimg, fid in trial.curve.items()}
    plain: EarlierValues = {"params": dict(trial.params), "state": trial.state, "curve": curve}
    if trial.images:
        plain["images"] = {str(kimg): count for kimg, count in trial.images.items()}
    return plain


def words(earlier: Sequence[Earlier]) -> str:
    """Say of all of them how much was used."""
    return ", ".join(str(one) for one in earlier)
