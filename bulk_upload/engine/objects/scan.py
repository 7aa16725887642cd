"""Finds the objects of a prefix, and what a person says that they are for. Blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.folder.own_files import kind_of_own_by_name
from bulk_upload.core.folder.sightings import Chosen, Own, PassedOver, Undecided
from bulk_upload.core.objects.address import AddressFlaw, read_prefix
from bulk_upload.edge.folder.place import FolderPlace
from bulk_upload.edge.objects.listing import objects_under
from bulk_upload.engine.folder.scan import NO_PATTERN
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.folder.selection import Selection
    from bulk_upload.core.folder.sightings import GivenPurposes, Sighting
    from bulk_upload.edge.objects.listing import ListedObject
    from bulk_upload.edge.objects.stores import Stores


class ObjectScan(msgspec.Struct, frozen=True, kw_only=True):
    """How to find the objects under a prefix. Nothing is read of them: their purposes are given.

    Args:
        place: the prefix, see `place_of_prefix`.
        selection: which objects are wanted, by the part of their keys after the prefix.
        given: the purposes that a person gives, by the same part.
        stores: where they are.
    """

    place: FolderPlace
    selection: Selection
    given: GivenPurposes
    stores: Stores

    def sightings(self) -> Iterator[Sighting]:
        """Yield what is under the prefix, in the order of keys. Raises UsageError."""
        prefix = read_prefix(self.place.root)
        for one in objects_under(self.stores, prefix):
            within = one.address.key.removeprefix(prefix.key).lstrip("/") or one.address.name
            yield self._sighting(one, within)

    def _sighting(self, one: ListedObject, within: str) -> Sighting:
        path = str(one.address)
        if any(part.startswith(".") for part in within.split("/")):
            return PassedOver(path=path)
        if not self._is_wanted(within) or not self.selection.is_new(one.mtime_ns):
            return PassedOver(path=path, is_unwanted=True)
        own = kind_of_own_by_name(path)
        if own is not None:
            return Own(path=path, kind=own)
        purpose = self.given.purpose_of(within)
        if purpose is None:
            return Undecided(path=path, reason=NO_PATTERN, file_bytes=one.file_bytes, within=within)
        return Chosen(path=path, purpose=purpose, file_bytes=one.file_bytes)

    def _is_wanted(self, within: str) -> bool:
        folders = within.split("/")[:-1]
        return self.selection.takes(within) and all(
            self.selection.enters("/".join(folders[: count + 1])) for count in range(len(folders))
        )


def place_of_prefix(text: str) -> FolderPlace:
    """Return the place of all objects under a prefix. Raises UsageError for an address that cannot be listed."""
    try:
        return FolderPlace(root=str(read_prefix(text)).removesuffix("/"))
    except AddressFlaw as flaw:
        raise UsageError(str(flaw), hint=flaw.remedy) from None


def require_given(given: GivenPurposes, *, place: FolderPlace) -> None:
    """Raise UsageError for objects without any purpose: they are not looked into."""
    if given.rest is None and not given.mapping.choices:
        raise UsageError(
            f'what the objects under "{place.root}" are for is not said, and they are not looked into',
            hint="add --purpose P for all of them, or --map 'PATTERN=PURPOSE' for some; a manifest is read from this"
            " machine: download it first",
        )
