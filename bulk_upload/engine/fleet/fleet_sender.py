"""The sender of a run with agents: it chooses who reads and sends, and knows what becomes of it when an agent is lost."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.events import BodyNow
from bulk_upload.core.fleet.files import error_of, wanted_file
from bulk_upload.core.fleet.messages import (
    AskKey,
    Cancel,
    Drop,
    EndAll,
    Ended,
    EndedBundle,
    FileFault,
    Hash,
    Hashed,
    HeldFile,
    Leaving,
    Moved,
    Prepare,
    Prepared,
)
from bulk_upload.core.fleet.wire import text_bytes, unpacked
from bulk_upload.core.model import Accepted, InDoubt, NotSent
from bulk_upload.core.run.sender import BundleReport, PreparedFile, UploadReport
from bulk_upload.core.run.source import SourceError
from bulk_upload.core.validation.report import FileReport
from bulk_upload.engine.fleet.dispatches import Dispatch, report_in, unreported
from bulk_upload.engine.fleet.member import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeAlias

    from bulk_upload.core.content_hash import HashFunction
    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.events import AgentNow
    from bulk_upload.core.fleet.messages import FromAgent, ToAgent
    from bulk_upload.core.model import Fingerprint, Outcome
    from bulk_upload.core.run.sender import BundleRequest, PrepareRequest, UploadRequest
    from bulk_upload.engine.fleet.crew import Crew
    from bulk_upload.engine.fleet.member import Member

    Answer: TypeAlias = asyncio.Future[Prepared | Hashed | None]

CANCELLED_S = 5.0
"""How long a request whose task was cancelled may take to say what became of it, before it is in doubt."""


class FleetSender:
    """`Sender` with agents.

    Args:
        crew: the agents.
        on_handed: called with the number of bytes of bodies that were handed over.
        on_held: called when the bandwidth cap holds a body back.
        keeps_together: an agent gets whole batches of small files, which may then go in one request.
        on_checked: called with what an agent found in an object on its way: path, purpose, report and version.
        numbers: of the files that are prepared.
    """

    def __init__(
        self,
        crew: Crew,
        *,
        on_handed: Callable[[int], None],
        on_held: Callable[[], None],
        on_checked: Callable[[str, str, FileReport, Fingerprint], None],
        keeps_together: bool = False,
        numbers: Iterator[int] | None = None,
    ) -> None:
        self._keeps_together = keeps_together
        self._crew = crew
        self._on_checked = on_checked
        self._on_handed = on_handed
        self._on_held = on_held
        self._held: dict[int, Held] = {}
        self._cancelled: dict[int, UploadReport | BundleReport] = {}
        self._numbers = itertools.count(1) if numbers is None else numbers
        self._requests = itertools.count(1)
        self._gone_bytes = 0
        self.busy_count = 0
        crew.serves(act=self._act, on_gone=self._gone)

    @property
    def wire_bytes(self) -> int:
        """Bytes of all bodies that left the agents, also of attempts that failed."""
        return self._gone_bytes + sum(one.wire_bytes for one in self._crew.members)

    @property
    def partial_bytes(self) -> int:
        """Bytes of bodies in flight that left the agents."""
        return sum(body.left_bytes for one in self._crew.members for body in one.bodies.values())

    def agents(self) -> list[AgentNow]:
        """Return the agents of the run now."""
        return [one.state for one in self._crew.members]

    def holds(self, number: int) -> bool:
        """Whether a prepared file can be sent: its agent is there."""
        held = self._held.get(number)
        return held is not None and held.member.takes_work

    async def prepare(self, requests: Sequence[PrepareRequest]) -> list[PreparedFile | SourceError]:
        """Have agents get files ready, each a part of them; what a lost one had is asked of another."""
        prepared: dict[int, PreparedFile | SourceError] = {}
        asked: list[tuple[Member, list[int], Answer]] = []
        self.busy_count += 1
        try:
            while len(prepared) < len(requests):
                left = [index for index in range(len(requests)) if index not in prepared]
                members = await self._crew.taking_work(1 if self._keeps_together else len(left))
                if not members:
                    nobody = SourceError("no agent is there to read it", transient=True)
                    prepared |= dict.fromkeys(left, nobody)
                    break
                for place, member in enumerate(members):
                    part = left[place :: len(members)]
                    asked.append((member, part, self.ask(member, [requests[one] for one in part])))
                while asked:
                    member, part, answer = asked[0]
                    found = await answer
                    del asked[0]
                    if isinstance(found, Prepared):
                        prepared |= zip(part, self.keep(member, found), strict=True)
            return [prepared[index] for index in range(len(requests))]
        except BaseException:
            for file in prepared.values():
                if isinstance(file, PreparedFile):
                    self.let_go(file.number)
            for member, _, answer in asked:
                take_back(member, answer)
            raise
        finally:
            self.busy_count -= 1

    def ask(self, member: Member, requests: Iterable[PrepareRequest]) -> Answer:
        """Ask an agent to get files ready; `keep` what it answers, or `take_back` the question."""
        req = next(self._requests)
        return self._asked(member, req, Prepare(req=req, files=tuple(map(wanted_file, requests))))

    def keep(self, member: Member, found: Prepared) -> list[PreparedFile | SourceError]:
        """Return the files of an answer, which can be sent from now on."""
        kept: list[PreparedFile | SourceError] = []
        for file in found.files:
            if isinstance(file, FileFault):
                kept.append(error_of(file))
                continue
            number = next(self._numbers)
            self._held[number] = Held(member, file.handle, file.fingerprint, file.content_hash)
            member.held.add(number)
            kept.append(
                PreparedFile(
                    number=number,
                    fingerprint=file.fingerprint,
                    content_hash=file.content_hash,
                    report=None if file.report is None else unpacked(file.report, FileReport),
                    agent=member.name,
                )
            )
        return kept

    async def drop(self, number: int) -> None:
        """Have a prepared file let go that will not be sent."""
        self.let_go(number)

    def let_go(self, number: int) -> None:
        """Do what `drop` does, at once."""
        held = self._held.pop(number, None)
        if held is not None:
            held.member.held.discard(number)
            held.member.post(Drop(handle=held.handle))

    async def send(self, number: int, request: UploadRequest) -> UploadReport:
        """Have the agent that holds a file send it in one request."""
        report = await self._dispatch((number,), (request,), is_bundle=False)
        if not isinstance(report, UploadReport):
            raise TypeError("a report is of what was asked for")
        return report

    async def send_bundle(self, numbers: Sequence[int], request: BundleRequest) -> BundleReport:
        """Have the agent that holds several files send them in one request."""
        report = await self._dispatch(tuple(numbers), request.members, is_bundle=True)
        if not isinstance(report, BundleReport):
            raise TypeError("a report is of what was asked for")
        return report

    async def _dispatch(
        self, numbers: tuple[int, ...], requests: tuple[UploadRequest, ...], *, is_bundle: bool
    ) -> UploadReport | BundleReport:
        held = tuple(one for number in numbers if (one := self._held.pop(number, None)) is not None)
        member = held[0].member if held else None
        if member is None or not member.takes_work or {one.member for one in held} != {member}:
            # Nobody awaited anything since `holds`.
            raise AssertionError("files are sent that one agent does not hold")
        member.held.difference_update(numbers)
        dispatch = Dispatch(held, requests, asyncio.get_running_loop().create_future(), is_bundle)
        if len(held) < len(requests):
            raise AssertionError("a file is sent that nobody holds")
        member.session.dispatch(dispatch.attempt)
        member.dispatches[dispatch.attempt] = dispatch
        member.post(dispatch.message())
        self.busy_count += 1
        try:
            return await asyncio.shield(dispatch.report)
        except asyncio.CancelledError:
            self._cancelled[dispatch.attempt] = await self._cancel(member, dispatch)
            raise
        finally:
            self.busy_count -= 1

    def cancelled(self, attempt_id: int) -> UploadReport | None:
        """Return, once, what is known of a request whose task was cancelled; None where none began."""
        report = self._cancelled.pop(attempt_id, None)
        return report if isinstance(report, UploadReport) else None

    def cancelled_bundle(self, attempt_id: int) -> BundleReport | None:
        """Return the same for a bundle, by its first attempt."""
        report = self._cancelled.pop(attempt_id, None)
        return report if isinstance(report, BundleReport) else None

    async def hash_content(
        self,
        path: str,
        function: HashFunction,
        *,
        expected: Fingerprint | None = None,
        ranges: Sequence[ByteRange] = (),
    ) -> tuple[str, Fingerprint]:
        """Have an agent hash a file. Raises SourceError."""
        self.busy_count += 1
        try:
            while True:
                members = await self._crew.taking_work(1)
                if not members:
                    raise SourceError("no agent is there to read it", transient=True)
                found = await self.hashed_by(members[0], path, function, expected=expected, ranges=ranges)
                if found is not None:
                    return found
        finally:
            self.busy_count -= 1

    async def hashed_by(
        self,
        member: Member,
        path: str,
        function: HashFunction,
        *,
        expected: Fingerprint | None,
        ranges: Sequence[ByteRange],
    ) -> tuple[str, Fingerprint] | None:
        """Have one agent hash a file; None where it is lost meanwhile. Raises SourceError."""
        req = next(self._requests)
        question = Hash(
            req=req, path=text_bytes(path), function=function, expected=expected, ranges=tuple(ranges)
        )
        self.busy_count += 1
        try:
            found = await self._asked(member, req, question)
        finally:
            self.busy_count -= 1
        if not isinstance(found, Hashed):
            return None
        if found.fault is not None or found.fingerprint is None:
            raise error_of(found.fault or FileFault(reason="it was not hashed"))
        return found.content_hash, found.fingerprint

    def bodies(self) -> list[BodyNow]:
        """Return the state of the requests in flight, in no order."""
        return [
            BodyNow(
                path=dispatch.requests[0].path,
                body_bytes=body.body_bytes if body else dispatch.file_bytes,
                left_bytes=body.left_bytes if body else 0,
                waiting=body is None or body.waiting,
                reading=body is not None and body.reading,
                held=body is not None and body.held,
                agent=member.name,
                file_count=len(dispatch.requests),
            )
            for member in self._crew.members
            for attempt, dispatch in member.dispatches.items()
            for body in (member.bodies.get(attempt),)
        ]

    def end_all(self, reason: str) -> None:
        """Abort every request in flight; each `send` returns with what is known of it, at the latest with its agent's
        loss."""
        for member in self._crew.members:
            member.post(EndAll(reason=reason))

    def has_time_left(self, grace_s: float) -> bool:  # noqa: ARG002 - the agents have their own watchdogs
        """Whether a request is in flight: its agent ends it in time, or is lost."""
        return any(one.dispatches for one in self._crew.members)

    def _asked(self, member: Member, req: int, question: ToAgent) -> Answer:
        answer: Answer = asyncio.get_running_loop().create_future()
        member.waiting[req] = answer
        member.post(question)
        return answer

    def _act(self, member: Member, message: FromAgent) -> None:
        match message:
            case Ended() | EndedBundle():
                self._ended(member, message)
            case Moved():
                member.bodies = {one.attempt: one for one in message.bodies}
                self._moved(member, message.wire_bytes, message.handed_bytes_total)
                if any(one.held for one in message.bodies):
                    self._on_held()
            case Prepared() | Hashed():
                self._answered(member, message)
            case AskKey():
                self._crew.asks_key(member, message.number)
            case Leaving():
                self._crew.leaves(member, message.reason)

    def _answered(self, member: Member, message: Prepared | Hashed) -> None:
        answer = member.waiting.pop(message.req, None)
        if answer is not None and not answer.done():
            answer.set_result(message)
        elif isinstance(message, Prepared):
            # Nobody waits any more.
            _drop_all(member, message)

    def _ended(self, member: Member, ended: Ended | EndedBundle) -> None:
        member.session.ended(ended.attempt)
        dispatch = member.dispatches.pop(ended.attempt)
        member.bodies.pop(ended.attempt, None)
        self._moved(member, ended.wire_bytes, ended.handed_bytes_total)
        report = report_in(dispatch, ended)
        if isinstance(report, UploadReport) and report.checked is not None and report.sent.fingerprint:
            # Before the outcome is known: what was found is then there for whoever records it.
            request = dispatch.requests[0]
            self._on_checked(request.path, request.purpose, report.checked, report.sent.fingerprint)
        whole = report.outcome if isinstance(report, UploadReport) else report.answer.whole
        if isinstance(whole, Accepted):
            self._crew.key_worked(member)
        dispatch.end(report)
        self._crew.on_idle(member)

    def _moved(self, member: Member, wire_bytes: int, handed_bytes: int) -> None:
        member.wire_bytes = wire_bytes
        fresh_bytes = handed_bytes - member.handed_bytes
        member.handed_bytes = handed_bytes
        if fresh_bytes > 0:
            self._on_handed(fresh_bytes)

    def _gone(self, member: Member, attempts: Iterable[int], *, is_lost: bool) -> None:
        """Record that an agent is gone. What a lost one had in flight is in doubt, what one that left had never began."""
        self._gone_bytes += member.wire_bytes
        for number in member.held:
            self._held.pop(number, None)
        member.held.clear()
        member.bodies.clear()
        for answer in member.waiting.values():
            if not answer.done():
                answer.set_result(None)
        member.waiting.clear()
        for attempt in attempts:
            dispatch = member.dispatches.pop(attempt)
            outcome: Outcome = NotSent(reason=f"the agent {member.name} left")
            if is_lost:
                reason = f"the agent {member.name}, which sent it, was lost"
                outcome = InDoubt(reason=reason, answered=False, agent_lost=True)
            dispatch.end(unreported(dispatch, outcome, complete=is_lost))

    async def _cancel(self, member: Member, dispatch: Dispatch) -> UploadReport | BundleReport:
        """Have a request aborted; return what is known of it."""
        member.post(Cancel(attempt=dispatch.attempt))
        with anyio.move_on_after(CANCELLED_S, shield=True):
            return await asyncio.shield(dispatch.report)
        if dispatch.report.done():
            return dispatch.report.result()
        # Its report may still come, and is no outcome then.
        reason = "the run was cancelled, and its agent does not answer"
        outcome = InDoubt(reason=reason, answered=False, agent_lost=True)
        return unreported(dispatch, outcome, complete=True)


def take_back(member: Member, answer: Answer) -> None:
    """Give up a question about files: what was prepared for it is dropped."""
    if not answer.cancel() and not answer.cancelled() and isinstance(found := answer.result(), Prepared):
        _drop_all(member, found)


def _drop_all(member: Member, prepared: Prepared) -> None:
    for file in prepared.files:
        if isinstance(file, HeldFile):
            member.post(Drop(handle=file.handle))
