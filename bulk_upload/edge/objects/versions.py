"""Which version of an object an answer of its store is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bulk_upload.core.model import Fingerprint

if TYPE_CHECKING:
    from obstore import ObjectMeta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_VERSION = "null"
"""What S3 calls the only version of an object in a bucket without versions: a new one has the same."""


def version_of(meta: ObjectMeta) -> Fingerprint:
    """Return what distinguishes this version of an object."""
    version = meta.get("version")
    return Fingerprint(
        size=meta["size"],
        mtime_ns=(meta["last_modified"] - _EPOCH) // timedelta(microseconds=1) * 1000,
        inode=0,
        etag=plain_etag(meta.get("e_tag")),
        version=None if version == _NO_VERSION else version,
    )


def plain_etag(etag: str | None) -> str | None:
    """Return an entity tag without its quotes: some stores leave them out in lists."""
    if not etag:
        return None
    weak = etag.startswith("W/")
    return ("W/" if weak else "") + etag.removeprefix("W/").strip('"')


def if_match(etag: str) -> str:
    """Return a strong tag as a header has it."""
    return f'"{etag}"'
