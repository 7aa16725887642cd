"""What an agent does in one session: it serves its coordinator's requests with a sender of its own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.bundle.answer import of_all
from bulk_upload.core.fleet.ends import ended, ended_bundle
from bulk_upload.core.fleet.files import fault_of, prepare_request
from bulk_upload.core.fleet.messages import (
    BodyState,
    Cancel,
    Dismiss,
    Drop,
    EndAll,
    FileFault,
    Hash,
    Hashed,
    HeldFile,
    Moved,
    Pace,
    Prepare,
    Prepared,
    Send,
    SendBundle,
)
from bulk_upload.core.fleet.wire import bytes_text, packed
from bulk_upload.core.model import NotSent, SentBody
from bulk_upload.core.run.sender import BundleReport, BundleRequest, UploadReport, UploadRequest
from bulk_upload.core.run.source import SourceError
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anyio.abc import TaskGroup

    from bulk_upload.core.fleet.messages import FromAgent, ToAgent
    from bulk_upload.core.run.sender import PreparedFile, Sender


_CANCELLED = NotSent(reason="the run was cancelled")


class AgentWork:
    """Acts on messages. Each request is a task of its own, and ends with one answer.

    Args:
        sender: reads the files and makes the requests.
        is_open: whether the fence has not come.
        pace: called with every share of the bandwidth cap.
        post: sends an answer.
        handed_bytes: returns how many bytes of bodies were handed over in this session.
    """

    def __init__(
        self,
        sender: Sender,
        *,
        is_open: Callable[[], bool],
        pace: Callable[[float | None], None],
        post: Callable[[FromAgent], None],
        handed_bytes: Callable[[], int],
    ) -> None:
        self._sender = sender
        self._is_open = is_open
        self._pace = pace
        self._post = post
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._said: Moved | None = None
        self._handed_bytes = handed_bytes
        self.dismissed: str | None = None
        """Why the agent is no longer needed, None while it is."""

    def say_moved(self) -> None:
        """Report what moved since the last report, if anything did."""
        if not self._scopes and (self._said is None or not self._said.bodies):
            return
        moved = Moved(
            # The coordinator knows the paths; here they are the attempts.
            bodies=tuple(
                BodyState(
                    attempt=int(one.path),
                    body_bytes=one.body_bytes,
                    left_bytes=one.left_bytes,
                    waiting=one.waiting,
                    reading=one.reading,
                    held=one.held,
                )
                for one in self._sender.bodies()
            ),
            wire_bytes=self._sender.wire_bytes,
            handed_bytes_total=self._handed_bytes(),
        )
        if moved != self._said:
            self._said = moved
            self._post(moved)

    async def act(self, message: ToAgent, tasks: TaskGroup) -> None:
        """Act on a message; what takes time is a task of `tasks`. A coroutine, so that only tasks can start tasks."""
        match message:
            case Send() | SendBundle():
                tasks.start_soon(self._dispatched, message)
            case Prepare():
                tasks.start_soon(self._prepare, message)
            case Hash():
                tasks.start_soon(self._hash, message)
            case Drop():
                tasks.start_soon(self._sender.drop, message.handle)
            case Cancel():
                if (scope := self._scopes.get(message.attempt)) is not None:
                    scope.cancel()
            case Pace():
                self._pace(message.bytes_per_s)
            case EndAll():
                self._sender.end_all(message.reason)
            case Dismiss():
                self.dismissed = message.reason

    async def _prepare(self, wanted: Prepare) -> None:
        found = await self._sender.prepare(list(map(prepare_request, wanted.files)))
        self._post(Prepared(req=wanted.req, files=tuple(map(_held, found))))

    async def _hash(self, wanted: Hash) -> None:
        try:
            content_hash, fingerprint = await self._sender.hash_content(
                bytes_text(wanted.path), wanted.function, expected=wanted.expected, ranges=wanted.ranges
            )
        except SourceError as error:
            self._post(Hashed(req=wanted.req, fault=fault_of(error)))
        except UsageError as error:
            # The receipt of an earlier run, of a function that this agent lacks, says nothing against the file.
            self._post(Hashed(req=wanted.req, fault=FileFault(reason=str(error), inaccessible=True)))
        else:
            self._post(Hashed(req=wanted.req, content_hash=content_hash, fingerprint=fingerprint))

    async def _dispatched(self, dispatch: Send | SendBundle) -> None:
        # Only before the fence: what comes later is nobody's.
        if not self._is_open():
            return
        if isinstance(dispatch, Send):
            await self._send(dispatch)
        else:
            await self._send_bundle(dispatch)

    async def _send(self, dispatch: Send) -> None:
        request = UploadRequest(
            attempt_id=dispatch.attempt,
            path=str(dispatch.attempt),
            sent_name=bytes_text(dispatch.sent_name),
            purpose=dispatch.purpose,
            fields=dispatch.fields,
            ask_first=dispatch.ask_first,
        )
        report: UploadReport | None = None
        with anyio.CancelScope() as scope, self._listed(dispatch.attempt, scope):
            report = await self._sender.send(dispatch.handle, request)
        if report is None:
            report = self._sender.cancelled(dispatch.attempt) or _not_begun(request)
        self._post(
            ended(
                dispatch.attempt,
                report,
                wire_bytes=self._sender.wire_bytes,
                handed_bytes_total=self._handed_bytes(),
            )
        )

    async def _send_bundle(self, dispatch: SendBundle) -> None:
        request = BundleRequest(
            members=tuple(
                UploadRequest(
                    attempt_id=one.attempt,
                    path=str(one.attempt),
                    sent_name=bytes_text(one.sent_name),
                    purpose=dispatch.purpose,
                    fields=dispatch.fields,
                )
                for one in dispatch.files
            )
        )
        report: BundleReport | None = None
        with anyio.CancelScope() as scope, self._listed(dispatch.attempt, scope):
            report = await self._sender.send_bundle([one.handle for one in dispatch.files], request)
        if report is None:
            report = self._sender.cancelled_bundle(dispatch.attempt) or _bundle_not_begun(request)
        self._post(
            ended_bundle(
                tuple(one.attempt for one in dispatch.files),
                report,
                wire_bytes=self._sender.wire_bytes,
                handed_bytes_total=self._handed_bytes(),
            )
        )

    @contextmanager
    def _listed(self, attempt: int, scope: anyio.CancelScope) -> Iterator[None]:
        """Let a request be aborted while the block runs."""
        self._scopes[attempt] = scope
        try:
            yield
        finally:
            del self._scopes[attempt]


def _not_begun(request: UploadRequest) -> UploadReport:
    return UploadReport(outcome=_CANCELLED, sent=_nothing(request))


def _bundle_not_begun(request: BundleRequest) -> BundleReport:
    sent = tuple(map(_nothing, request.members))
    return BundleReport(answer=of_all(_CANCELLED, sent), sent=sent)


def _nothing(request: UploadRequest) -> SentBody:
    return SentBody(sent_name=request.sent_name, purpose=request.purpose, file_bytes=0, complete=False)


def _held(found: PreparedFile | SourceError) -> HeldFile | FileFault:
    if isinstance(found, SourceError):
        return fault_of(found)
    return HeldFile(
        handle=found.number,
        fingerprint=found.fingerprint,
        content_hash=found.content_hash,
        report=None if found.report is None else packed(found.report),
    )
