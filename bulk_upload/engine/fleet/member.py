"""One agent as the coordinator knows it: its session, its connection, and what it was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.events import AgentNow
from bulk_upload.core.fleet.mailbox import BrokenProtocol
from bulk_upload.core.fleet.messages import ToAgentFrame
from bulk_upload.core.fleet.session import SessionState

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from bulk_upload.core.fleet.messages import (
        BodyState,
        FromAgent,
        FromAgentFrame,
        Hashed,
        Prepared,
        ToAgent,
    )
    from bulk_upload.core.fleet.session import CoordinatorSession
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.edge.fleet import Link
    from bulk_upload.engine.fleet.dispatches import Dispatch


class Held(NamedTuple):
    """A file that an agent holds."""

    member: Member
    handle: int
    fingerprint: Fingerprint
    content_hash: str | None


class Member:
    """One session of one agent.

    Args:
        key: the session's name.
        name: the agent's, unique in the run.
        host: where it runs.
        pid: its process there.
        session: its standing.
        now: returns the coordinator's monotonic seconds.
        may_confirm: whether beats may be confirmed now.
        act: called with every message of it.
        on_lost: called where a frame comes too late.
    """

    def __init__(
        self,
        *,
        key: str,
        name: str,
        host: str,
        pid: int,
        session: CoordinatorSession,
        now: Callable[[], float],
        may_confirm: Callable[[], bool],
        act: Callable[[Member, FromAgent], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.key = key
        self.name = name
        self.host = host
        self.pid = pid
        self.session = session
        self._now = now
        self._may_confirm = may_confirm
        self._act = act
        self._on_lost = on_lost
        self._link: Link | None = None
        self._confirmed_beat = self._said_beat = 0
        self._is_broken = False
        self.waiting: dict[int, asyncio.Future[Prepared | Hashed | None]] = {}
        """Who waits for the answer to a request, by its number; None says that the agent is lost."""
        self.dispatches: dict[int, Dispatch] = {}
        """Requests without a report, by their first attempt."""
        self.held: set[int] = set()
        """The numbers of the files that it holds."""
        self.bodies: dict[int, BodyState] = {}
        """The last known state of its requests, by attempt."""
        self.wire_bytes = self.handed_bytes = 0
        self.gets_key = False
        """Whether it uses the run's API key; `key_number` says which one it was given last."""
        self.key_number = 0
        self.pace_seq = 0
        """The number of the last message about its share of the bandwidth."""

    @property
    def takes_work(self) -> bool:
        """Whether anything new may go to it."""
        return self.session.takes_work

    @property
    def load(self) -> int:
        """How much it has to do."""
        return len(self.dispatches) + len(self.held) + len(self.waiting)

    @property
    def state(self) -> AgentNow:
        """How it does, for displays."""
        return AgentNow(
            agent=self.name,
            host=self.host,
            pid=self.pid,
            connected=self.session.state is SessionState.LIVE,
            in_flight=len(self.dispatches),
            wire_bytes=self.wire_bytes,
        )

    def attach(self, link: Link) -> None:
        """Use a connection from now on, and close the one before."""
        former, self._link = self._link, link
        self._said_beat = 0
        if former is not None:
            former.close()

    def resume(self, seen: int) -> bool:
        """Go on over another connection; return False where the session is over or was broken."""
        try:
            return not self._is_broken and self.session.on_resumed(self._now(), seen)
        except BrokenProtocol:
            self._is_broken = True
            return False

    def post(self, message: ToAgent) -> None:
        """Send a message, with all others of this turn of the event loop."""
        self.session.mailbox.post(message)
        self.wake()

    def wake(self) -> None:
        """Send what there is to send."""
        if self._link is not None:
            self._link.wake()

    def dismiss(self) -> None:
        """Close the connection once all that was posted is sent."""
        if self._link is not None:
            self._link.close()

    def frame(self, link: Link) -> ToAgentFrame | None:
        """Return what is to be sent now over a connection, None where there is nothing."""
        if link is not self._link or self.session.state is SessionState.LOST:
            return None
        if self._may_confirm():
            self._confirmed_beat = self.session.beat
        mailbox = self.session.mailbox
        if not mailbox.has_news and self._confirmed_beat == self._said_beat:
            return None
        self._said_beat = self._confirmed_beat
        seq, seen, messages = mailbox.batch()
        return ToAgentFrame(seq=seq, seen=seen, beat=self._said_beat, messages=messages)

    def on_frame(self, link: Link, frame: FromAgentFrame) -> None:
        """Take a frame. Raises BrokenProtocol."""
        if link is not self._link:
            return
        if self.session.look(self._now()):
            self._on_lost()
            raise BrokenProtocol("the session is over")
        if frame.beat and self.session.on_beat(self._now(), frame.beat):
            self.wake()
        try:
            for message in self.session.receive(frame.seq, frame.seen, frame.messages):
                self._act(self, message)
        except BrokenProtocol:
            # Not lost before its fence has come, and never resumed.
            self._is_broken = True
            raise

    def on_closed(self, link: Link) -> None:
        """Record that a connection is gone."""
        if link is self._link:
            self._link = None
            self.session.on_disconnected()
