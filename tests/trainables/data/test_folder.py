"""Folders and archives of image files: what becomes of each kind of image, the cache, and what is refused."""

import io
import itertools
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import encoded, image_files, pixels, put_below
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from trainables.data import Folder, Split, collection, folder, picture
from trainables.data.array_cache import ArrayCache
from trainables.data.collection import open_collection
from trainables.data.picture import decode, strict_pillow
from trainables.data.transform import split_indices
from trainables.errors import CorruptInput, DataNotFound, InvalidInput

Pixels = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(root))
    return root / "ganstudy" / "images"


# --------------------------------------------------------------------------------------- from a file to pixels


def decoded(content: bytes, size: int, mode: str = "rgb") -> Pixels:
    with strict_pillow():
        return decode(content, "it", size, mode)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_files_of_the_right_size_come_out_as_they_went_in(form: str) -> None:
    colours, grey = pixels(16, 16, 3), pixels(16, 16)
    np.testing.assert_array_equal(decoded(encoded(colours, form), 16), colours.transpose(2, 0, 1))
    np.testing.assert_array_equal(decoded(encoded(grey, form), 16, "grey"), grey[None])
    np.testing.assert_array_equal(decoded(encoded(grey, form), 16), np.stack([grey] * 3))


def test_lossless_webp_and_near_jpeg() -> None:
    colours = np.kron(pixels(2, 2, 3), np.ones((8, 8, 1), np.uint8)).astype(np.uint8)
    np.testing.assert_array_equal(decoded(encoded(colours, "WEBP", lossless=True), 16), colours.transpose(2, 0, 1))
    jpeg = decoded(encoded(colours, "JPEG", quality=100, subsampling=0), 16)
    assert abs(jpeg.astype(int) - colours.transpose(2, 0, 1)).max() <= 4


def test_of_an_animation_it_is_the_first_frame() -> None:
    frames = [Image.new("P", (8, 8), colour) for colour in (0, 1)]
    for frame in frames:
        frame.putpalette([10, 20, 30, 200, 210, 220])
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decoded(content, 8)[:, 0, 0].tolist() == [10, 20, 30]


def test_a_palette_is_looked_up_before_anything_is_averaged() -> None:
    """Indices 0 and 2 alternate: their mean, 1, is a green that no pixel of the image has."""
    board = Image.fromarray((np.indices((32, 32)).sum(0) % 2 * 2).astype(np.uint8), "P")
    board.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    red, green, blue = decoded(saved(board, "PNG"), 8).astype(int)
    assert green.max() == 0
    assert abs(red - 127.5).max() < 16
    assert abs(blue - 127.5).max() < 16


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (8, 8), (100, 0, 0, 0))
    assert decoded(saved(image, "PNG"), 8).min() == 255
    half = Image.new("RGBA", (8, 8), (100, 0, 0, 128))
    expected = [(100 * 128 + 255 * 127) / 255, 255 * 127 / 255, 255 * 127 / 255]
    np.testing.assert_allclose(decoded(saved(half, "PNG"), 8)[:, 0, 0], expected, atol=1)
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([9, 9, 9])
    assert decoded(saved(palette, "PNG", transparency=0), 8).min() == 255
    assert decoded(saved(Image.new("LA", (8, 8), (7, 0)), "PNG"), 8, "grey").min() == 255
    assert decoded(saved(Image.new("RGB", (8, 8), (1, 2, 3)), "PNG", transparency=(1, 2, 3)), 8).min() == 255


def test_of_sixteen_bits_the_upper_eight_are_kept() -> None:
    wide = (np.arange(256).reshape(16, 16) * 257).astype(np.uint16)
    expected = np.arange(256).reshape(1, 16, 16)
    for form in ("PNG", "TIFF", "PPM"):
        content = saved(Image.fromarray(wide), form)
        np.testing.assert_array_equal(decoded(content, 16, "grey"), expected)
        np.testing.assert_array_equal(decoded(content, 16)[1:2], expected)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_of_unknown_range_are_refused(mode: str) -> None:
    with pytest.raises(InvalidInput, match=r"it: .* numbers, whose black and white are unknown"):
        decoded(saved(Image.new(mode, (8, 8)), "TIFF"), 8)


def test_other_modes_are_what_pillow_makes_of_them() -> None:
    colours = Image.fromarray(pixels(16, 16, 3))
    for mode, form in (("CMYK", "TIFF"), ("LAB", "TIFF"), ("1", "PNG")):
        image = colours.convert("RGB").convert(mode) if mode != "LAB" else Image.new("LAB", (16, 16), (128, 0, 0))
        content = saved(image, form)
        with Image.open(io.BytesIO(content)) as again:
            expected = np.asarray(again.convert("RGB")).transpose(2, 0, 1)
        np.testing.assert_array_equal(decoded(content, 16), expected)
        assert decoded(content, 16, "grey").shape == (1, 16, 16)


def test_grey_is_the_luma_of_the_colours() -> None:
    colours = pixels(16, 16, 3)
    luma = colours @ np.array([299, 587, 114]) / 1000
    np.testing.assert_allclose(decoded(encoded(colours), 16, "grey")[0], luma, atol=1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("wide", [False, True])
def test_a_turned_photograph_is_put_upright(orientation: int, wide: bool) -> None:
    """EXIF 2.3: where the stored first row and column belong."""
    upright = pixels(12, 12)
    undo: dict[int, Callable[[Pixels], Pixels]] = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: np.transpose,
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).T,
        8: lambda a: np.rot90(a, -1),
    }
    stored = np.ascontiguousarray(undo[orientation](upright))
    image = Image.fromarray(stored.astype(np.uint16) * 257 if wide else stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(decoded(saved(image, "PNG", exif=exif), 12, "grey")[0], upright)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([8, 16]))
def test_it_is_the_largest_central_square_resized(width: int, height: int, size: int) -> None:
    image = pixels(height, width, seed=width * 41 + height)
    side = min(width, height)
    top, left = (height - side) // 2, (width - side) // 2
    cut = Image.fromarray(np.ascontiguousarray(image[top : top + side, left : left + side]))
    expected = np.asarray(cut.resize((size, size), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(decoded(encoded(image), size, "grey")[0], expected)


def test_what_lies_outside_the_square_does_not_weigh_in() -> None:
    dark = np.zeros((32, 96), np.uint8)
    dark[:, :32] = dark[:, 64:] = 255
    assert decoded(encoded(dark), 8).max() == 0


def test_making_smaller_averages_where_picking_pixels_would_not() -> None:
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert abs(decoded(encoded(board), 16, "grey").astype(int) - 127.5).max() < 16


def test_no_byte_of_a_png_may_change_unnoticed() -> None:
    """Of flat areas, which compress: there a decoder that passes over checksums shows other pixels."""
    whole = encoded(np.kron(pixels(6, 6, 3), np.ones((4, 4, 1), np.uint8)).astype(np.uint8))
    expected = decoded(whole, 8)
    for at, bit in itertools.product(range(len(whole)), (1, 16)):
        damaged = whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
        try:
            np.testing.assert_array_equal(decoded(damaged, 8), expected)
        except (CorruptInput, InvalidInput) as error:
            assert str(error).startswith("it: ")  # noqa: PT017


@pytest.mark.parametrize("form", picture.FORMATS)
def test_a_file_that_breaks_off_is_refused(form: str) -> None:
    whole = encoded(pixels(24, 24, 3), form)
    for length in (0, 1, 10, len(whole) // 2, len(whole) * 3 // 4):
        with pytest.raises(CorruptInput, match=r"^it: "):
            decoded(whole[:length], 8)


@given(st.binary(max_size=200), st.sampled_from(picture.FORMATS), st.data())
def test_no_damage_gives_an_error_of_another_kind(noise: bytes, form: str, data: st.DataObject) -> None:
    whole = encoded(pixels(12, 12, 3), form)
    start = data.draw(st.integers(0, len(whole)))
    try:
        made = decoded(whole[:start] + noise + whole[start + len(noise) :], 8)
    except InvalidInput:  # CorruptInput is one
        return
    assert made.shape == (3, 8, 8)


def test_a_decompression_bomb_is_refused_before_it_goes_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    decoded(encoded(pixels(31, 31)), 8)
    for side in (33, 60):  # Pillow warns of the first, and refuses the second
        with pytest.raises(InvalidInput, match="it: more than 1000 pixels"):
            decoded(encoded(pixels(side, side)), 8)


def test_pillows_warnings_and_filters_are_as_before() -> None:
    import warnings

    before = list(warnings.filters)
    with strict_pillow():
        pass
    assert list(warnings.filters) == before


# ------------------------------------------------------------------------------------- which files, which order


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes]) -> Path:
    mode: Any = "w" if path.suffix == ".tar" else f"w:{path.suffix[1:]}"
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


FORMS: dict[str, Callable[[Path, dict[str, bytes]], Path]] = {
    "folder": lambda root, files: put_below(root / "images", files),
    "zip": lambda root, files: zipped(root / "images.zip", files),
    "tar": lambda root, files: tarred(root / "images.tar", files),
    "tar.gz": lambda root, files: tarred(root / "images.tar.gz", files),
    "tar.xz": lambda root, files: tarred(root / "images.tar.xz", files),
    "tar.bz2": lambda root, files: tarred(root / "images.tar.bz2", files),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_and_an_archive_of_it_are_one_data_set(tmp_path: Path, form: str) -> None:
    files = image_files(40, classes=3)
    shuffled = dict(reversed(list(files.items())))
    dataset = Folder(path=FORMS[form](tmp_path, shuffled), size=12).load()
    assert [len(dataset.split(s)) for s in Split] == [32, 4, 4]
    assert (dataset.channels, dataset.size, dataset.classes) == (3, 12, 3)
    # Derived from the files: sorted by path, divided by split_indices, classes by the folders' names.
    names = sorted(files)
    for split, chosen in zip(Split, split_indices(40, 2), strict=True):
        part = dataset.split(split)
        for image, label, index in zip(part.images, np.asarray(part.labels), chosen, strict=True):
            with Image.open(io.BytesIO(files[names[index]])) as stored:
                np.testing.assert_array_equal(image, np.asarray(stored).transpose(2, 0, 1))
            assert names[index].startswith(f"class{label}/")


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_folders_around_everything_in_an_archive_are_passed_over(tmp_path: Path, form: str) -> None:
    files = {f"./top/train/{name}": content for name, content in image_files(20).items()}
    assert Folder(path=FORMS[form](tmp_path, files), size=12).load().classes == 2


def test_labels_need_every_image_in_a_folder_and_two_folders(tmp_path: Path) -> None:
    files = image_files(20)
    (one,) = image_files(1, classes=1).values()
    makers = {
        "flat": {name.replace("/", "-"): content for name, content in files.items()},
        "one above": files | {"above.png": one},
        "one folder": {f"all/{name.partition('/')[2]}": content for name, content in files.items()},
    }
    for name, made in makers.items():
        assert Folder(path=put_below(tmp_path / name, made), size=12).load().classes is None
    put_below(tmp_path / "deeper", {f"all/{name}": content for name, content in files.items()})
    assert Folder(path=tmp_path / "deeper", size=12).load().classes == 2, "as in an archive of it"
    put_below(
        tmp_path / "two", {f"{name.partition('/')[0]}/x/{name.partition('/')[2]}": c for name, c in files.items()}
    )
    assert Folder(path=tmp_path / "two", size=12).load().classes == 2
    assert Folder(path=tmp_path / "two", size=12, labels="none").load().classes is None


def test_other_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    more = {"README.txt": b"x", ".DS_Store": b"x", "__MACOSX/class0/._000.png": b"x", "class0/.hidden.png": b"x"}
    for form in ("folder", "zip", "tar"):
        names = open_collection(FORMS[form](tmp_path, image_files(12) | more | {".git/x.png": b"x"})).names
        assert names == sorted(image_files(12))


def test_a_link_to_a_file_and_to_a_folder_elsewhere_is_followed(tmp_path: Path) -> None:
    put_below(tmp_path / "elsewhere", image_files(12, classes=1))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere" / "class0")
    (tmp_path / "data" / "one.png").symlink_to(tmp_path / "elsewhere" / "class0" / "000.png")
    assert len(open_collection(tmp_path / "data").names) == 13


# ---------------------------------------------------------------------------------------------------- the cache


def count_decodes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []

    def counted(content: bytes, name: str, size: int, mode: str) -> Pixels:
        done.append(name)
        return decode(content, name, size, mode)

    monkeypatch.setattr(folder, "decode", counted)
    return done


def test_the_second_load_reads_the_cache_and_a_change_does_not(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = put_below(tmp_path / "images", image_files(20))
    done = count_decodes(monkeypatch)

    def load(expected: int, **more: Any) -> str:
        done.clear()
        digest = Folder(path=root, **({"size": 12} | more)).load().digest
        assert len(done) == expected
        return digest

    first = load(20)
    assert load(0) == first
    assert load(0, labels="none") != first  # the same pixels
    assert load(20, size=8) != first
    assert load(20, mode="grey") != first
    changed = root / "class0" / "000.png"
    before = changed.stat()
    changed.write_bytes(encoded(pixels(12, 12, 3, seed=9)))
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a careless copy would
    assert load(20) != first
    changed.rename(root / "class1" / "000.png")
    assert load(20) != first
    assert {path.suffix for path in cache.iterdir()} == {".npy", ".json"}


@pytest.mark.parametrize("suffix", ["npy", "json"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:-9] + bytes(9)),
        lambda path: path.write_bytes(b"[1]"),
    ],
    ids=["gone", "empty", "cut", "changed", "other"],
)
def test_a_damaged_entry_is_made_anew(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, damage: Callable[[Path], None]
) -> None:
    source = Folder(path=put_below(tmp_path / "images", image_files(20)), size=12)
    done = count_decodes(monkeypatch)
    first = source.load().digest
    (file,) = cache.glob(f"*.{suffix}")
    damage(file)
    assert source.load().digest == first
    assert len(done) == 40
    assert source.load().digest == first
    assert len(done) == 40


def test_an_interrupted_or_failed_load_leaves_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = put_below(tmp_path / "images", image_files(20) | {"class1/zzz.png": b"no image"})
    with pytest.raises(CorruptInput, match=r"class1/zzz\.png"):
        Folder(path=root, size=12).load()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    (root / "class1" / "zzz.png").unlink()
    monkeypatch.setattr(folder, "decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Folder(path=root, size=12).load()
    assert list(cache.iterdir()) == []


def test_a_full_disk_and_a_cache_that_is_none_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    source = Folder(path=put_below(tmp_path / "images", image_files(20)), size=12)
    with monkeypatch.context() as patch:
        patch.setattr("os.posix_fallocate", full)
        with pytest.raises(InvalidInput, match=r"cache .*: cannot be written \(No space left on device\); make room"):
            source.load()
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InvalidInput, match=r"cache .*: cannot be written"):
        source.load()


def test_the_manifest_vouches_for_the_file(tmp_path: Path) -> None:
    import hashlib

    def fill(array: Pixels) -> None:
        array[:] = pixels(4, 5)

    made = ArrayCache(tmp_path).get("key", (4, 5), fill)
    np.testing.assert_array_equal(made, pixels(4, 5))
    assert type(made) is np.ndarray
    assert not made.flags.writeable
    content = (tmp_path / "key.npy").read_bytes()
    assert json.loads((tmp_path / "key.json").read_text())["sha256"] == hashlib.sha256(content).hexdigest()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool
) -> None:
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    Folder(path=put_below(tmp_path / "images", image_files(20)), size=12).load()
    assert ("reading" in stream.getvalue()) == terminal
    assert capsys.readouterr().out == ""


# ---------------------------------------------------------------------------------------------- what is refused


def refusal(path: Path, **more: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        Folder(path=path, **({"size": 12} | more)).load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_path_that_leads_nowhere_or_to_something_else(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path / ("x" * 300), Path("a\0b")):
        with pytest.raises(DataNotFound, match=r"there is no folder or archive .*; correct `data\.path`"):
            Folder(path=path, size=12).load()
    (tmp_path / "one.png").write_bytes(encoded(pixels(8, 8)))
    assert "neither a folder nor a .zip, .tar" in refusal(tmp_path / "one.png")
    (tmp_path / "empty.zip").write_bytes(b"")
    assert "empty.zip: not the archive that its name says, or damaged" in refusal(tmp_path / "empty.zip")


def test_too_few_images(tmp_path: Path) -> None:
    put_below(tmp_path / "images", {"README.txt": b""})
    assert f"{tmp_path / 'images'}: 0 images; at least 10" in refusal(tmp_path / "images")
    assert "passed over: 1 .txt (not an image" in refusal(tmp_path / "images")
    put_below(tmp_path / "images", image_files(9))
    assert "9 images; at least 10" in refusal(tmp_path / "images")


def test_a_class_that_no_train_image_has(tmp_path: Path) -> None:
    """The one image of class 3 is put where split_indices sets it apart."""
    order = split_indices(30, 2)
    lone = int(order[1][0])
    assert 10 < lone < 29
    names = [f"{'a' if i < lone else 'c'}/{i:02}.png" if i != lone else f"b/{i:02}.png" for i in range(30)]
    put_below(tmp_path / "images", dict(zip(names, image_files(30).values(), strict=True)))
    assert (
        "of the class b (in all 1 images, 2 of 3 classes) none is in the train split; give it more images, or set "
        "data.labels: none"
    ) in refusal(tmp_path / "images")
    assert Folder(path=tmp_path / "images", size=12, labels="none").load().classes is None


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_image_is_named(tmp_path: Path, form: str) -> None:
    files = image_files(20)
    for content in (b"", b"text", files["class0/000.png"][:-30], encoded(pixels(8, 8))[:60]):
        said = refusal(FORMS[form](tmp_path, files | {"class1/bad.png": content}))
        assert "images" in said
        assert "class1/bad.png: " in said


def test_links_that_lead_round_or_nowhere(tmp_path: Path) -> None:
    root = put_below(tmp_path / "images", image_files(12))
    for name, target in (("class0/up", root), ("self.png", root / "self.png"), ("gone.png", root / "no.png")):
        (root / name).symlink_to(target)
        assert str(root / name) in refusal(root)
        (root / name).unlink()
    (root / "class0" / "other").symlink_to(root / "class1")
    (root / "class1" / "other").symlink_to(root / "class0")
    assert "a link to a folder that contains it" in refusal(root)


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = put_below(tmp_path / "images", image_files(12))
    os.mkfifo(root / "pipe.png")
    assert "pipe.png: a device or a pipe, not a file" in refusal(root)
    (root / "pipe.png").unlink()
    whole = Path.read_bytes

    def denied(self: Path) -> bytes:
        if self.name == "004.png":
            raise PermissionError(13, "Permission denied")
        return whole(self)

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert "class0/004.png: cannot be read (Permission denied)" in refusal(root)
    monkeypatch.setattr(os, "scandir", lambda _: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    assert f"{root}: cannot be read (Permission denied)" in refusal(root)


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/etc/x.png", "..\\x.png", "../x.txt"])
@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz"])
def test_members_that_leave_the_archive(tmp_path: Path, form: str, name: str) -> None:
    said = refusal(FORMS[form](tmp_path, image_files(12) | {name: encoded(pixels(8, 8))}))
    assert "leaves the archive's folder" in said
    assert name in said


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar(tmp_path: Path, kind: bytes) -> None:
    path = tarred(tmp_path / "x.tar", image_files(12))
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo("bad.png")
        member.type, member.linkname = kind, "class0/000.png"
        archive.addfile(member)
    assert "bad.png is a link or a device" in refusal(path)


def test_links_passwords_and_twins_in_a_zip(tmp_path: Path) -> None:
    path = zipped(tmp_path / "link.zip", image_files(12))
    with zipfile.ZipFile(path, "a") as archive:
        member = zipfile.ZipInfo("bad.png")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "/etc/passwd")
    assert "bad.png is a link" in refusal(path)

    path = zipped(tmp_path / "locked.zip", image_files(12))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert "is encrypted" in refusal(path)

    path = zipped(tmp_path / "twins.zip", image_files(12))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("class0/000.png", b"other")
    assert "class0/000.png is in the archive twice" in refusal(path)


@pytest.mark.parametrize("form", ["folder", "zip", "tar"])
def test_a_file_too_large_is_not_even_read(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "LARGEST_FILE", 5000)
    assert "big.png: 6000 bytes; an image may have at most 5000" in refusal(
        FORMS[form](tmp_path, image_files(12) | {"big.png": bytes(6000)})
    )


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"])
def test_an_archive_that_breaks_off_is_never_a_smaller_data_set(tmp_path: Path, form: str) -> None:
    path = FORMS[form](tmp_path, image_files(20))
    whole = path.read_bytes()
    source = Folder(path=path, size=12)
    expected = source.load().digest
    boundary = 512 * 2 * 12  # of a member, in a plain tar
    for length in (100, 511, boundary, boundary + 100, len(whole) // 2, len(whole) * 9 // 10, len(whole) - 1):
        if length >= len(whole):
            continue
        path.write_bytes(whole[:length])
        try:
            assert source.load().digest == expected, "only padding was lost"
        except InvalidInput as error:
            assert str(path) in str(error)  # noqa: PT017
            continue
        assert form == "tar"


@pytest.mark.parametrize("form", ["zip", "tar.gz", "tar"])
def test_a_changed_byte_in_an_archive_is_noticed_or_does_no_harm(tmp_path: Path, form: str) -> None:
    path = FORMS[form](tmp_path, image_files(20))
    whole = path.read_bytes()
    source = Folder(path=path, size=12)
    dataset = source.load()
    for at in np.random.Generator(np.random.PCG64(3)).integers(0, len(whole), 60).tolist():
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            again = source.load()
        except InvalidInput as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            assert again.digest == dataset.digest


def test_every_format_has_a_decoder_here() -> None:
    Image.init()
    assert set(picture.FORMATS) <= set(Image.OPEN)
    known = {form: {s for s, own in Image.registered_extensions().items() if own == form} for form in picture.FORMATS}
    ours = {form: set(picture.SUFFIXES_OF[form].split()) for form in picture.FORMATS}
    sequences_and_floats = {".avifs", ".pfm"}
    assert set().union(*(known[form] - ours[form] for form in ours)) <= sequences_and_floats
    assert set().union(*ours.values()) == picture.SUFFIXES


def test_every_usual_suffix_is_read_in_any_case(tmp_path: Path) -> None:
    image = pixels(12, 12, 3)
    put_below(
        tmp_path / "images",
        {
            f"{number}{suffix.upper() if number % 2 else suffix}": encoded(image, form)
            for form in picture.FORMATS
            for number, suffix in enumerate(picture.SUFFIXES_OF[form].split())
        },
    )
    found = open_collection(tmp_path / "images")
    assert len(found.names) == len(picture.SUFFIXES) > 20
    assert found.passed_over() == ()
    assert Folder(path=tmp_path / "images", size=12, labels="none").load().reading is not None
