"""Finds the files of a published data set: in its `root`, the user's cache or Debian's folder, else downloads them."""

import importlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trainables.errors import CorruptInput, DataNotFound, reason_of
from trainables.paths import absolute, cache_folder

Search = Callable[[Path], tuple[dict[str, Path], list[str]]]
"""Looks into one folder: the paths of the files found, by their official names, and the names of the missing."""


@dataclass(frozen=True)
class PublishedFiles:
    """The files of one published data set, and the folders that are searched for them, in order.

    Attributes:
        name: the source's name, and that of its folder in the cache.
        search: looks into one of the folders.
        torchvision: the class of `torchvision.datasets` that downloads it.
        downloaded: the folder that this class makes.
        files: what the folder must hold, in words.
        debian: the folder of the Debian package `package`, where there is one.
    """

    name: str
    search: Search
    torchvision: str
    downloaded: str
    files: str
    debian: Path | None = None
    package: str = ""

    def find(self, root: Path | None) -> dict[str, Path]:
        """The files' paths in the first folder that has all of them; with a `root`, in it or nowhere.

        Raises:
            DataNotFound: when they are not found; names every folder and how to get them.
        """
        if root is not None:
            return self._in_root(root)
        if found := self.at_hand():
            return found
        cache = self._cache
        self._download(cache)
        found, missing = self.search(cache)
        if missing:
            raise DataNotFound(f"{self.name}: the download into {cache} lacks {', '.join(missing)}; try again")
        return found

    def at_hand(self) -> dict[str, Path]:
        """The files' paths in the first usual folder that has all of them, else none; nothing is downloaded."""
        for folder in (self._cache, self.debian):
            if folder is not None:
                found, missing = self.search(folder)
                if not missing:
                    return found
        return {}

    @property
    def _cache(self) -> Path:
        return cache_folder() / self.name

    def _in_root(self, root: Path) -> dict[str, Path]:
        found, missing = self.search(absolute(root))
        if missing:
            raise DataNotFound(
                f"{self.name}: {absolute(root)} lacks {', '.join(missing)}; correct `root`, or leave it out to look in "
                "the usual folders"
            )
        return found

    def _download(self, cache: Path) -> None:
        try:
            self._fetch(cache)
        except Exception as error:  # torchvision passes on whatever its network layer raises
            folders = f"{cache}, or {self.debian}" if self.debian else f"or {cache}"
            install = f"run `apt-get install {self.package}`, or " if self.package else ""
            raise DataNotFound(
                f"{self.name}: not in the study's `root` (not given), {folders}, and torchvision could not download it "
                f"({reason_of(error, most=120)}); {install}copy {self.files} into one of these folders"
            ) from error

    def _fetch(self, cache: Path) -> None:
        datasets = importlib.import_module("torchvision.datasets")  # takes 1 s to import
        cache.mkdir(parents=True, exist_ok=True)
        # Into a folder of its own first: an interrupted download must not look like a finished one.
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=cache))
        try:
            getattr(datasets, self.torchvision)(root=str(partial), download=True)
            shutil.rmtree(cache / self.downloaded, ignore_errors=True)
            (partial / self.downloaded).replace(cache / self.downloaded)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def read(path: Path) -> bytes:
    """The content of a file of a data set.

    Raises:
        CorruptInput: naming it, when it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CorruptInput(
            f"{path}: cannot be read ({error.strerror}); make it readable, or replace the file"
        ) from error
