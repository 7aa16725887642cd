"""Where objects come from: memory, a folder, or a rule that names a million of them."""

from __future__ import annotations

import bisect
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from bulk_upload.sandbox.objects.contents import (
    BytesContent,
    Content,
    FileContent,
    MadeLines,
    content_of_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""The time of objects that were there from the beginning, where a file has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One version of an object, as a listing shows it."""

    key: str
    content: Content
    modified: datetime = EPOCH
    version: str = "v1"


class Bucket(Protocol):
    """The objects a bucket has at the start. What is put or replaced later lies over them, see `ObjectShelf`."""

    def find(self, key: str) -> StoredObject | None:
        """Return the object of a key."""
        ...

    def after(self, prefix: str, key: str) -> Iterator[StoredObject]:
        """Yield the objects under a prefix whose key is greater than `key`, in the order of keys."""
        ...


class MemoryBucket:
    """Objects in memory; strings are encoded as UTF-8."""

    def __init__(self, objects: Mapping[str, Content | bytes | str] | None = None) -> None:
        self._objects = {
            key: StoredObject(key=key, content=as_content(value)) for key, value in (objects or {}).items()
        }
        self._keys = sorted(self._objects, key=in_order)

    def find(self, key: str) -> StoredObject | None:
        """Return the object of a key."""
        return self._objects.get(key)

    def after(self, prefix: str, key: str) -> Iterator[StoredObject]:
        """Yield the objects under a prefix whose key is greater than `key`, in the order of keys."""
        start = bisect.bisect_right(self._keys, in_order(key), key=in_order)
        start = max(start, bisect.bisect_left(self._keys, in_order(prefix), key=in_order))
        for number in range(start, len(self._keys)):
            if not self._keys[number].startswith(prefix):
                break
            yield self._objects[self._keys[number]]


class NumberedBucket:
    """Any number of objects that take no memory: `PREFIX00000000SUFFIX` and so on.

    Args:
        count: how many objects.
        size: bytes of each, see `MadeLines`.
        prefix: what all keys begin with.
        suffix: what all keys end with.
    """

    def __init__(self, count: int, *, size: int = 256, prefix: str = "part-", suffix: str = ".jsonl") -> None:
        self._count = count
        self._size = size
        self._prefix = prefix
        self._suffix = suffix

    def find(self, key: str) -> StoredObject | None:
        """Return the object of a key."""
        digits = key[len(self._prefix) : len(key) - len(self._suffix)]
        number = int(digits) if digits.isascii() and digits.isdigit() else self._count
        return self._object(number) if number < self._count and self._key(number) == key else None

    def after(self, prefix: str, key: str) -> Iterator[StoredObject]:
        """Yield the objects under a prefix whose key is greater than `key`, in the order of keys."""
        numbers = range(self._count)
        start = bisect.bisect_right(numbers, in_order(key), key=lambda number: in_order(self._key(number)))
        first = bisect.bisect_left(numbers, in_order(prefix), key=lambda number: in_order(self._key(number)))
        for number in range(max(start, first), self._count):
            if not self._key(number).startswith(prefix):
                break
            yield self._object(number)

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:08d}{self._suffix}"

    def _object(self, number: int) -> StoredObject:
        return StoredObject(key=self._key(number), content=MadeLines(self._size, seed=f"{number:08d}"))


class FolderBucket:
    """The regular files below a folder, as they are when asked for. Names that are not UTF-8 are left out."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def find(self, key: str) -> StoredObject | None:
        """Return the object of a key: nothing outside of the folder has one."""
        parts = key.split("/")
        if not {"", ".", ".."}.isdisjoint(parts) or "\0" in key:
            return None
        content = content_of_file(os.path.join(self._directory, *parts))
        return None if content is None else _of_file(key, content)

    def after(self, prefix: str, key: str) -> Iterator[StoredObject]:
        """Yield the objects under a prefix whose key is greater than `key`, in the order of keys."""
        yield from self._walk("", prefix, key)

    def _walk(self, folder: str, prefix: str, key: str) -> Iterator[StoredObject]:
        # A folder sorts among its neighbours as its keys do: by its name with the slash.
        for name in sorted(self._names(folder), key=in_order):
            path = folder + name
            if name.endswith("/"):
                reaches = path.startswith(prefix) or prefix.startswith(path)
                passed = in_order(path) < in_order(key) and not key.startswith(path)
                if reaches and not passed:
                    yield from self._walk(path, prefix, key)
            elif path.startswith(prefix) and in_order(path) > in_order(key):
                found = self.find(path)
                if found is not None:
                    yield found

    def _names(self, folder: str) -> list[str]:
        try:
            with os.scandir(os.path.join(self._directory, folder)) as entries:
                return [
                    f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
                    for entry in entries
                    if _is_utf8(entry.name)
                ]
        except OSError:
            return []


def buckets_of_folder(directory: str) -> dict[str, Bucket]:
    """Return the folders of a folder as buckets, by name."""
    with os.scandir(directory) as entries:
        return {
            entry.name: FolderBucket(entry.path)
            for entry in entries
            if entry.is_dir() and _is_utf8(entry.name)
        }


def as_content(value: Content | bytes | str) -> Content:
    """Return a content as it is, bytes and strings as one in memory."""
    if isinstance(value, str):
        value = value.encode()
    return BytesContent(value) if isinstance(value, bytes) else value


def in_order(key: str) -> bytes:
    """Return what keys are sorted by: their UTF-8 bytes, as S3 does."""
    return key.encode("utf-8", "surrogateescape")


def _of_file(key: str, content: FileContent) -> StoredObject:
    return StoredObject(key=key, content=content, modified=content.modified, version=content.digest)


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
