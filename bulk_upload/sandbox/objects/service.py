"""What all requests to one object store share: buckets, faults, counts, and who may come in."""

from __future__ import annotations

import re
import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk_upload.sandbox.objects.chooser import ObjectFaultChooser
from bulk_upload.sandbox.objects.contents import Doubled, Retagged, Turned
from bulk_upload.sandbox.objects.faults import ObjectFaultKind, ObjectFaults, ObjectStep, RequestKind
from bulk_upload.sandbox.objects.shelf import ObjectShelf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.sandbox.objects.buckets import Bucket, StoredObject

REQUESTS_KEPT = 100_000
"""The newest so many requests are kept; `counts` counts them all."""

_CREDENTIAL = re.compile(r"(?:Credential=([^/,\s]+)/|Bearer (\S+))")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRequest:
    """One finished request.

    Attributes:
        kind: what it wanted.
        path: `/BUCKET/KEY`, for a listing `/BUCKET/PREFIX`.
        status: what was answered, None where the connection was closed instead.
        first_byte: where the wanted range begins, None for the whole object.
        if_match: the header of that name.
        access_key: whose signature it has (never the secret), or the bearer token; None without any.
        body_bytes: how many bytes of the object were written; the client may have got fewer.
        version: the version that was served.
        fault: the text of the fault it met.
    """

    kind: RequestKind
    path: str
    status: int | None = None
    first_byte: int | None = None
    if_match: str | None = None
    access_key: str | None = None
    body_bytes: int = 0
    version: str | None = None
    fault: str | None = None


class ObjectService:
    """The state of one object store. Counts and requests can be read from any thread."""

    def __init__(
        self, buckets: Mapping[str, Bucket], faults: ObjectFaults, access_key: str | None = None
    ) -> None:
        self.shelves = {name: ObjectShelf(bucket) for name, bucket in buckets.items()}
        self.access_key = access_key
        self.in_flight = 0
        self.peak_in_flight = 0
        self._lock = threading.Lock()
        self._counts: Counter[RequestKind] = Counter()
        self._requests: deque[ObjectRequest] = deque(maxlen=REQUESTS_KEPT)
        self.use_faults(faults)

    def use_faults(self, faults: ObjectFaults) -> None:
        """Let other faults hit the requests from now on."""
        self.chooser = ObjectFaultChooser(faults)
        self.faults = faults

    def record(self, request: ObjectRequest) -> None:
        """Keep the record of a finished request."""
        with self._lock:
            self._counts[request.kind] += 1
            self._requests.append(request)

    @property
    def counts(self) -> Counter[RequestKind]:
        """How many requests were finished, by kind."""
        with self._lock:
            return Counter(self._counts)

    @property
    def requests(self) -> tuple[ObjectRequest, ...]:
        """The newest finished requests, in order of their end."""
        with self._lock:
            return tuple(self._requests)

    def change(self, shelf: ObjectShelf, stored: StoredObject, step: ObjectStep) -> None:
        """Let an object become what a fault makes of it."""
        content = stored.content
        match step.kind:
            case ObjectFaultKind.REPLACE | ObjectFaultKind.REPLACE_MID | ObjectFaultKind.REPLACE_DROP:
                shelf.put(stored.key, Turned(content))
            case ObjectFaultKind.GROW:
                shelf.put(stored.key, Doubled(content))
            case ObjectFaultKind.RETAG:
                shelf.put(stored.key, Retagged(content))
            case ObjectFaultKind.REWRITE:
                shelf.put(stored.key, content)
            case ObjectFaultKind.VANISH:
                shelf.delete(stored.key)
            case _:
                raise AssertionError(f"{step} changes no object")


def access_key_of(headers: Mapping[str, str]) -> str | None:
    """Return whose signature a request has, or its bearer token."""
    match = _CREDENTIAL.search(headers.get("Authorization", ""))
    return None if match is None else match[1] or match[2]
