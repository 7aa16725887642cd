"""Requests that were given to agents: how their reports are read, and what is known where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec.structs import replace

from bulk_upload.core.bundle.answer import Lesson, of_all
from bulk_upload.core.fleet.ends import bundle_answer
from bulk_upload.core.fleet.mailbox import BrokenProtocol
from bulk_upload.core.fleet.messages import BundleFile, Ended, Send, SendBundle
from bulk_upload.core.fleet.wire import text_bytes, unpacked, unpacked_outcome
from bulk_upload.core.model import SentBody
from bulk_upload.core.run.sender import BundleReport, UploadReport
from bulk_upload.core.validation.report import FileReport

if TYPE_CHECKING:
    import asyncio

    from bulk_upload.core.fleet.messages import EndedBundle
    from bulk_upload.core.model import Fingerprint, Outcome
    from bulk_upload.core.run.sender import UploadRequest


class HeldByAgent(Protocol):
    """A file under the handle that its agent has for it, and the version that was read."""

    @property
    def handle(self) -> int:
        """What the agent calls it."""

    @property
    def fingerprint(self) -> Fingerprint:
        """The version."""

    @property
    def content_hash(self) -> str | None:
        """The hash, where all of it was read."""


class Dispatch(NamedTuple):
    """One request that was given to an agent, and who waits for its report; with several files where it is a bundle."""

    held: tuple[HeldByAgent, ...]
    requests: tuple[UploadRequest, ...]
    report: asyncio.Future[UploadReport | BundleReport]
    is_bundle: bool

    @property
    def attempt(self) -> int:
        """The first attempt, which stands for the dispatch."""
        return self.requests[0].attempt_id

    @property
    def attempts(self) -> tuple[int, ...]:
        """All attempts that it makes."""
        return tuple(one.attempt_id for one in self.requests)

    @property
    def file_bytes(self) -> int:
        """The size of all its files."""
        return sum(one.fingerprint.size for one in self.held)

    def message(self) -> Send | SendBundle:
        """Return what its agent is told."""
        first = self.requests[0]
        if self.is_bundle:
            files = tuple(
                BundleFile(attempt=one.attempt_id, handle=held.handle, sent_name=text_bytes(one.sent_name))
                for held, one in zip(self.held, self.requests, strict=True)
            )
            return SendBundle(files=files, purpose=first.purpose, fields=first.fields)
        return Send(
            attempt=first.attempt_id,
            handle=self.held[0].handle,
            sent_name=text_bytes(first.sent_name),
            purpose=first.purpose,
            fields=first.fields,
            ask_first=first.ask_first,
        )

    def end(self, report: UploadReport | BundleReport) -> None:
        """Give a report to whoever waits for it."""
        if not self.report.done():
            self.report.set_result(report)


def report_in(dispatch: Dispatch, message: Ended | EndedBundle) -> UploadReport | BundleReport:
    """Return what an agent reported of a dispatch. Raises BrokenProtocol."""
    try:
        if isinstance(message, Ended) and not dispatch.is_bundle:
            return _upload_report(dispatch, message)
        if not isinstance(message, Ended) and message.attempts == dispatch.attempts:
            return BundleReport(
                answer=bundle_answer(message),
                sent=_sent(dispatch, complete=message.complete, handed_bytes=message.handed_bytes),
            )
    except (ValueError, TypeError) as error:
        raise BrokenProtocol(f"an outcome cannot be read: {error}") from error
    raise BrokenProtocol("a report came of another request than was made")


def unreported(dispatch: Dispatch, outcome: Outcome, *, complete: bool) -> UploadReport | BundleReport:
    """Return the report of a dispatch that its agent makes none of. `complete` says what the server may have of it."""
    sent = _sent(dispatch, complete=complete, handed_bytes=0)
    if not dispatch.is_bundle:
        return UploadReport(outcome=outcome, sent=sent[0])
    # The loss of an agent shows nothing about bundles.
    return BundleReport(answer=replace(of_all(outcome, sent), lesson=Lesson.NONE), sent=sent)


def _upload_report(dispatch: Dispatch, message: Ended) -> UploadReport:
    request, held = dispatch.requests[0], dispatch.held[0]
    size = held.fingerprint.size if message.fingerprint is None else message.fingerprint.size
    return UploadReport(
        outcome=unpacked_outcome(message.kind, message.outcome),
        sent=SentBody(
            sent_name=request.sent_name,
            purpose=request.purpose,
            file_bytes=size,
            complete=message.complete,
            handed_bytes=message.handed_bytes,
            content_hash=message.content_hash,
            fingerprint=message.fingerprint,
        ),
        checked=None if message.report is None else unpacked(message.report, FileReport),
    )


def _sent(dispatch: Dispatch, *, complete: bool, handed_bytes: int) -> tuple[SentBody, ...]:
    """Return what is known of each file of a form: all of them were read whole where there are several."""
    return tuple(
        SentBody(
            sent_name=request.sent_name,
            purpose=request.purpose,
            file_bytes=held.fingerprint.size,
            complete=complete,
            handed_bytes=handed_bytes,
            content_hash=held.content_hash if complete else None,
            fingerprint=held.fingerprint,
        )
        for held, request in zip(dispatch.held, dispatch.requests, strict=True)
    )
