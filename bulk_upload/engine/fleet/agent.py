"""An agent: it serves one run after its coordinator's wishes, decides nothing and keeps nothing.

Its sessions follow each other. In one session the connection may break and come back; once the fence has come, all that
was in flight is cut off, everything is dropped, and the agent says hello anew.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import anyio
import msgspec

from bulk_upload.core.fleet.mailbox import BrokenProtocol
from bulk_upload.core.fleet.messages import (
    PROTOCOL,
    AskKey,
    Ended,
    EndedBundle,
    FromAgentFrame,
    Hello,
    Leaving,
    NewKey,
    Refusal,
)
from bulk_upload.core.fleet.session import AgentSession
from bulk_upload.core.text.printable import human_seconds
from bulk_upload.edge.fleet import ConnectionLost, NotAdmitted
from bulk_upload.engine.fleet.agent_work import AgentWork
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from bulk_upload.core.api.pace import Fence
    from bulk_upload.core.fleet.messages import AgentJob, FromAgent, Welcome
    from bulk_upload.core.run.sender import Sender
    from bulk_upload.edge.fleet import Channel, Dialer
    from bulk_upload.engine.callback_errors import CallbackErrors

TICK_S = 0.25
RECONNECT_S_MIN = 0.1
RECONNECT_S_MAX = 2.0
SILENT_SHARE = 0.5
"""A connection on which nothing comes for this share of the TTL is replaced: every beat is confirmed."""

KEY_S = 60.0
"""How long the coordinator may take to read its API key again: a command may ask a vault."""

FENCED = "the coordinator did not answer in time"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who an agent is. `has_key` says that it has an API key of its own."""

    version: str
    host: str
    pid: int
    cpu_count: int
    has_key: bool = False


class AgentEnd(msgspec.Struct, frozen=True, kw_only=True):
    """Why an agent ended."""

    status: ExitStatus
    reason: str


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a session gives to what works in it: its fence, who is told of bytes handed over, and who has the next API key,
    given the number of the one that was refused."""

    fence: Fence
    on_handed: Callable[[int], None]
    ask_key: Callable[[int], Awaitable[NewKey]]


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent works with in one session.

    `cut_off` drops all that is in flight, what the system holds of it included. `unlike` says how the files differ from
    those of the coordinator, None where they are the same.
    """

    sender: Sender
    pace: Callable[[float | None], None]
    cut_off: Callable[[str], None]
    errors: CallbackErrors
    unlike: str | None = None


class _Former(msgspec.Struct, frozen=True, kw_only=True):
    """A session that the fence has ended, and the reports of it that were not confirmed."""

    session: str
    late: tuple[Ended | EndedBundle, ...]


class _Fence:
    """The fence of the session that goes on."""

    def __init__(self, session: AgentSession, now: Callable[[], float]) -> None:
        self._session = session
        self._now = now

    def is_open(self) -> bool:
        """Whether bytes may be sent now."""
        return self._session.is_open(self._now())


class _Handed:
    """Counts the bytes of bodies that were handed over in a session."""

    def __init__(self) -> None:
        self.total_bytes = 0

    def add(self, count: int) -> None:
        """Count bytes that are handed over now."""
        self.total_bytes += count


class Agent:
    """Serves until it is dismissed.

    Args:
        dialer: connects to the coordinator.
        identity: who it is.
        serving: returns what a session works with, for its job.
        now: the fence's clock.
        patience_s: how long the coordinator may be out of reach.
    """

    def __init__(
        self,
        *,
        dialer: Dialer,
        identity: Identity,
        serving: Callable[[AgentJob, Surroundings], AbstractAsyncContextManager[Serving]],
        now: Callable[[], float],
        patience_s: float,
    ) -> None:
        self._dialer = dialer
        self._identity = identity
        self._serving = serving
        self._now = now
        self._patience_s = patience_s
        self._session: AgentSession | None = None
        self._sender: Sender | None = None
        self._news = asyncio.Event()
        self._new_key: asyncio.Future[NewKey] | None = None
        self._is_tick = False
        self._leaves: str | None = None

    def leave(self, reason: str) -> None:
        """End once what is in flight has ended; said again, abort that."""
        if self._leaves is not None and self._sender is not None:
            self._sender.end_all(reason)
        elif self._session is not None:
            self._post(Leaving(reason=reason))
        self._leaves = reason

    async def run(self) -> AgentEnd:
        """Serve one session after the other; return why there is no further one."""
        former: _Former | None = None
        while self._leaves is None:
            connected = await self._first_connection(former)
            if isinstance(connected, AgentEnd):
                return connected
            channel, welcome, hello_at = connected
            ended = await self._serve(channel, welcome, hello_at)
            if isinstance(ended, AgentEnd):
                return ended
            former = ended
        return AgentEnd(status=ExitStatus.DONE, reason=self._leaves)

    def _hello(self, *, former: _Former | None = None, resume: str | None = None, seen: int = 0) -> Hello:
        one = self._identity
        return Hello(
            protocol=PROTOCOL,
            version=one.version,
            host=one.host,
            pid=one.pid,
            cpu_count=one.cpu_count,
            has_key=one.has_key,
            resume=resume,
            seen=seen,
            former=None if former is None else former.session,
            late=() if former is None else former.late,
        )

    async def _first_connection(self, former: _Former | None) -> tuple[Channel, Welcome, float] | AgentEnd:
        """Say hello until somebody answers."""
        began, pause_s, reason = time.monotonic(), RECONNECT_S_MIN, ""
        while self._leaves is None and time.monotonic() - began <= self._patience_s:
            hello_at = self._now()
            try:
                channel = await self._dialer.connect(self._hello(former=former))
            except ConnectionLost as error:
                reason = str(error)
            except NotAdmitted:
                return AgentEnd(
                    status=ExitStatus.USAGE,
                    reason="the coordinator does not know the token: it is another run's",
                )
            else:
                answer = channel.answer
                if not isinstance(answer, Refusal):
                    return channel, answer, hello_at
                await channel.close()
                if answer.final:
                    return AgentEnd(status=ExitStatus.USAGE, reason=answer.reason)
                reason = answer.reason
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RECONNECT_S_MAX)
        if self._leaves is not None:
            return AgentEnd(status=ExitStatus.DONE, reason=self._leaves)
        words = f"the coordinator was out of reach for {human_seconds(self._patience_s)}: {reason}"
        return AgentEnd(status=ExitStatus.UNFINISHED, reason=words)

    async def _serve(self, channel: Channel, welcome: Welcome, hello_at: float) -> AgentEnd | _Former:
        """Serve one session, over as many connections as it takes."""
        if welcome.job is None:
            await channel.close()
            raise AssertionError("a session begins with a job")
        session = AgentSession(hello_at, ttl_s=welcome.ttl_s)
        fence = _Fence(session, self._now)
        handed = _Handed()
        given = Surroundings(fence=fence, on_handed=handed.add, ask_key=self._ask_key)
        async with self._serving(welcome.job, given) as serving:
            work = AgentWork(
                serving.sender,
                is_open=fence.is_open,
                pace=serving.pace,
                post=self._post,
                handed_bytes=lambda: handed.total_bytes,
            )
            self._session, self._sender = session, serving.sender
            if serving.unlike is not None:
                self._post(Leaving(reason=serving.unlike))
                self._leaves = serving.unlike
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(serving.errors.raise_first)
                    tasks.start_soon(self._watch_fence, session, serving.cut_off, tasks.cancel_scope)
                    await self._talk(channel, welcome.session, session, work, serving.cut_off)
                    tasks.cancel_scope.cancel()
            finally:
                self._session = self._sender = None
        if work.dismissed is not None:
            unlike = serving.unlike
            status = ExitStatus.DONE if unlike is None else ExitStatus.USAGE
            return AgentEnd(status=status, reason=unlike or work.dismissed)
        late = tuple(one for one in session.mailbox.kept() if isinstance(one, Ended | EndedBundle))
        return _Former(session=welcome.session, late=late)

    async def _watch_fence(
        self, session: AgentSession, cut_off: Callable[[str], None], scope: anyio.CancelScope
    ) -> None:
        """End a session at its fence."""
        # The fence moves with every beat that is confirmed.
        while session.is_open(now := self._now()):  # noqa: ASYNC110
            await asyncio.sleep(max(0.0, session.fence_at - now))
        # First: a request that is merely cancelled leaves to the system what that holds.
        cut_off(FENCED)
        scope.cancel()

    async def _talk(
        self,
        channel: Channel,
        key: str,
        session: AgentSession,
        work: AgentWork,
        cut_off: Callable[[str], None],
    ) -> None:
        """Exchange frames until the agent is dismissed, or the coordinator no longer knows the session."""
        async with anyio.create_task_group() as tasks:
            while True:
                try:
                    await self._exchange(channel, session, work, tasks)
                except (ConnectionLost, BrokenProtocol):
                    pass
                finally:
                    await channel.close()
                if work.dismissed is not None:
                    break
                resumed = await self._resumed(key, session)
                if resumed is None:
                    session.fence()
                    cut_off(FENCED)
                    break
                channel = resumed
            tasks.cancel_scope.cancel()

    async def _resumed(self, key: str, session: AgentSession) -> Channel | None:
        """Return another connection for a session; None where the coordinator no longer knows it."""
        pause_s = RECONNECT_S_MIN
        while True:
            hello_at = self._now()
            try:
                channel = await self._dialer.connect(self._hello(resume=key, seen=session.mailbox.seen))
            except ConnectionLost:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RECONNECT_S_MAX)
                continue
            except NotAdmitted:
                return None
            answer = channel.answer
            if isinstance(answer, Refusal):
                await channel.close()
                return None
            session.on_resumed(hello_at, answer.seen)
            return channel

    async def _exchange(
        self, channel: Channel, session: AgentSession, work: AgentWork, tasks: anyio.abc.TaskGroup
    ) -> None:
        """Exchange frames over one connection until the agent is dismissed. Raises ConnectionLost, BrokenProtocol."""
        lost: ConnectionLost | BrokenProtocol | None = None

        async def write(scope: anyio.CancelScope) -> None:
            nonlocal lost
            try:
                await self._write(channel, session, work)
            except ConnectionLost as error:
                lost = error
                scope.cancel()

        async with anyio.create_task_group() as ours:
            ours.start_soon(write, ours.cancel_scope)
            ours.start_soon(self._tick)
            try:
                await self._read(channel, session, work, tasks)
            except (ConnectionLost, BrokenProtocol) as error:
                lost = error
            ours.cancel_scope.cancel()
        if lost is not None:
            raise lost

    async def _tick(self) -> None:
        while True:
            self._is_tick = True
            self._news.set()
            await asyncio.sleep(TICK_S)

    async def _read(
        self, channel: Channel, session: AgentSession, work: AgentWork, tasks: anyio.abc.TaskGroup
    ) -> None:
        silent_s = session.ttl_s * SILENT_SHARE
        while work.dismissed is None:
            frame = await channel.receive(silent_s)
            session.on_confirmed(frame.beat)
            for message in session.mailbox.receive(frame.seq, frame.seen, frame.messages):
                if isinstance(message, NewKey):
                    self._take_key(message)
                else:
                    await work.act(message, tasks)

    async def _ask_key(self, number: int) -> NewKey:
        """Ask the coordinator for another API key; without an answer there is none."""
        self._new_key = asyncio.get_running_loop().create_future()
        self._post(AskKey(number=number))
        with anyio.move_on_after(KEY_S):
            return await self._new_key
        return NewKey(number=number, key=None)

    def _take_key(self, answer: NewKey) -> None:
        if self._new_key is not None and not self._new_key.done():
            self._new_key.set_result(answer)

    async def _write(self, channel: Channel, session: AgentSession, work: AgentWork) -> None:
        beat_at = self._now()
        while True:
            await self._news.wait()
            self._news.clear()
            if self._is_tick:
                self._is_tick = False
                work.say_moved()
            now, beat = self._now(), 0
            if now >= beat_at and session.is_open(now):
                beat, beat_at = session.next_beat(now), now + session.beat_every_s
            if beat or session.mailbox.has_news:
                seq, seen, messages = session.mailbox.batch()
                await channel.send(FromAgentFrame(seq=seq, seen=seen, beat=beat, messages=messages))

    def _post(self, message: FromAgent) -> None:
        """Send a message with all others of this turn of the event loop."""
        if self._session is not None:
            self._session.mailbox.post(message)
            self._news.set()
