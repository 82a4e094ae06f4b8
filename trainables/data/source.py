"""What every source of images has in common: a frozen configuration that can load its data set."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

from pydantic import BaseModel

from trainables.data.images import Dataset
from trainables.data.published import PublishedFiles
from trainables.errors import InvalidInput
from trainables.paths import DATA_KEYS

SMALLEST, LARGEST = 8, 256
"""The sizes in pixels a side that a source takes."""


class DataSource(BaseModel, ABC, frozen=True, extra="forbid"):
    """Says where images come from; `load` reads them. Frozen, as part of a study file."""

    name: str

    @abstractmethod
    def load(self) -> Dataset:
        """The data set, in memory.

        Raises:
            DataNotFound: when it is not found; the message names the folders searched and how to get it.
            CorruptInput: when a file is damaged.
            InvalidInput: when the data breaks a rule.
        """

    @classmethod
    def path_key(cls) -> str | None:
        """Which of `DATA_KEYS` says where the images are; None for data that comes with a library."""
        return next((key for key in DATA_KEYS if key in cls.model_fields), None)

    def at(self, path: Path | None) -> Self:
        """The same images at another path; None: where they were.

        Raises:
            InvalidInput: if they come with a library.
        """
        if path is None:
            return self
        if (key := self.path_key()) is None:
            raise InvalidInput(f"data at {path}: {self.name} comes with a library; leave it out")
        return self.model_copy(update={key: path})

    @classmethod
    def published(cls) -> PublishedFiles | None:
        """The files of a published data set; None for data that comes with a library or from a path."""
        return None
