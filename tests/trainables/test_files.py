"""Files that a user names are written as `cat > FILE` would, and our own never wait for anybody."""

import logging
import os
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trainables import files
from trainables.errors import GanStudyError, InvalidInput
from trainables.files import check_file, check_named, is_standard_output, is_stream, write_atomically, write_named

CONTENT = b"x" * 300_000  # more than a pipe holds

Mount = Callable[..., None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    mounted: list[str] = []

    def run(point: Path, *options: str) -> None:
        try:
            done = subprocess.run(["mount", *options, str(point)], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no `mount` here")
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        if str(point) not in mounted:
            mounted.append(str(point))

    yield run
    for point in reversed(mounted):
        subprocess.run(["umount", "-l", point], check=True)


def device(path: Path, minor: int) -> Path:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        path.open("wb").close()
    except OSError as error:
        pytest.skip(f"no device can be made or opened here: {error}")
    return path


class Reader:
    """Reads a pipe to its end, in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self.read = b""
        self._thread = threading.Thread(target=self._run, args=(path,))
        self._thread.start()

    def _run(self, path: Path) -> None:
        self.read = path.read_bytes()

    def end(self) -> bytes:
        self._thread.join(60)
        return self.read


def left_over(folder: Path) -> list[str]:
    return [found.name for found in folder.rglob(".ganstudy-*")]


def test_a_new_file_in_a_new_folder(tmp_path: Path) -> None:
    write_named(tmp_path / "deep" / ("n" * 255), CONTENT)
    assert (tmp_path / "deep" / ("n" * 255)).read_bytes() == CONTENT


@pytest.mark.parametrize("write", [write_named, write_atomically])
def test_a_file_keeps_mode_and_owner_and_a_link_stays_one(write: Callable[[Path, bytes], None], tmp_path: Path) -> None:
    real, link = tmp_path / "elsewhere" / "real", tmp_path / "link"
    real.parent.mkdir()
    real.write_text("old")
    real.chmod(0o640)
    owner = (12345, 23456) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    os.chown(real, *owner)
    (tmp_path / "between").symlink_to("elsewhere/real")
    link.symlink_to("between")
    write(link, CONTENT)
    now = real.stat()
    assert real.read_bytes() == CONTENT
    assert (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) == (0o640, *owner)
    assert link.is_symlink()
    dangling = tmp_path / "dangling"
    dangling.symlink_to("new/file")
    write(dangling, b"made")
    assert (tmp_path / "new" / "file").read_bytes() == b"made"
    assert not left_over(tmp_path)


def test_a_device_is_written_to_and_stays_one(tmp_path: Path) -> None:
    null, full = device(tmp_path / "null", 3), device(tmp_path / "full", 7)
    (tmp_path / "link").symlink_to(null)
    before = null.stat()
    for path in (null, tmp_path / "link"):
        check_named(path, "--out")
        write_named(path, CONTENT)
        assert is_stream(path)
    after = null.stat()
    assert (after.st_ino, after.st_rdev, after.st_mode) == (before.st_ino, before.st_rdev, before.st_mode)
    with pytest.raises(GanStudyError, match="full: cannot be written: No space left on device") as left:
        write_named(full, CONTENT)
    assert left.value.exit_code == 1
    assert stat.S_ISCHR(full.stat().st_mode)


def test_a_pipe_has_all_of_it_also_where_its_reader_comes_late(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    readers: list[Reader] = []
    monkeypatch.setattr(files._log, "warning", lambda *_: readers.append(Reader(pipe)))
    write_named(pipe, CONTENT)
    assert readers[0].end() == CONTENT
    with pipe.open("rb+", buffering=0) as early:  # a reader that is there already
        write_named(pipe, b"few")
        assert early.read(3) == b"few"
    assert len(readers) == 1
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    monkeypatch.undo()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with caplog.at_level(logging.WARNING), pytest.raises(KeyboardInterrupt):
            write_named(pipe, CONTENT)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert "waiting for its reader" in caplog.text


def test_a_reader_that_goes_away_is_one_line(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(GanStudyError, match="Broken pipe"):
        write_named(Path(f"/dev/fd/{writing}"), CONTENT)
    os.close(writing)


def test_an_open_descriptor_is_written_to_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("wb", buffering=0) as log:
        log.write(b"before;")
        for path in (f"/dev/fd/{log.fileno()}", f"/proc/self/fd/{log.fileno()}"):
            write_named(Path(path), b"written;")
        log.write(b"after")
    assert file.read_bytes() == b"before;written;written;after"
    left, right = socket.socketpair()  # which cannot be opened anew
    with left, right:
        write_named(Path(f"/dev/fd/{left.fileno()}"), b"written")
        assert right.recv(100) == b"written"
    with pytest.raises(InvalidInput, match="Bad file descriptor"):
        check_named(Path("/dev/fd/987654"), "--out")
    assert is_standard_output(Path("-"))
    assert is_standard_output(Path("/dev/stdout"))
    assert not is_standard_output(Path("/dev/stderr"))


@pytest.mark.parametrize("refuse", [lambda path: write_named(path, b"x"), lambda path: check_named(path, "--out")])
def test_what_cannot_be_written_is_refused_in_one_line(refuse: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("kept")
    (tmp_path / "to-folder").symlink_to("folder")
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(tmp_path)  # a socket's path is short
        bound.bind("socket")
        os.chdir(here)
        for name, says in (
            ("folder", "is a folder, not a file"),
            ("to-folder", "is a folder, not a file"),
            ("socket", "is a socket, not a file"),
            ("loop", "Too many levels of symbolic links"),
            ("file/below", "Not a directory"),
            ("n" * 256, "File name too long"),
            ("a\0b", "embedded null byte"),
        ):
            with pytest.raises(InvalidInput) as told:
                refuse(tmp_path / name)
            assert says in str(told.value)
            assert "another path" in str(told.value)
    assert (tmp_path / "file").read_text() == "kept"
    assert not left_over(tmp_path)


def test_a_file_that_no_other_can_take_the_place_of_is_written_in_place(tmp_path: Path, mount: Mount) -> None:
    """One that is mounted on its own, as containers have them, or in a folder that is read-only."""
    outside, inside = tmp_path / "outside", tmp_path / "ro" / "inside"
    outside.write_text("a longer text than the new one")
    inside.parent.mkdir()
    mount(inside.parent, "-t", "tmpfs", "-o", "size=1m", "tmpfs")
    inside.touch()
    mount(inside, "--bind", str(outside))
    write_named(inside, b"new")
    assert outside.read_bytes() == b"new"
    mount(inside.parent, "-o", "remount,ro")
    check_named(inside, "--out")
    write_named(inside, b"newer")
    assert outside.read_bytes() == b"newer"
    for refuse in (lambda path: write_named(path, b"x"), lambda path: check_named(path, "--out")):
        with pytest.raises(InvalidInput, match="Read-only file system"):
            refuse(inside.parent / "other")


def test_our_own_files_never_wait_and_replace_nothing_else(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "link", "folder"):
        with pytest.raises(OSError, match="not a file"):
            write_atomically(tmp_path / name, b"x")
        with pytest.raises(InvalidInput, match="not a file"):
            check_file(tmp_path / name, "study's file")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    check_file(tmp_path / "new", "study's file")
