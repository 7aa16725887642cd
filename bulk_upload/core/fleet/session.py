"""The two ends of a session, pure: beats and times come in, states and the fence come out.

The agent's fence counts from when a beat was *sent*, the coordinator's loss from when it was *received*, plus a margin. So
whatever the network delays, an agent has stopped before anybody counts on it: what it had in flight is in doubt, and
nothing more of it is completed.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING

from bulk_upload.core.fleet.mailbox import BrokenProtocol, Mailbox

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk_upload.core.fleet.messages import FromAgent, ToAgent

TTL_S = 20.0
"""How long an agent may go without a confirmed beat. With 3 s an agent fenced itself off whose event loop was merely late
on a machine at load 20."""

BEATS_PER_TTL = 5
"""So many beats may be late or lost before the fence."""

MARGIN_S = 1.0
"""How much later than the agent's fence the coordinator's loss is, beside the network's delay: their clocks differ in
speed."""


class SessionState(StrEnum):
    """A session as its coordinator sees it.

    `live`: dispatches go out. `disconnected`: no new ones; open ones keep their slots. `lost`: open ones are in doubt.
    `over`: the agent was dismissed. The last two are final.
    """

    LIVE = "live"
    DISCONNECTED = "disconnected"
    LOST = "lost"
    OVER = "over"

    @property
    def final(self) -> bool:
        """Whether the session never lives again."""
        return self in (SessionState.LOST, SessionState.OVER)


class CoordinatorSession:
    """One agent's standing with the coordinator, from its hello to its loss or dismissal.

    Args:
        now: when its hello was received, which counts as its first beat.
        ttl_s: how long it lives without a beat.
    """

    def __init__(self, now: float, *, ttl_s: float = TTL_S) -> None:
        self.mailbox: Mailbox[ToAgent, FromAgent] = Mailbox()
        self._lost_after_s = ttl_s + MARGIN_S
        self._heard_at = now
        self._state = SessionState.LIVE
        self._open: set[int] = set()
        self.leaving = False
        """Whether the agent asked to be given nothing more."""
        self.beat = 0
        """The number of the last beat that was received."""

    @property
    def state(self) -> SessionState:
        """The state, as of the last look."""
        return self._state

    @property
    def lost_at(self) -> float:
        """When the session is lost, unless a beat is received before."""
        return self._heard_at + self._lost_after_s

    @property
    def open_attempts(self) -> frozenset[int]:
        """The dispatches without a report."""
        return frozenset(self._open)

    @property
    def open_count(self) -> int:
        """How many dispatches have no report."""
        return len(self._open)

    @property
    def takes_work(self) -> bool:
        """Whether anything new may go out."""
        return self._state is SessionState.LIVE and not self.leaving

    def look(self, now: float) -> bool:
        """Return whether the session is final at `now`; one without a beat for too long is lost then."""
        if not self._state.final and now >= self.lost_at:
            self._state = SessionState.LOST
        return self._state.final

    def on_beat(self, now: float, number: int) -> bool:
        """Record a beat; return whether it may be confirmed. A session that is final takes none."""
        if self.look(now):
            return False
        self._heard_at = now
        self.beat = max(self.beat, number)
        return True

    def on_disconnected(self) -> None:
        """Record that the connection is gone."""
        if self._state is SessionState.LIVE:
            self._state = SessionState.DISCONNECTED

    def on_resumed(self, now: float, seen: int) -> bool:
        """Go on over a new connection; return False where the session is final. Raises BrokenProtocol."""
        if self.look(now):
            return False
        self.mailbox.resume(seen)
        self._heard_at = now
        self._state = SessionState.LIVE
        return True

    def dispatch(self, attempt: int) -> None:
        """Record that an attempt is given to the agent. It counts until its report, or the loss."""
        if not self.takes_work:
            raise AssertionError("nothing new goes to a session that is not live")
        if attempt in self._open:
            raise AssertionError("an attempt is given once")
        self._open.add(attempt)

    def receive(self, seq: int, seen: int, messages: Iterable[FromAgent]) -> list[FromAgent]:
        """Return the new messages of a frame; none of a session that is final. Raises BrokenProtocol."""
        if self._state.final:
            return []
        return list(self.mailbox.receive(seq, seen, tuple(messages)))

    def ended(self, attempt: int) -> None:
        """Record the report of a dispatch. Raises BrokenProtocol for one that was not given, or has one already."""
        if attempt not in self._open:
            raise BrokenProtocol(f"a report came of attempt {attempt}, which is not open")
        self._open.remove(attempt)

    def end(self, state: SessionState) -> frozenset[int]:
        """Make the session final; return the dispatches that never get a report."""
        if not self._state.final:
            self._state = state
        left, self._open = frozenset(self._open), set()
        return left


class AgentSession:
    """The same session as its agent sees it.

    Args:
        hello_at: when the hello was sent, on the agent's clock.
        ttl_s: as in `Welcome`.
    """

    def __init__(self, hello_at: float, *, ttl_s: float) -> None:
        self.mailbox: Mailbox[FromAgent, ToAgent] = Mailbox()
        self.ttl_s = ttl_s
        self._fence_at = hello_at + ttl_s
        self._fenced = False
        self._beats: deque[tuple[int, float]] = deque()
        self._beat = 0

    @property
    def fence_at(self) -> float:
        """When the fence comes, unless a beat is confirmed before."""
        return self._fence_at

    @property
    def beat_every_s(self) -> float:
        """How often to send a beat."""
        return self.ttl_s / BEATS_PER_TTL

    def is_open(self, now: float) -> bool:
        """Whether the fence has not come. Once it has, it never opens again."""
        if now >= self._fence_at:
            self._fenced = True
        return not self._fenced

    def fence(self) -> None:
        """Bring the fence about now: the coordinator knows nothing of the session any more."""
        self._fenced = True

    def next_beat(self, now: float) -> int:
        """Return the number of the beat that is sent now."""
        self._beat += 1
        self._beats.append((self._beat, now))
        return self._beat

    def on_confirmed(self, beat: int) -> None:
        """Record that a beat was received: the fence counts from when it was sent."""
        while self._beats and self._beats[0][0] <= beat:
            _, sent_at = self._beats.popleft()
            self._fence_at = max(self._fence_at, sent_at + self.ttl_s)

    def on_resumed(self, hello_at: float, seen: int) -> None:
        """Go on over a new connection whose hello was sent at `hello_at`. Raises BrokenProtocol."""
        self.mailbox.resume(seen)
        self._beats.clear()
        self._fence_at = max(self._fence_at, hello_at + self.ttl_s)
