from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from bulk_upload.edge.output import replaced


def _write(path: Path, data: bytes) -> None:
    with replaced(str(path)) as stream:
        stream.write(data)


def test_a_new_file_appears_whole(tmp_path: Path) -> None:
    """Until the block has ended there is no file of that name; then it is complete."""
    path = tmp_path / "out"
    with replaced(str(path)) as stream:
        stream.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out"]


def test_a_new_file_has_the_mode_people_expect(tmp_path: Path) -> None:
    """An export is not more private than other files the person makes."""
    reference = tmp_path / "reference"
    reference.touch()
    _write(tmp_path / "out", b"")
    assert (tmp_path / "out").stat().st_mode == reference.stat().st_mode


def test_an_old_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    """Whoever has the old file open goes on reading the old content; permissions stay."""
    path = tmp_path / "out"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with path.open("rb") as reader:
        _write(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: BaseException
) -> None:
    """Neither a half-written file nor a temporary one is left, whatever the block raised."""
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def write_half() -> None:
        with replaced(str(path)) as stream:
            stream.write(b"half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A sync or a rename that fails is reported, with the old file in place."""
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def fails(*args: object) -> None:
        raise OSError(errno.EIO, "disk trouble")

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(OSError, match="disk trouble"):
        _write(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


def test_content_is_durable_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the file is synced, then it is renamed, then its folder is synced."""
    calls = []
    sync, rename = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def replace(source: str, target: str) -> None:
        calls.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    _write(tmp_path / "out", b"new")
    assert calls == ["file", "rename", "folder"]


def test_a_symbolic_link_goes_on_pointing_to_its_file(tmp_path: Path) -> None:
    """The file behind a link is replaced, not the link."""
    target = tmp_path / "real"
    target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(target)
    _write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    """What is no regular file (`/dev/stdout`, a named pipe) is never renamed over."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    _write(pipe, b"new")
    reader.join(timeout=10)
    assert received == [b"new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_or_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """A path that cannot be a file is refused without leaving anything."""
    with pytest.raises(OSError):
        _write(tmp_path, b"x")
    with pytest.raises(FileNotFoundError):
        _write(tmp_path / "missing" / "out", b"x")
    assert os.listdir(tmp_path) == []


def test_a_name_of_full_length_and_odd_bytes_can_be_replaced(tmp_path: Path) -> None:
    """The temporary name fits wherever the target's name does."""
    path = tmp_path / os.fsdecode(b"\xff" * 255)
    _write(path, b"new")
    assert path.read_bytes() == b"new"
