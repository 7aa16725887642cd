"""A store of objects on loopback, and how it is reached."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from bulk_upload.core.model import Fingerprint
from bulk_upload.core.objects.options import SourceOptions
from bulk_upload.edge.objects.lookup import Lookup
from bulk_upload.edge.objects.stores import Stores

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk_upload.core.manifest.paths import PathComplaint
    from bulk_upload.edge.objects.reader import ObjectReader
    from bulk_upload.sandbox.objects import ObjectStore

WAIT_S = 60.0
"""No test waits so long: it is for those that hang."""


def options_of(store: ObjectStore) -> SourceOptions:
    """Return what S3 is to be reached by."""
    return SourceOptions(
        home="s3://",
        endpoint=store.url,
        region="us-east-1",
        access_key_id="PLAYKEY",
        secret_access_key="PLAYSECRET",
    )


def stores_of(store: ObjectStore, *, stall_s: float = WAIT_S) -> Stores:
    """Return the stores of a job that reads from one."""
    return Stores([options_of(store)], stall_s=stall_s)


def web_address(store: ObjectStore, key: str) -> str:
    """Return the address of an object on the same store, as on a plain web server."""
    return f"{store.url}/{key}"


def looked_up(stores: Stores, paths: Iterable[str]) -> dict[str, Fingerprint | PathComplaint]:
    """Return what a plan finds at each of these paths."""
    paths = list(paths)
    with closing(Lookup(stores)) as lookup:
        lookup.expect(paths)
        lookup.look()
        return {path: lookup.inspect(path) for path in paths}


def planned(stores: Stores, path: str) -> Fingerprint:
    """Return what a plan takes down of one path, which must be there."""
    found = looked_up(stores, [path])[path]
    assert isinstance(found, Fingerprint), found
    return found


async def read(reader: ObjectReader, path: str, expected: Fingerprint | None = None) -> bytes:
    """Return the whole content."""
    blocks = []
    async with reader.source(path, expected=expected) as stream:
        while block := await stream.read():
            blocks.append(block)
    return b"".join(blocks)
