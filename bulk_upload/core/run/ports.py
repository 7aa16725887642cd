"""The interfaces of a run to files, server and ledger. `edge` implements them, and tests replace them with fakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from bulk_upload.core.content_hash import SHA256_ONLY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from contextlib import AbstractAsyncContextManager

    from bulk_upload.core.api.pace import Pace
    from bulk_upload.core.api.paging import ListedPage, PageRequest
    from bulk_upload.core.api.server_clock import ClockOffset
    from bulk_upload.core.clock import Moment
    from bulk_upload.core.content_hash import HashFunction
    from bulk_upload.core.doubt.content import ByteRange, ReadBack
    from bulk_upload.core.events import BodyNow
    from bulk_upload.core.model import Fingerprint, ListedFile, Outcome
    from bulk_upload.core.run.records import AttemptEnd
    from bulk_upload.core.run.sender import BundleReport, BundleRequest, UploadReport, UploadRequest
    from bulk_upload.core.run.source import ContentCheck, LoadedFile, Source, SourceError
    from bulk_upload.errors import LedgerUnusable

T = TypeVar("T")
StoreT_co = TypeVar("StoreT_co", covariant=True)


class Reader(Protocol):
    """Reads the files of a job. Paths are relative to its root, or addresses of objects."""

    def source(
        self, path: str, *, expected: Fingerprint | None = None
    ) -> AbstractAsyncContextManager[Source]:
        """Hold a file ready to be sent, whole or open. Raises SourceError.

        `expected` is the version that is wanted: a store sends no other one, and SourceChanged is raised. A file is
        opened as it is.
        """

    async def load(
        self,
        paths: Sequence[str],
        content_checks: Sequence[ContentCheck | None] | None = None,
        *,
        expected: Sequence[Fingerprint | None] | None = None,
    ) -> list[LoadedFile | SourceError]:
        """Read small files whole; one that cannot be read has its error in its place.

        `content_checks`, one for each path, are shown the content; `expected` has a version for each, as in `source`. A
        file that is no longer small has SourceGrew in its place.
        """

    async def hash_content(
        self,
        path: str,
        function: HashFunction,
        *,
        expected: Fingerprint | None = None,
        ranges: Sequence[ByteRange] = (),
    ) -> tuple[str, Fingerprint]:
        """Hash a file as it is now, only some `ranges` of it where any are given. Raises SourceError, also for a file
        that is not the `expected` version."""


class FilesApi(Protocol):
    """Queries the files on a server. Every call may be repeated and raises NoAnswer where there is no answer."""

    @property
    def clock_offset_s(self) -> float | None:
        """The server's clock minus ours now, None while that is unknown."""

    def clock_offset(self, then: Moment) -> ClockOffset:
        """Return the server's clock minus ours at a moment since the first query."""

    async def list_page(self, request: PageRequest) -> ListedPage:
        """Return one page of the list."""

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return one file, None where the server does not know it."""

    async def hashes_of(self, file_id: str, functions: tuple[HashFunction, ...]) -> tuple[str, ...]:
        """Return the hashes of the content that the server has for a file, none where it returns no content."""


class ContentApi(FilesApi, Protocol):
    """A FilesApi that also compares contents in ranges."""

    async def read_back(
        self,
        file_id: str,
        *,
        file_bytes: int,
        ranges: tuple[ByteRange, ...] = (),
        functions: tuple[HashFunction, ...] = SHA256_ONLY,
    ) -> ReadBack:
        """Return the hashes of a file's content, by ranges where some are given and the server serves them, else of all of
        it; of a content that has not `file_bytes` bytes only the length."""


class Transport(Protocol):
    """Makes the requests of a run."""

    @property
    def wire_bytes(self) -> int:
        """Bytes of all bodies that left, also of attempts that failed."""

    @property
    def partial_bytes(self) -> int:
        """Bytes sent of bodies in flight."""

    async def send(
        self,
        request: UploadRequest,
        source: Source,
        *,
        on_handed: Callable[[int], None],
        on_cancelled: Callable[[UploadReport], None],
        pace: Pace | None = None,
    ) -> UploadReport:
        """Send one file in one request. Failures are outcomes, not exceptions.

        `on_handed` is called with the bytes of every piece handed over, after `pace` let it pass. When the calling
        task is cancelled the request is dropped, and `on_cancelled` gets what is known of it.
        """

    async def send_bundle(
        self,
        request: BundleRequest,
        files: Sequence[LoadedFile],
        *,
        on_handed: Callable[[int], None],
        on_cancelled: Callable[[BundleReport], None],
        pace: Pace | None = None,
    ) -> BundleReport:
        """Send several files in one request, as `send` does with one."""

    def has_time_left(self, grace_s: float) -> bool:
        """Whether a request in flight has not yet outlived its own limits by `grace_s`."""

    def bodies(self) -> list[BodyNow]:
        """Return the state of the requests in flight, in no order."""

    def end_all(self, reason: str) -> None:
        """Abort every request in flight; each `send` returns with what is known of its body."""


class Ledger(Protocol[StoreT_co]):
    """Records what a run does. A step is a function of the store; its call returns once its effect is durable."""

    @property
    def failure(self) -> LedgerUnusable | None:
        """Why the ledger can no longer record, None while it can."""

    @property
    def pending_count(self) -> int:
        """How many steps are not durable yet."""

    async def run(self, act: Callable[[StoreT_co], T]) -> T:
        """Run one step and return its result once it is durable. Raises LedgerUnusable.

        Cancelling the caller does not cancel its step.
        """

    def conclude(self, over: AttemptEnd, *, reopen: Collection[int] = ()) -> Awaitable[Outcome]:
        """Record how an attempt ended, and return the outcome as recorded once that is durable. Both raise
        LedgerUnusable.

        An id that is another entry's makes an accepted attempt doubtful.
        """

    def conclude_together(
        self, overs: Sequence[AttemptEnd], *, reopen: Collection[int] = ()
    ) -> Awaitable[list[Outcome]]:
        """Record how the attempts of one request ended, like `conclude` each of them; they are durable together."""

    def hurry(self) -> None:
        """Record every outcome at once from now on, and wait for no others to be recorded with it."""
