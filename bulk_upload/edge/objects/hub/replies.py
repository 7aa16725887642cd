"""What the Hub's API answers, as far as it is needed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import msgspec

from bulk_upload.core.model import Fingerprint
from bulk_upload.core.run.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Revision(msgspec.Struct, frozen=True, rename="camel"):
    """`GET /api/KIND/OWNER/NAME/revision/REVISION`: its commit, and when that was made."""

    sha: str
    last_modified: datetime | None = None

    @property
    def mtime_ns(self) -> int:
        """The time of the commit, 0 where it is not said."""
        made = self.last_modified
        if made is None:
            return 0
        made = made if made.tzinfo is not None else made.replace(tzinfo=UTC)
        return round((made - _EPOCH).total_seconds() * 1000) * 1_000_000


class LargeFile(msgspec.Struct, frozen=True):
    """A file that git keeps outside of itself: `oid` is the SHA-256 of its content."""

    oid: str
    size: int


class TreeItem(msgspec.Struct, frozen=True):
    """A file or a folder of a tree. `oid` of a file is its blob's: the SHA-1 of a header and the content."""

    type: str
    path: str
    oid: str = ""
    size: int = 0
    lfs: LargeFile | None = None


def files_in(items: Iterable[TreeItem], revision: Revision) -> Iterator[tuple[str, Fingerprint]]:
    """Yield the files of a tree, and what distinguishes their versions: entity tags are hashes of their contents."""
    for one in items:
        if one.type != "file" or not one.oid:
            continue
        size, etag = (one.size, one.oid) if one.lfs is None else (one.lfs.size, one.lfs.oid)
        yield (
            one.path,
            Fingerprint(size=size, mtime_ns=revision.mtime_ns, inode=0, etag=etag, version=revision.sha),
        )


def decoded(content: bytes, kind: type[T]) -> T:
    """Return an answer as values. Raises SourceError."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise SourceError("the Hub's answer could not be understood", transient=True) from None
