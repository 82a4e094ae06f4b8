"""A trial's pictures (sample grids, histograms) in the form of MLflow's image slider.

`MlflowClient.log_image` puts a random id into each file's name, so a repeated call shows an image twice. Here the name
is a function of study, trial and step: repeats, also by two processes, overwrite the same file. Otherwise the names
are those of `log_image` (a test compares them).

The slider opens at step 0, whatever there is. So the newest picture stands there, and is replaced by each newer one;
the others stand at their kimg. What an untrained generator draws is shown only until there is something newer.
"""

import io
import re
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

SAMPLES, PROBABILITIES = "samples/generated", "training/d_probabilities"
KEYS = (SAMPLES, PROBABILITIES)
"""Names of the series of images, one slider each, in the sections of `sections.py`."""

NEWEST = 0
"""The step at which the newest picture of a series stands."""

FOLDER = "images"
HAS_IMAGES = "mlflow.loggedImages"
"""The tag by which MLflow's run page knows that there are images to show."""

_THUMBNAILS = {SAMPLES: 220, PROBABILITIES: 512}  # pixels of the longer side at most
"""Four trials' samples stand side by side in a window of 1600 pixels. A histogram cannot be read in so few; `log_image`
has 256."""

_IN_NAMES = {key: key.replace("/", "~") for key in KEYS}  # as `log_image` has it
_LOGGED = re.compile(
    rf"{FOLDER}/({'|'.join(_IN_NAMES.values())})[+%]step[+%](\d+)[+%]timestamp[+%]\d+[+%][^/]*?([+%]compressed)?\.\w+"
)
_LINES = 22  # captions of this height would fill a picture as high as it is wide


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
            (small if found[3] else full).add((found[1].replace("~", "/"), int(found[2])))
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
        for picture, (png, timestamp) in images.items():
            name = file_name(uid, picture, timestamp)
            (Path(folder) / f"{name}.png").write_bytes(png)
            (Path(folder) / f"{name}+compressed.webp").write_bytes(_thumbnail(png, _THUMBNAILS[picture[0]]))
        client.log_artifacts(run_id, folder, FOLDER)


def file_name(uid: str, picture: Picture, timestamp: int) -> str:
    """Return the name of a picture's file in `FOLDER`, without its ending; the arguments as those of `log_images`."""
    key, step = picture
    ours = uuid.uuid5(uuid.NAMESPACE_URL, f"ganstudy:{uid}/{key}/{step}")
    return f"{_IN_NAMES[key]}+step+{step}+timestamp+{timestamp}+{ours}"


def address(run_id: str, uid: str, picture: Picture, timestamp: int) -> str:
    """Return where MLflow's pages find a logged picture, for the Markdown of a description on any of them."""
    path = f"{FOLDER}/{file_name(uid, picture, timestamp)}.png"
    return "get-artifact?" + urlencode({"path": path, "run_uuid": run_id})


def captioned(png: bytes, text: str) -> bytes:
    """Return the picture with a line of text above it: at `NEWEST` MLflow's page does not tell the kimg."""
    from PIL import Image, ImageDraw, ImageFont

    target = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        size = max(10, image.width // _LINES)  # it is read in a thumbnail
        line = size * 3 // 2
        whole = Image.new(image.mode, (image.width, image.height + line), "white")
        whole.paste(image, (0, line))
        ImageDraw.Draw(whole).text((2, 0), text, fill="black", font=ImageFont.load_default(size))
        whole.save(target, "PNG", compress_level=1)
    return target.getvalue()


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


def _thumbnail(png: bytes, most: int) -> bytes:
    from PIL import Image

    target = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        scale = most / max(image.size)
        scale = int(scale) if scale > 1 else scale  # enlarged by whole factors: the page does not
        size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
        small = image.resize(size, Image.Resampling.NEAREST if scale >= 1 else None)
        small.save(target, "WEBP", method=0)  # the default took half of MLflow's time in the driver
    return target.getvalue()
