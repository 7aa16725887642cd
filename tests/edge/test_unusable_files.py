"""Files that cannot be read, or must not be: each is an error of its own, in words."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from bulk_upload.core.run.source import LoadedFile, SourceError
from bulk_upload.edge.files import (
    FileReader,
    HashedFile,
    source_error,
    whole,
)
from bulk_upload.edge.source_tree import SourceTree
from tests.edge.files_read import error_of
from tests.edge.reading_trees import Opening


async def test_a_file_swapped_for_a_link_out_of_the_root_is_refused(tmp_path: Path) -> None:
    """A name that leads out of the root by the time it is opened gives nothing away."""
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").write_text("{}")
    reader = FileReader(SourceTree(str(root)), thread_count=1)
    assert isinstance((await reader.load(["a"]))[0], LoadedFile)
    (root / "a").unlink()
    (root / "a").symlink_to(tmp_path / "secret")
    assert "outside the root" in (await error_of(reader, "a")).reason
    reader.close()


async def test_what_is_no_regular_file_fails_at_once(tmp_path: Path, reader: FileReader) -> None:
    """A named pipe nobody writes to and a folder are refused without waiting."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    async with asyncio.timeout(20):
        assert "a named pipe" in (await error_of(reader, "pipe")).reason
        assert "a folder" in (await error_of(reader, "folder")).reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, reader: FileReader) -> None:
    """A file without read permission is named with the system's reason."""
    (tmp_path / "a").touch(mode=0o000)
    assert (await error_of(reader, "a")).reason == "cannot read the file: Permission denied"


@pytest.mark.parametrize("name", ["\0", "a\0b", "\ud800", "../a", "/etc/passwd", "x" * 300, "a/b/c"])
async def test_a_name_no_file_has_is_an_error_and_no_crash(reader: FileReader, name: str) -> None:
    """Whatever stands in a manifest, opening it ends in a file or in a reason."""
    assert (await error_of(reader, name)).reason.startswith("cannot read the file: ")


@pytest.mark.parametrize(
    ("number", "is_local"),
    [
        (errno.EMFILE, True),
        (errno.ENFILE, True),
        (errno.ENOMEM, True),
        (errno.EACCES, False),
        (errno.EIO, False),
        (errno.ESTALE, False),
        (errno.EAGAIN, False),
        (errno.ENOENT, False),
    ],
)
async def test_only_shortages_of_this_machine_are_local_limits(
    tree: SourceTree, tmp_path: Path, number: int, is_local: bool
) -> None:
    """Too many descriptors or too little memory is not held against the file."""
    (tmp_path / "a").touch()

    def fails(descriptor: int) -> None:
        os.close(descriptor)
        raise OSError(number, os.strerror(number))

    reader = FileReader(Opening(tree, fails), thread_count=1)
    error = await error_of(reader, "a")
    assert error.local_limit is is_local
    assert error.transient is (number in (errno.EIO, errno.ESTALE, errno.EAGAIN))
    assert error.reason == source_error(OSError(number, os.strerror(number))).reason
    reader.close()


async def test_a_read_error_in_mid_file_is_a_source_error(
    tmp_path: Path, reader: FileReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk error while reading is told in the words of the person who must mend it."""
    (tmp_path / "a").write_bytes(b"x" * 10)

    def fails(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(HashedFile, "_read_exactly", fails)
    monkeypatch.setattr(whole, "read_exactly", fails)
    async with await reader.open("a") as stream:
        with pytest.raises(SourceError, match="Input/output error"):
            await stream.read()
    assert isinstance((await reader.load(["a"]))[0], SourceError)


def test_a_file_system_that_is_busy_makes_no_file_shorter() -> None:
    """EAGAIN is an error that passes, and not the end of the file."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    with HashedFile(ours, "a") as file, pytest.raises(BlockingIOError) as caught:
        file._read_exactly(1)
    os.close(theirs)
    assert source_error(caught.value).transient


@pytest.mark.parametrize(
    ("number", "words", "is_transient"),
    [
        (errno.ENOENT, "the file was removed while it was sent", False),
        (errno.ESTALE, f"cannot read the file: {os.strerror(errno.ESTALE)}", True),
    ],
)
async def test_a_mount_that_fails_at_the_last_look_removes_no_file(
    tmp_path: Path,
    reader: FileReader,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    words: str,
    is_transient: bool,
) -> None:
    """Only a name that leads nowhere says that the file was removed."""
    (tmp_path / "a").write_bytes(b"x" * 10)
    real_stat = os.stat

    def fails(path: Any, *args: Any, **options: Any) -> os.stat_result:
        if str(path).endswith("/a"):
            raise OSError(number, os.strerror(number))
        return real_stat(path, *args, **options)

    async with await reader.open("a") as stream:
        monkeypatch.setattr(os, "stat", fails)
        with pytest.raises(SourceError) as streamed:
            await stream.read()
        (loaded,) = await reader.load(["a"])
        monkeypatch.undo()
    assert isinstance(loaded, SourceError)
    for error in (streamed.value, loaded):
        assert (error.reason, error.transient) == (words, is_transient)
