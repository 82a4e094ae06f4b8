"""A trial's pictures (sample grids, histograms) as MLflow's image slider wants them.

`MlflowClient.log_image` puts a random id into each file's name, so that a repeated call shows an image twice.
Here the name is a function of the study, the trial and the step: repeats, also by two processes, overwrite
the same file. The names are otherwise those of `log_image` (a test compares them).
"""

import io
import re
import uuid
from collections.abc import Iterable, Mapping
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
    """Return the pictures that are in the run completely: full size and thumbnail."""
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


def read_png(path: Path) -> bytes | None:
    """Return the file's bytes, or None while there is no whole image in it."""
    from PIL import Image

    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):  # PIL's errors for a truncated or broken file
        return None
    return data


def ready_images(folders: Mapping[str, Path], pictures: Iterable[Picture]) -> dict[Picture, bytes]:
    """Return the images that are there of `pictures`, each in its series' folder of `folders`."""
    found = (((key, step), read_png(picture_file(folders[key], step))) for key, step in sorted(pictures))
    return {picture: png for picture, png in found if png is not None}


def _thumbnail(png: bytes) -> bytes:
    from PIL import Image

    target = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        scale = _THUMBNAIL / max(image.size)
        scale = int(scale) if scale > 1 else scale  # a small picture's pixels stay squares: the page enlarges nothing
        size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
        small = image.resize(size, Image.Resampling.NEAREST if scale >= 1 else None)
        small.save(target, "WEBP", method=0)  # the quickest: by default it took half of MLflow's time in the driver
    return target.getvalue()
