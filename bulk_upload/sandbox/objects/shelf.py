"""The objects of one bucket over time: what was there at the start, and what was put, replaced or deleted since."""

from __future__ import annotations

import bisect
import heapq
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bulk_upload.sandbox.objects.buckets import EPOCH, StoredObject, in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk_upload.sandbox.objects.buckets import Bucket
    from bulk_upload.sandbox.objects.contents import Content

LAST_CHARACTER = "\U0010ffff"
"""Sorts after every key that goes on with another character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a listing.

    `common` are the prefixes that stand for what lies below the delimiter; `last` is where the next page goes on, None
    when this one is the last.
    """

    objects: tuple[StoredObject, ...]
    common: tuple[str, ...]
    last: str | None


def utc_now() -> datetime:
    """Return the wall-clock time in UTC."""
    return datetime.now(UTC)


class ObjectShelf:
    """A bucket that can be changed without touching where its first objects came from.

    Attributes:
        bucket: what was there at the start.
    """

    def __init__(self, bucket: Bucket, *, now: Callable[[], datetime] = utc_now) -> None:
        self.bucket = bucket
        self._now = now
        self._versions: dict[str, list[StoredObject | None]] = {}
        self._changed: list[str] = []
        self._changes: list[str] = []

    def current(self, key: str) -> StoredObject | None:
        """Return the newest version of a key, None where there is no such object (any more)."""
        if key in self._versions:
            return self._versions[key][-1]
        return self.bucket.find(key)

    @property
    def change_count(self) -> int:
        """How often the bucket was changed."""
        return len(self._changes)

    def at(self, key: str, change_count: int) -> StoredObject | None:
        """Return the object of a key as it was after so many changes."""
        if key not in self._versions:
            return self.bucket.find(key)
        return self._versions[key][self._changes[:change_count].count(key)]

    def after_at(self, prefix: str, after: str, change_count: int) -> Iterator[StoredObject]:
        """Yield the objects under a prefix whose key is greater than `after`, as they were after so many changes."""
        first = (one for one in self.bucket.after(prefix, after) if one.key not in self._versions)
        changed = (
            self.at(key, change_count)
            for key in self._changed
            if key.startswith(prefix) and in_order(key) > in_order(after)
        )
        yield from heapq.merge(
            first, (one for one in changed if one is not None), key=lambda one: in_order(one.key)
        )

    def version(self, key: str, version: str) -> StoredObject | None:
        """Return one version of a key, also one that was replaced or deleted since."""
        known = [*self._versions.get(key, ()), self.bucket.find(key)]
        return next((one for one in known if one is not None and one.version == version), None)

    def put(self, key: str, content: Content) -> StoredObject:
        """Store a new version, whose time is at least a second after that of the earlier one."""
        before = self.current(key)
        modified = max(self._now(), (EPOCH if before is None else before.modified) + timedelta(seconds=1))
        history = self._history(key)
        stored = StoredObject(key=key, content=content, modified=modified, version=f"v{len(history) + 1}")
        history.append(stored)
        self._changes.append(key)
        return stored

    def delete(self, key: str) -> None:
        """Let a key have no object any more."""
        self._history(key).append(None)
        self._changes.append(key)

    def page(self, *, prefix: str, after: str, delimiter: str, count: int) -> Page:
        """Return at most `count` objects and common prefixes that come after a key or a common prefix."""
        objects: list[StoredObject] = []
        common: list[str] = []
        last = after
        rest = self._after(prefix, after)
        while (found := next(rest, None)) is not None:
            if len(objects) + len(common) == count:
                return Page(objects=tuple(objects), common=tuple(common), last=last)
            folder = _folder_of(found.key, prefix, delimiter)
            if folder is None:
                objects.append(found)
                last = found.key
            else:
                common.append(folder)
                last = folder + LAST_CHARACTER
                rest = self._after(prefix, last)
        return Page(objects=tuple(objects), common=tuple(common), last=None)

    def _after(self, prefix: str, after: str) -> Iterator[StoredObject]:
        first = (one for one in self.bucket.after(prefix, after) if one.key not in self._versions)
        yield from heapq.merge(first, self._changed_after(prefix, after), key=lambda one: in_order(one.key))

    def _changed_after(self, prefix: str, after: str) -> Iterator[StoredObject]:
        start = bisect.bisect_right(self._changed, in_order(after), key=in_order)
        for key in self._changed[start:]:
            newest = self._versions[key][-1]
            if key.startswith(prefix) and newest is not None:
                yield newest

    def _history(self, key: str) -> list[StoredObject | None]:
        if key not in self._versions:
            bisect.insort(self._changed, key, key=in_order)
            self._versions[key] = [self.bucket.find(key)]
        return self._versions[key]


def _folder_of(key: str, prefix: str, delimiter: str) -> str | None:
    end = key.find(delimiter, len(prefix)) if delimiter else -1
    return None if end < 0 else key[: end + len(delimiter)]
