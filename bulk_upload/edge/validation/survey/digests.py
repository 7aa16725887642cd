"""The hashes of examples on their way to being compared: in memory while they are few, in temporary files beyond that."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections import defaultdict
from typing import TYPE_CHECKING, Self

from bulk_upload.core.dataset.comparison import UNGROUPED, Comparison, Place
from bulk_upload.core.dataset.example import NO_PROMPT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from bulk_upload.core.dataset.facts import FileFacts

_INLINE_NUMBERS = 3 * 64 * 1024
"""Up to this many travel with the report of their file."""

_READ_BYTES = 24 * 32 * 1024
_BUCKETS = 128
"""Hashes that end alike are compared with each other: of a hundred million, less than a million at a time."""

_HELD_NUMBERS_MAX = 3 * 1024 * 1024
_LINE_BITS = 40


class DigestWriter:
    """Takes the hashes of one file. `folder` is where those of a large one are written."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._numbers = array("Q")
        self._path: str | None = None

    def add(self, digest: int, prompt_digest: int, line_no: int) -> None:
        """Add an example."""
        self._numbers.extend((digest, prompt_digest, line_no))
        if len(self._numbers) >= _INLINE_NUMBERS:
            self._write()

    def finish(self) -> tuple[bytes, str | None]:
        """Return the hashes, or the file that has them. Raises OSError."""
        if self._path is not None:
            self._write()
            return b"", self._path
        return self._numbers.tobytes(), None

    def _write(self) -> None:
        try:
            if self._path is None:
                descriptor, self._path = tempfile.mkstemp(dir=self._folder)
                os.close(descriptor)
            with open(self._path, "ab") as file:
                self._numbers.tofile(file)
        except OSError as error:
            raise OSError(
                error.errno, f"cannot keep the hashes of its examples in {self._folder}: {error.strerror}"
            ) from None
        del self._numbers[:]


class Spool:
    """Gathers the hashes of all files, and compares them; its temporary folder is removed at the end.

    It takes 24 bytes of disk for each example beyond a million, and as much again while a large file is taken over.
    """

    def __init__(self, *, has_groups: bool) -> None:
        self._has_groups = has_groups
        self._made = tempfile.TemporaryDirectory(prefix="bulk-upload-")
        self.folder = self._made.name
        self._buckets: defaultdict[int, array[int]] = defaultdict(lambda: array("Q"))
        self._held_count = 0
        self.example_count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._made.cleanup()

    def take(self, facts: FileFacts, file_no: int) -> None:
        """Take the hashes of one file. Raises OSError."""
        before = file_no << _LINE_BITS
        for numbers in _numbers_of(facts):
            wholes, prompts, lines = numbers[0::3], numbers[1::3], numbers[2::3]
            self.example_count += len(wholes)
            buckets = self._buckets
            for whole, prompt, line_no in zip(wholes, prompts, lines, strict=True):
                buckets[whole % _BUCKETS].extend((whole, before | line_no))
                if prompt != NO_PROMPT and self._has_groups:
                    buckets[_BUCKETS + prompt % _BUCKETS].extend((prompt, before | line_no, whole))
            self._held_count += len(numbers)
            if self._held_count >= _HELD_NUMBERS_MAX:
                self._write()

    def compare(self, group_of: Callable[[int], int] = lambda _: UNGROUPED) -> Comparison:
        """Return which examples are the same. Raises OSError."""
        found = Comparison(group_of)
        for number in range(_BUCKETS):
            content = self._content(number)
            for places in _same(content[0::2], content[1::2]):
                found.add_same(list(map(_place, places)))
        for number in range(_BUCKETS, 2 * _BUCKETS if self._has_groups else _BUCKETS):
            content = self._content(number)
            wholes = dict(zip(content[1::3], content[2::3], strict=True))
            for places in _same(content[0::3], content[1::3]):
                found.add_same_prompt([(_place(one), wholes[one]) for one in places])
        return found

    def _write(self) -> None:
        for number, numbers in self._buckets.items():
            with open(self._path(number), "ab") as file:
                numbers.tofile(file)
        self._buckets.clear()
        self._held_count = 0

    def _content(self, number: int) -> array[int]:
        content = array("Q")
        try:
            with open(self._path(number), "rb") as file:
                content.frombytes(file.read())
        except FileNotFoundError:
            pass
        content.extend(self._buckets.pop(number, ()))
        return content

    def _path(self, number: int) -> str:
        return os.path.join(self.folder, f"bucket-{number}")


def _numbers_of(facts: FileFacts) -> Iterator[array[int]]:
    numbers = array("Q")
    if facts.digest_file is None:
        numbers.frombytes(facts.digests)
        yield numbers
        return
    with open(facts.digest_file, "rb") as file:
        while piece := file.read(_READ_BYTES):
            numbers = array("Q")
            numbers.frombytes(piece)
            yield numbers
    os.unlink(facts.digest_file)


def _same(digests: array[int], places: array[int]) -> Iterator[list[int]]:
    """Yield the places, two or more, of each hash that comes more than once."""
    first: dict[int, int] = {}
    more: dict[int, list[int]] = {}
    for digest, place in zip(digests, places, strict=True):
        earlier = first.setdefault(digest, place)
        if earlier != place:
            more.setdefault(digest, [earlier]).append(place)
    yield from more.values()


def _place(packed: int) -> Place:
    return Place(packed >> _LINE_BITS, packed & ((1 << _LINE_BITS) - 1))
