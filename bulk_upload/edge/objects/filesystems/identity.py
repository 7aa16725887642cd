"""What distinguishes the versions of a file, of what its filesystem says about it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bulk_upload.core.model import Fingerprint
from bulk_upload.core.run.source import SourceError
from bulk_upload.edge.objects.versions import plain_etag

if TYPE_CHECKING:
    from collections.abc import Mapping

ETAGS = ("ETag", "etag", "e_tag")
TIMES = ("mtime", "LastModified", "last_modified", "modified", "modify", "modificationTime")
"""What filesystems of fsspec call the time of the last change: each has its own word and its own form for it."""

NO_PROOF = (
    "the filesystem says neither a time nor an entity tag of the file, so that nothing would show a change while it is "
    "read: copy it to this machine first"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = re.compile(r"([0-9]{14})(?:\.([0-9]{1,6}))?", re.ASCII)
"""A time of an FTP listing (RFC 3659). What `ls -l` shows in its place has no seconds."""


def version_in(info: Mapping[str, Any], *, modified: object = None) -> Fingerprint:
    """Return the version of a file by its info, or by `modified` where that has no time.

    Raises SourceError: it is no file, has no size, or nothing tells one version of it from another.
    """
    if info.get("type") != "file":
        raise SourceError("it is no file", inaccessible=True)
    size = info.get("size")
    if not isinstance(size, int) or size < 0:
        raise SourceError("the filesystem does not say how long the file is", inaccessible=True)
    etag = plain_etag(next((str(info[name]) for name in ETAGS if info.get(name)), None))
    mtime_ns = time_in(info)
    if mtime_ns is None:
        mtime_ns = _nanoseconds(modified)
    if mtime_ns is None and etag is None:
        raise SourceError(NO_PROOF, inaccessible=True)
    return Fingerprint(size=size, mtime_ns=mtime_ns or 0, inode=0, etag=etag)


def time_in(info: Mapping[str, Any]) -> int | None:
    """Return the time of the last change in ns since 1970, None where the info has none."""
    found = (_nanoseconds(info.get(name)) for name in TIMES)
    return next((one for one in found if one is not None), None)


def _nanoseconds(value: object) -> int | None:
    if isinstance(value, datetime):
        # One without a zone is UTC wherever fsspec documents it.
        value = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return (value - _EPOCH) // timedelta(microseconds=1) * 1000
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        # Seconds, but WebHDFS has whole milliseconds.
        is_seconds = isinstance(value, float) or value < 10**11
        return round(value * 1_000_000) * 1000 if is_seconds else int(value) * 1_000_000
    if isinstance(value, str):
        return _of_text(value)
    return None


def _of_text(value: str) -> int | None:
    digits = _DIGITS.fullmatch(value)
    try:
        if digits is not None:
            found = datetime.strptime(digits[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
            return _nanoseconds(found + timedelta(microseconds=int((digits[2] or "").ljust(6, "0"))))
        return _nanoseconds(datetime.fromisoformat(value))
    except ValueError:
        return None
