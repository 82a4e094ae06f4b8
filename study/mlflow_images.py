"""Sample grids as MLflow's image slider wants them.

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

KEY = "samples"
FOLDER = "images"
HAS_IMAGES = "mlflow.loggedImages"
"""The tag by which MLflow's run page knows that there are images to show."""

_THUMBNAIL = 256
_LOGGED = re.compile(rf"{FOLDER}/{KEY}[+%]step[+%](\d+)[+%]timestamp[+%]\d+[+%][^/]*?([+%]compressed)?\.\w+")


def sample_file(folder: Path, kimg: int) -> Path:
    """Return where a trial writes the grid of its samples at `kimg`."""
    return folder / f"kimg-{kimg:06d}.png"


def logged_steps(client: "MlflowClient", run_id: str) -> set[int]:
    """Return the steps whose image is in the run completely: full size and thumbnail."""
    full, small = set[int](), set[int]()
    for file in client.list_artifacts(run_id, FOLDER):
        if found := _LOGGED.fullmatch(file.path):
            (small if found[2] else full).add(int(found[1]))
    return full & small


def log_images(client: "MlflowClient", run_id: str, uid: str, images: Mapping[int, tuple[bytes, int]]) -> None:
    """Log PNGs.

    Args:
        client: MLflow's client.
        run_id: MLflow's id of the run.
        uid: ours, the same in every process and on every server.
        images: a PNG and its time (ms since 1970) for each step.
    """
    with TemporaryDirectory(prefix="ganstudy-") as folder:
        for step, (png, timestamp) in images.items():
            ours = uuid.uuid5(uuid.NAMESPACE_URL, f"ganstudy:{uid}/{KEY}/{step}")
            name = f"{KEY}+step+{step}+timestamp+{timestamp}+{ours}"
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


def ready_images(folder: Path, steps: Iterable[int]) -> dict[int, bytes]:
    """Return the images that are there of those at `steps`."""
    found = ((step, read_png(sample_file(folder, step))) for step in sorted(steps))
    return {step: png for step, png in found if png is not None}


def _thumbnail(png: bytes) -> bytes:
    from PIL import Image

    target = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        scale = _THUMBNAIL / max(image.size)
        size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
        image.resize(size).save(target, "WEBP")
    return target.getvalue()
