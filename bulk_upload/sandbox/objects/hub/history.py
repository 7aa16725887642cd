"""The commits of a repository: each change of a bucket makes one, and every commit keeps its files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk_upload.sandbox.objects.buckets import FolderBucket

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulk_upload.sandbox.objects.buckets import StoredObject
    from bulk_upload.sandbox.objects.contents import Content
    from bulk_upload.sandbox.objects.shelf import ObjectShelf

LARGE_BYTES = 1024 * 1024
"""From this size on a file lies outside of git, under its SHA-256, and is served by another host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """What names the content of a file: `oid` is git's, `sha256` that of a large file, else None."""

    oid: str
    sha256: str | None


class Histories:
    """The repositories of a Hub, one for each bucket. Contents are hashed once."""

    def __init__(self, shelves: Mapping[str, ObjectShelf]) -> None:
        self._shelves = shelves
        self._commits: dict[str, dict[str, int]] = {name: {} for name in shelves}
        self._blobs: dict[tuple[str, int], Blob] = {}

    def commit_of(self, name: str, revision: str) -> str | None:
        """Return the commit that a revision names, None for one that is not there: `main` is the newest."""
        if revision in self._commits[name]:
            return revision
        return self._newest(name) if revision in ("main", "refs/convert/parquet", "HEAD") else None

    def find(self, name: str, commit: str, path: str) -> StoredObject | None:
        """Return a file of a commit."""
        return self._shelves[name].at(path, self._commits[name][commit])

    def after(self, name: str, commit: str, prefix: str, path: str) -> Iterator[StoredObject]:
        """Yield the files of a commit that begin with a prefix and come after a path."""
        yield from self._shelves[name].after_at(prefix, path, self._commits[name][commit])

    def blob(self, content: Content) -> Blob:
        """Return what names a content."""
        key = (content.digest, content.size)
        if key not in self._blobs:
            self._blobs[key] = _blob_of(content)
        return self._blobs[key]

    def _newest(self, name: str) -> str:
        shelf = self._shelves[name]
        made_of = f"{name} {shelf.change_count}"
        if isinstance(shelf.bucket, FolderBucket):
            # Files that were changed on disk make another commit as well.
            made_of += "".join(f"\n{one.key} {one.content.digest}" for one in shelf.bucket.after("", ""))
        commit = hashlib.sha1(made_of.encode(), usedforsecurity=False).hexdigest()
        self._commits[name].setdefault(commit, shelf.change_count)
        return commit


def _blob_of(content: Content) -> Blob:
    is_large = content.size >= LARGE_BYTES
    blob = hashlib.sha1(b"blob %d\0" % content.size, usedforsecurity=False)
    sha256 = hashlib.sha256()
    for chunk in content.chunks(0, content.size):
        (sha256 if is_large else blob).update(chunk)
    if not is_large:
        return Blob(oid=blob.hexdigest(), sha256=None)
    # git has a pointer in its place.
    digest = sha256.hexdigest()
    pointer = (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {content.size}\n".encode()
    )
    named = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer, usedforsecurity=False)
    return Blob(oid=named.hexdigest(), sha256=digest)
