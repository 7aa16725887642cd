"""Places of objects: stores by obstore, the Hugging Face Hub, filesystems by fsspec. A job has one of each at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bulk_upload.core.objects.address import FILESYSTEMS
from bulk_upload.core.objects.hub import HUB
from bulk_upload.edge.objects.store_place import StorePlace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.objects.address import Address
    from bulk_upload.core.run.source import SourceError
    from bulk_upload.edge.objects.stores import Stores


class Answer(Protocol):
    """One version of an object, or a part of it, that is about to be read once.

    Attributes:
        fingerprint: of the version.
        is_bound: whether every byte is of that version, or reading fails. Otherwise the object is looked at again
            before its last block is handed over.
    """

    fingerprint: Fingerprint
    is_bound: bool

    def blocks(self, least_bytes: int) -> AsyncIterator[bytes]:
        """Return the content in blocks of at least so many bytes, the last one aside."""

    async def whole(self) -> bytes:
        """Return the content of a small one."""

    async def look(self) -> Fingerprint:
        """Return the present version of the object. Raises SourceError."""

    def close(self) -> None:
        """Let go of what was not read."""


class Place(Protocol):
    """Objects that are looked at, and read, on the event loop."""

    async def look(self, address: Address) -> Fingerprint:
        """Return the present version of an object. Raises SourceError."""

    async def open(self, address: Address, expected: Fingerprint, *, part: ByteRange | None = None) -> Answer:
        """Begin to read an object, or a part of it. Raises SourceError; SourceChanged where it is another version."""

    def close(self) -> None:
        """End threads and connections."""


Found = tuple[str, "Fingerprint | SourceError"]
"""The key of an object, and its version or why that is not known."""


class Listing(Protocol):
    """A place that is neither a store nor the web, asked about many objects before anything is sent. Blocking.

    Attributes:
        listed_from: so many objects of one home are worth a list.
        asked_max: how many may be asked for at once.
    """

    listed_from: int
    asked_max: int

    def ask(self, home: Address, keys: Sequence[str]) -> Sequence[Found]:
        """Return what is known about some objects; what is not there may be left out. Raises SourceError for all."""

    def under(self, prefix: Address) -> Iterator[Sequence[Found]]:
        """Yield the objects whose keys begin with that of `prefix`, in groups. Raises SourceError, UsageError."""


class ListedPlace(Place, Listing, Protocol):
    """A place that is neither a store nor the web."""


class Places:
    """The places that a reader, or a lookup, uses: opened when they are first needed, and its own.

    Args:
        stores: how they are reached.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._store_place = StorePlace(stores)
        self._opened: dict[str, ListedPlace] = {}

    def of(self, address: Address) -> Place:
        """Return the place of an object."""
        return self.listing(address) or self._store_place

    def listing(self, address: Address) -> ListedPlace | None:
        """Return what lists the place of an object, None for stores and web servers."""
        scheme = address.scheme
        if scheme != HUB and scheme not in FILESYSTEMS:
            return None
        if scheme not in self._opened:
            self._opened[scheme] = self._open(scheme)
        return self._opened[scheme]

    def close(self) -> None:
        """End threads and connections."""
        while self._opened:
            self._opened.popitem()[1].close()

    def _open(self, scheme: str) -> ListedPlace:
        # Imported when needed: most jobs have neither.
        if scheme == HUB:
            from bulk_upload.edge.objects.hub import Hub  # noqa: PLC0415 - see above

            return Hub(self._stores)
        from bulk_upload.edge.objects.filesystems import Filesystems  # noqa: PLC0415 - see above

        return Filesystems(self._stores)
