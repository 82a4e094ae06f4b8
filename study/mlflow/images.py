"""A trial's pictures (sample grids, histograms) in the form of MLflow's image slider.

`MlflowClient.log_image` puts a random id into each file's name, so a repeated call shows an image twice. Here the name
is a function of study, trial and step: repeats, also by two processes, overwrite the same file. Otherwise the names
are those of `log_image` (a test compares them).
"""

import io
import re
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

SAMPLES, PROBABILITIES = "samples", "d_probabilities"
KEYS = (SAMPLES, PROBABILITIES)
"""Names of the series of images, one slider each."""

FOLDER = "images"
HAS_IMAGES = "mlflow.loggedImages"
"""The tag by which MLflow's run page knows that there are images to show."""

_THUMBNAIL = 512  # pixels of the longer side at most: `log_image` has 256, in which a histogram cannot be read
_LOGGED = re.compile(
    rf"{FOLDER}/({'|'.join(KEYS)})[+%]step[+%](\d+)[+%]timestamp[+%]\d+[+%][^/]*?([+%]compressed)?\.\w+"
)


Picture = tuple[str, int]
"""The key of its series, and the step."""


def picture_file(folder: Path, kimg: int) -> Path:
    """Return where a trial writes the picture of `kimg`, in the folder of its series."""
    return folder / f"kimg-{kimg:06d}.png"


def logged_pictures(client: "MlflowClient", run_id: str) -> set[Picture]:
    """Return the pictures that the run has both in full size and as a thumbnail."""
    full, small = set[Picture](), set[Picture]()
    for file in client.list_artifacts(run_id, FOLDER):
        if found := _LOGGED.fullmatch(file.path):
            (small if found[3] else full).add((found[1], int(found[2])))
    return full & small


def log_images(client: "MlflowClient", run_id: str, uid: str, images: Mapping[Picture, tuple[bytes, int]]) -> None:
    """Log PNGs.

    Args:
        client: MLflow's client.
        run_id: MLflow's id of the run.
        uid: ours, the same in every process and on every server.
        images: a PNG and its time (ms since 1970) for each picture.
    """
    with TemporaryDirectory(prefix="ganstudy-") as folder:
        for (key, step), (png, timestamp) in images.items():
            ours = uuid.uuid5(uuid.NAMESPACE_URL, f"ganstudy:{uid}/{key}/{step}")
            name = f"{key}+step+{step}+timestamp+{timestamp}+{ours}"
            (Path(folder) / f"{name}.png").write_bytes(png)
            (Path(folder) / f"{name}+compressed.webp").write_bytes(_thumbnail(png))
        client.log_artifacts(run_id, folder, FOLDER)


def ready_images(folders: Mapping[str, Path], pictures: Iterable[Picture]) -> dict[Picture, bytes]:
    """Return the PNGs of those `pictures` whose files are whole, each from its series' folder of `folders`."""
    from PIL import Image

    found: dict[Picture, bytes] = {}
    for key, step in sorted(pictures):
        with suppress(OSError, SyntaxError, ValueError):  # PIL's errors for a truncated or broken file
            png = picture_file(folders[key], step).read_bytes()
            with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
                image.load()
            found[key, step] = png
    return found


def _thumbnail(png: bytes) -> bytes:
    from PIL import Image

    target = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        scale = _THUMBNAIL / max(image.size)
        scale = int(scale) if scale > 1 else scale  # enlarged by whole factors: the page does not
        size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
        small = image.resize(size, Image.Resampling.NEAREST if scale >= 1 else None)
        small.save(target, "WEBP", method=0)  # the default took half of MLflow's time in the driver
    return target.getvalue()
