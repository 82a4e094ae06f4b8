"""What every source of images has in common: a frozen configuration that can load its data set."""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel

from trainables.data.images import Dataset
from trainables.errors import InvalidInput
from trainables.paths import DATA_PLACES, expanded

if TYPE_CHECKING:
    from trainables.data.places import Places  # which imports this module

SMALLEST, LARGEST = 8, 256
"""Sides in pixels that a source may be asked for."""


class DataSource(BaseModel, ABC, frozen=True, extra="forbid"):
    """Says where images come from; `load` brings them. Frozen, so that it can stand in a study file."""

    name: str

    @abstractmethod
    def load(self) -> Dataset:
        """The data set, in memory.

        Raises:
            DataNotFound: when it is nowhere; the message names the places and how to bring it.
            CorruptInput: when a file is not what it should be.
            InvalidInput: when the data breaks a rule.
        """

    @classmethod
    def place_key(cls) -> str | None:
        """Which of `DATA_PLACES` says where the images lie; None for what comes with a library."""
        return next((key for key in DATA_PLACES if key in cls.model_fields), None)

    def at(self, place: Path | None) -> Self:
        """The same images, which lie at `place` now; None: where they lay.

        Raises:
            InvalidInput: if they come with a library.
        """
        if place is None:
            return self
        if (key := self.place_key()) is None:
            raise InvalidInput(f"data at {place}: {self.name} comes with a library; leave it out")
        return self.model_copy(update={key: place})

    @classmethod
    def places(cls) -> "Places | None":
        """Where a published data set usually lies; None for what comes with a library or from a path."""
        return None


def cache_folder() -> Path:
    """The user's cache of ganstudy: `$XDG_CACHE_HOME/ganstudy`, or `~/.cache/ganstudy`. It may not exist.

    Raises:
        InvalidInput: if neither that variable nor a home is there.
    """
    return expanded(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")) / "ganstudy"
