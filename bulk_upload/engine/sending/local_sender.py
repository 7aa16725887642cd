"""The sender of this process: reads with threads of its own and makes the requests on this event loop."""

from __future__ import annotations

import itertools
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import anyio
from msgspec.structs import replace

from bulk_upload.core.run.sender import PreparedFile
from bulk_upload.core.run.source import LoadedFile, SourceError
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.engine.validation.while_sent import CHECKING_THREADS, CheckedStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bulk_upload.core.api.pace import Pace
    from bulk_upload.core.content_hash import HashFunction
    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.events import AgentNow, BodyNow
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.run.ports import Reader, Transport
    from bulk_upload.core.run.sender import (
        BundleReport,
        BundleRequest,
        PrepareRequest,
        UploadReport,
        UploadRequest,
    )
    from bulk_upload.core.run.source import ContentCheck, Source
    from bulk_upload.engine.validation.while_sent import SentChecks


class _Held(NamedTuple):
    """A prepared file: read whole, or open with what closes it."""

    source: Source
    opened: AsyncExitStack | None = None


class LocalSender:
    """Sends from the disks of this machine.

    Args:
        check_for: returns what checks the content of a file with this path and purpose; None where nothing does.
        sent_checks: says which objects are checked on their way, and by what; None where none is.
        pace: admits pieces of bodies.
        on_handed: called with the number of bytes of every piece that was handed over.
        numbers: of the files that are prepared.
    """

    def __init__(
        self,
        reader: Reader,
        transport: Transport,
        *,
        check_for: Callable[[str, str], ContentCheck] | None,
        pace: Pace,
        on_handed: Callable[[int], None],
        sent_checks: SentChecks | None = None,
        numbers: Iterator[int] | None = None,
    ) -> None:
        self._reader = reader
        self._transport = transport
        self._check_for = check_for
        self._sent_checks = sent_checks
        # Its threads start when there is something to check, and end with the process's interest in them.
        self._checking = anyio.CapacityLimiter(CHECKING_THREADS)
        self._pace = pace
        self._on_handed = on_handed
        self._held: dict[int, _Held] = {}
        self._cancelled: dict[int, UploadReport] = {}
        self._cancelled_bundles: dict[int, BundleReport] = {}
        self._numbers = itertools.count(1) if numbers is None else numbers
        self.busy_count = 0

    @property
    def wire_bytes(self) -> int:
        """Bytes of all bodies that were handed over, also of attempts that failed."""
        return self._transport.wire_bytes

    @property
    def partial_bytes(self) -> int:
        """Bytes of bodies in flight that were handed over."""
        return self._transport.partial_bytes

    @property
    def load(self) -> int:
        """How much it has to do: files that it holds, and calls that go on."""
        return len(self._held) + self.busy_count

    async def prepare(self, requests: Sequence[PrepareRequest]) -> list[PreparedFile | SourceError]:
        """Read small files whole, all in one hop to the reading threads, and open the others."""
        self.busy_count += 1
        try:
            small = [one for one in requests if self._is_read_whole(one)]
            checks = [self._check(one) for one in small]
            expected = [one.expected for one in small]
            loaded = iter(
                await self._reader.load([one.path for one in small], checks, expected=expected)
                if small
                else ()
            )
            if len(small) == len(requests):
                return [self._keep(file) for file in loaded]
            prepared: list[PreparedFile | SourceError] = []
            try:
                for one in requests:
                    is_read = self._is_read_whole(one)
                    prepared.append(self._keep(next(loaded)) if is_read else await self._open(one))
            except BaseException:
                for file in prepared:
                    if isinstance(file, PreparedFile):
                        await self.drop(file.number)
                raise
            return prepared
        finally:
            self.busy_count -= 1

    def holds(self, number: int) -> bool:
        """Whether a prepared file can still be sent."""
        return number in self._held

    async def drop(self, number: int) -> None:
        """Release a prepared file that will not be sent."""
        held = self._held.pop(number, None)
        if held is not None and held.opened is not None:
            with anyio.CancelScope(shield=True):
                await held.opened.aclose()

    async def send(self, number: int, request: UploadRequest) -> UploadReport:
        """Send a prepared file in one request. The file is closed when this returns."""
        held = self._held.pop(number)
        self.busy_count += 1
        try:
            report = await self._transport.send(
                request,
                held.source,
                on_handed=self._on_handed,
                on_cancelled=lambda report: self._cancelled.__setitem__(request.attempt_id, report),
                pace=self._pace,
            )
            if isinstance(held.source, CheckedStream):
                report = replace(report, checked=held.source.report)
            return report
        finally:
            self.busy_count -= 1
            if held.opened is not None:
                with anyio.CancelScope(shield=True):
                    await held.opened.aclose()

    async def send_bundle(self, numbers: Sequence[int], request: BundleRequest) -> BundleReport:
        """Send several prepared files, which were all read whole, in one request."""
        files = [
            source for number in numbers if isinstance(source := self._held.pop(number).source, LoadedFile)
        ]
        self.busy_count += 1
        try:
            return await self._transport.send_bundle(
                request,
                files,
                on_handed=self._on_handed,
                on_cancelled=partial(self._cancelled_bundles.__setitem__, request.members[0].attempt_id),
                pace=self._pace,
            )
        finally:
            self.busy_count -= 1

    def cancelled(self, attempt_id: int) -> UploadReport | None:
        """Return, once, what is known of a request whose task was cancelled; None where none began."""
        return self._cancelled.pop(attempt_id, None)

    def cancelled_bundle(self, attempt_id: int) -> BundleReport | None:
        """Return the same for a bundle, by its first attempt."""
        return self._cancelled_bundles.pop(attempt_id, None)

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
        self.busy_count += 1
        try:
            return await self._reader.hash_content(path, function, expected=expected, ranges=ranges)
        finally:
            self.busy_count -= 1

    def bodies(self) -> list[BodyNow]:
        """Return the state of the requests in flight, in no order."""
        return self._transport.bodies()

    def agents(self) -> list[AgentNow]:
        """Return none: this process sends by itself."""
        return []

    def end_all(self, reason: str) -> None:
        """Abort every request in flight; each `send` returns with what is known of its body."""
        self._transport.end_all(reason)

    def has_time_left(self, grace_s: float) -> bool:
        """Whether a request in flight has not yet outlived its own limits by `grace_s`."""
        return self._transport.has_time_left(grace_s)

    def _is_read_whole(self, request: PrepareRequest) -> bool:
        return request.planned_bytes <= SMALL_FILE_BYTES_MAX and not self._checks_while_sent(request)

    def _checks_while_sent(self, request: PrepareRequest) -> bool:
        checks = self._sent_checks
        return checks is not None and checks.wants(request.path, request.purpose, request.planned_bytes)

    def _check(self, request: PrepareRequest) -> ContentCheck | None:
        if not request.checks_content or self._check_for is None:
            return None
        return self._check_for(request.path, request.purpose)

    async def _open(self, request: PrepareRequest) -> PreparedFile | SourceError:
        opened = AsyncExitStack()
        try:
            source = await opened.enter_async_context(
                self._reader.source(request.path, expected=request.expected)
            )
            if self._sent_checks is not None and self._checks_while_sent(request):
                source = self._checked(self._sent_checks, request, source, opened)
        except SourceError as error:
            return error
        return self._keep(source, opened)

    def _checked(
        self, checks: SentChecks, request: PrepareRequest, source: Source, opened: AsyncExitStack
    ) -> Source:
        """Return an object that is checked on its way."""
        if isinstance(source, LoadedFile):
            raise TypeError("objects that are not loaded are streams")
        check, refusal = checks.check(request.path, request.purpose)
        opened.callback(check.close)
        return CheckedStream(source, check, refusal=refusal, turns=self._checking)

    def _keep(
        self, source: Source | SourceError, opened: AsyncExitStack | None = None
    ) -> PreparedFile | SourceError:
        if isinstance(source, SourceError):
            return source
        number = next(self._numbers)
        self._held[number] = _Held(source, opened)
        is_whole = isinstance(source, LoadedFile)
        return PreparedFile(
            number=number,
            fingerprint=source.fingerprint,
            # A stream has read nothing yet.
            content_hash=source.content_hash if is_whole else None,
            report=source.report if isinstance(source, LoadedFile) else None,
        )
