"""Files that are not read: none in silence, each with why."""

from pathlib import Path

from data_files import image_files, put_below

from trainables.data.collection import open_collection
from trainables.data.passed_over import Census


def test_every_other_file_is_counted_by_its_suffix_with_why(tmp_path: Path) -> None:
    others = ["a.HEIC", "b.heic", "c.csv", "d.psd", "e.zip", "f.mp4", "README", "g.weird", ".DS_Store", "Thumbs.db"]
    root = put_below(tmp_path / "images", image_files(12) | dict.fromkeys(others, b"") | {".git/x.png": b""})
    found = {one.suffix: one for one in open_collection(root).passed_over()}
    counts = {".heic": 2, ".csv": 1, ".psd": 1, ".zip": 1, ".mp4": 1, "without suffix": 1, ".weird": 1, "hidden": 3}
    assert {suffix: one.count for suffix, one in found.items()} == counts
    assert found[".heic"].example == "a.HEIC"
    assert str(found[".heic"]) == "2 .heic (an image format that is not read; convert it to PNG or JPEG)"
    assert found[".psd"].why == found[".heic"].why, "Pillow knows it"
    wanted = {suffix for suffix, one in found.items() if one.wanted}
    assert wanted == {".heic", ".psd", ".zip", ".mp4", "without suffix"}
    assert [one.wanted for one in open_collection(root).passed_over()] == [True] * 5 + [False] * 3


def test_a_file_that_is_used_after_all_is_not_passed_over() -> None:
    census = Census()
    assert not census.wants("dataset.json")
    assert not census.wants("x/other.json")
    assert [one.count for one in census.passed_over()] == [2]
    assert [one.count for one in census.passed_over(used=["dataset.json"])] == [1]
    assert census.wants("a/b.JFIF")
