"""Serving an object store: inside the running event loop, or from a thread of its own."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from bulk_upload.sandbox.listener import Listener, check_address, served_in_thread
from bulk_upload.sandbox.objects.app import build_object_app
from bulk_upload.sandbox.objects.buckets import as_content
from bulk_upload.sandbox.objects.faults import ObjectFaults
from bulk_upload.sandbox.objects.hub import HUB_PATH, Histories, HubCalls, build_cdn_app
from bulk_upload.sandbox.objects.service import ObjectService

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from bulk_upload.sandbox.objects.buckets import Bucket, StoredObject
    from bulk_upload.sandbox.objects.contents import Content
    from bulk_upload.sandbox.objects.faults import RequestKind
    from bulk_upload.sandbox.objects.service import ObjectRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStoreConfig:
    """What an object store is started with.

    Args:
        buckets: the buckets by name, see `MemoryBucket`, `NumberedBucket`, `FolderBucket`, `buckets_of_folder`.
        host: 127.0.0.1 or ::1.
        port: 0 takes a free one.
        access_key: only requests signed with this key id, or with this bearer token, are served; None serves all.
        faults: what goes wrong on purpose, and how the store answers.

    Raises:
        UsageError: a host that is not loopback, or a port that cannot be.
    """

    buckets: Mapping[str, Bucket]
    host: str = "127.0.0.1"
    port: int = 0
    access_key: str | None = field(default=None, repr=False)
    faults: ObjectFaults = field(default_factory=ObjectFaults)

    def __post_init__(self) -> None:
        check_address(self.host, self.port)


class ObjectStore:
    """An object store on loopback: S3's GET, HEAD and ListObjectsV2, path style, which are plain HTTP as well; and a
    Hugging Face Hub of the same objects.

    Use it as an asynchronous context manager. Its properties can be read from any thread, also after the end.

    Raises:
        UsageError: the port is taken.
    """

    def __init__(self, config: ObjectStoreConfig) -> None:
        self.config = config
        self._service = ObjectService(config.buckets, config.faults, config.access_key)
        self._listener = Listener(host=config.host, port=config.port)
        self._cdn = Listener(host=config.host, port=0)
        self._hub = HubCalls(self._service, Histories(self._service.shelves), cdn_url=lambda: self._cdn.url)

    async def __aenter__(self) -> Self:
        await self._listener.start(build_object_app(self._service, self._hub))
        await self._cdn.start(build_cdn_app(self._hub))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._cdn.stop()
        await self._listener.stop()

    @property
    def url(self) -> str:
        """The endpoint, without a slash at its end; an object's URL is `URL/BUCKET/KEY`."""
        return self._listener.url

    @property
    def hub_url(self) -> str:
        """The endpoint of a Hugging Face Hub (`HF_ENDPOINT`) whose repositories `sandbox/BUCKET` are the buckets."""
        return f"{self.url}{HUB_PATH}"

    @property
    def counts(self) -> Counter[RequestKind]:
        """How many requests were finished, by kind."""
        return self._service.counts

    @property
    def requests(self) -> tuple[ObjectRequest, ...]:
        """The newest finished requests, in order of their end."""
        return self._service.requests

    @property
    def in_flight(self) -> int:
        """How many requests are being served right now."""
        return self._service.in_flight

    @property
    def peak_in_flight(self) -> int:
        """The most requests that were served at the same time."""
        return self._service.peak_in_flight

    def use_faults(self, faults: ObjectFaults) -> None:
        """Let other faults hit the requests from now on; `ObjectFaults()` ends a storm."""
        self._service.use_faults(faults)

    def find(self, bucket: str, key: str) -> StoredObject | None:
        """Return the newest version of an object, None where there is none. Raises KeyError for an unknown bucket."""
        return self._service.shelves[bucket].current(key)

    def put(self, bucket: str, key: str, content: Content | bytes | str) -> StoredObject:
        """Store a new version of an object; a GET that is being served goes on with the earlier one.

        Raises KeyError for an unknown bucket.
        """
        return self._service.shelves[bucket].put(key, as_content(content))

    def delete(self, bucket: str, key: str) -> None:
        """Let an object be gone. Raises KeyError for an unknown bucket."""
        self._service.shelves[bucket].delete(key)


@contextlib.contextmanager
def object_store_in_thread(config: ObjectStoreConfig) -> Iterator[ObjectStore]:
    """Serve an object store from a background thread with an event loop of its own.

    Raises:
        UsageError: as `ObjectStore`.
    """
    with served_in_thread(lambda: ObjectStore(config)) as store:
        yield store
