"""Files and file systems that something happens to while they are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import pytest

from bulk_upload.edge.files import HashedFile
from bulk_upload.edge.source_tree import SourceTree
from tests.waiting import HeldCall, until_the_clock_ticks

Arguments = ParamSpec("Arguments")


def _with_time_set_back(path: Path, write: Callable[[bytes], object]) -> None:
    before = path.stat()
    write(b"z" * 1000)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "grow": lambda path: os.truncate(path, 2000),
    "shrink": lambda path: os.truncate(path, 10),
    "rewrite": lambda path: path.write_bytes(b"y" * 1000),
    "touch": os.utime,
    "rewrite and set the time back": lambda path: _with_time_set_back(path, path.write_bytes),
    "replace": lambda path: path.with_name("b").write_bytes(b"x" * 1000) and path.with_name("b").rename(path),
    "remove": Path.unlink,
}
"""What may happen to a file of a thousand bytes."""

ATTRIBUTE_CHANGES: dict[str, Callable[[Path], object]] = {
    "link": lambda path: os.link(path, path.with_name(f"link {len(os.listdir(path.parent))}")),
    "chmod": lambda path: path.chmod(0o640 if path.stat().st_mode & 0o004 else 0o644),
}
"""What may happen to a file without any change of its content."""


def before_each(
    read: Callable[Arguments, bytes], change: Callable[[Path], object], path: Path
) -> Callable[Arguments, bytes]:
    """Return a `read` before which something happens to a file, at another time than all that was done to it."""

    def changes_first(*args: Arguments.args, **options: Arguments.kwargs) -> bytes:
        until_the_clock_ticks(path.parent)
        change(path)
        return read(*args, **options)

    return changes_first


class Opening:
    """A tree whose files something happens to right after they were opened."""

    def __init__(self, tree: SourceTree, then: Callable[[int], object]) -> None:
        self._tree = tree
        self._then = then
        self.descriptors: list[int] = []

    def absolute(self, relative_path: str) -> str:
        return self._tree.absolute(relative_path)

    def open_regular(self, relative_path: str) -> int:
        descriptor = self._tree.open_regular(relative_path)
        self.descriptors.append(descriptor)
        self._then(descriptor)
        return descriptor


class DeadMount:
    """A tree in which some files hang when they are opened, until the test lets them go."""

    def __init__(self, tree: SourceTree) -> None:
        self._tree = tree
        self._hangs = HeldCall()
        self.released = self._hangs.released

    def absolute(self, relative_path: str) -> str:
        return self._tree.absolute(relative_path)

    def open_regular(self, relative_path: str) -> int:
        if relative_path.startswith("dead"):
            self._hangs()
        return self._tree.open_regular(relative_path)


def hold_reads(monkeypatch: pytest.MonkeyPatch) -> HeldCall:
    """Let every read of an open file wait until the test releases it."""
    held, read = HeldCall(), HashedFile._read_exactly

    def waits(file: HashedFile, wanted: int) -> bytes:
        held()
        return read(file, wanted)

    monkeypatch.setattr(HashedFile, "_read_exactly", waits)
    return held


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
