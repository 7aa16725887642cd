"""Lists the objects whose keys begin with a prefix, in the order of their keys. Everything blocks."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from bulk_upload.core.objects.address import Address
from bulk_upload.core.run.source import SourceError
from bulk_upload.edge.objects.failures import source_error
from bulk_upload.edge.objects.lookup import PAGE_OBJECTS
from bulk_upload.edge.objects.places import Places
from bulk_upload.edge.objects.versions import version_of
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.edge.objects.places import Listing
    from bulk_upload.edge.objects.stores import Stores


class ListedObject(msgspec.Struct, frozen=True):
    """An object, and what a list shows of it."""

    address: Address
    file_bytes: int
    mtime_ns: int


def objects_under(stores: Stores, prefix: Address) -> Iterator[ListedObject]:
    """Yield the objects under a prefix, or the one object that has it for its key. Those of stores are in the order of
    their keys.

    What stores show as folders, empty objects whose key other keys go on from, is left out.

    Raises UsageError: the store cannot be used, or cannot be listed.
    """
    with closing(Places(stores)) as places:
        listing = places.listing(prefix)
        if listing is not None:
            yield from _from(listing, prefix)
            return
    waiting: ListedObject | None = None
    for one in _listed(stores, prefix):
        if waiting is not None and not _is_folder_of(waiting, one):
            yield waiting
        waiting = one
    if waiting is not None:
        yield waiting
    elif prefix.key:
        yield from _alone(stores, prefix)


def _from(listing: Listing, prefix: Address) -> Iterator[ListedObject]:
    try:
        for found in listing.under(prefix):
            for key, one in found:
                if not isinstance(one, SourceError):
                    yield ListedObject(replace(prefix, key=key), one.size, one.mtime_ns)
    except SourceError as error:
        raise _not_listed(prefix, error) from None


def _listed(stores: Stores, prefix: Address) -> Iterator[ListedObject]:
    store = stores.asked(prefix)
    try:
        for page in store.list(prefix.key or None, chunk_size=PAGE_OBJECTS):
            for meta in page:
                found = version_of(meta)
                if meta["path"] and (found.size or meta["path"] != prefix.key):
                    address = Address(prefix.scheme, prefix.home, meta["path"])
                    yield ListedObject(address, found.size, found.mtime_ns)
    except Exception as error:  # noqa: BLE001 - obstore raises what it likes
        raise _unusable(prefix, error) from None


def _alone(stores: Stores, address: Address) -> Iterator[ListedObject]:
    try:
        found = version_of(stores.asked(address).head(address.key))
    except FileNotFoundError:
        return
    except Exception as error:  # noqa: BLE001 - as above
        raise _unusable(address, error) from None
    yield ListedObject(address, found.size, found.mtime_ns)


def _is_folder_of(one: ListedObject, other: ListedObject) -> bool:
    return not one.file_bytes and other.address.key.startswith(f"{one.address.key}/")


def _unusable(prefix: Address, error: Exception) -> UsageError:
    return _not_listed(prefix, source_error(error))


def _not_listed(prefix: Address, error: SourceError) -> UsageError:
    return UsageError(
        f'"{prefix}" cannot be listed: {error.reason}',
        hint=f'check the name and the access to it, or set up [sources."{prefix.settings_home}"] in bulk-upload.toml',
    )
