"""Two ends of a session on virtual time, with a network that delays, breaks and forgets."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_upload.core.fleet.mailbox import BrokenProtocol, Mailbox
from bulk_upload.core.fleet.messages import Cancel, Drop, FromAgent, Leaving, Send, ToAgent
from bulk_upload.core.fleet.session import (
    MARGIN_S,
    AgentSession,
    CoordinatorSession,
    SessionState,
)

TTL_S = 20.0


class Ends:
    """Both ends, and what the network still holds. Agents' and coordinator's clocks begin at different times."""

    agent_ahead_s = 1000.0

    def __init__(self) -> None:
        self.now = 0.0
        self.coordinator = CoordinatorSession(self.now, ttl_s=TTL_S)
        self.agent = AgentSession(self.agent_time(), ttl_s=TTL_S)
        self.connected = True
        self.up: list[tuple[int, int, int, tuple[FromAgent, ...]]] = []
        self.down: list[tuple[int, int, int, tuple[ToAgent, ...]]] = []
        self.said_up = self.said_down = 0
        self.heard_up: list[int] = []
        self.heard_down: list[int] = []
        self.lost_at: float | None = None
        self.fenced_at: float | None = None

    def agent_time(self) -> float:
        """Return the time on the agent's clock."""
        return self.now + self.agent_ahead_s

    def look(self) -> None:
        """Both ends look at their clocks; the agent does so before every piece that it writes."""
        if not self.agent.is_open(self.agent_time()) and self.fenced_at is None:
            self.fenced_at = self.now
        if self.coordinator.look(self.now) and self.lost_at is None:
            self.lost_at = self.now
        if self.lost_at is not None:
            assert self.fenced_at is not None
            assert self.fenced_at <= self.lost_at

    def step(self, what: str, seconds: float) -> None:
        """Let one thing happen."""
        match what:
            case "wait":
                self.now += seconds
            case "beat" if self.agent.is_open(self.agent_time()):
                self._post_up(self.agent.next_beat(self.agent_time()))
            case "say up":
                self.said_up += 1
                self.agent.mailbox.post(Leaving(reason=str(self.said_up)))
                self._post_up(0)
            case "say down" if self.coordinator.takes_work:
                self.said_down += 1
                self.coordinator.mailbox.post(Drop(handle=self.said_down))
                self._post_down()
            case "arrive up" if self.up:
                self._arrive_up()
            case "arrive down" if self.down:
                self._arrive_down()
            case "break":
                # What the network holds is gone, or was received without anybody knowing.
                self.up.clear()
                self.down.clear()
                self.connected = False
                self.coordinator.on_disconnected()
            case "resume" if not self.connected:
                self._resume()
        self.look()

    def _post_up(self, beat: int) -> None:
        if self.connected:
            seq, seen, messages = self.agent.mailbox.batch()
            self.up.append((seq, seen, beat, messages))

    def _post_down(self) -> None:
        if self.connected:
            seq, seen, messages = self.coordinator.mailbox.batch()
            self.down.append((seq, seen, self.coordinator.beat, messages))

    def _arrive_up(self) -> None:
        seq, seen, beat, messages = self.up.pop(0)
        was_final = self.coordinator.look(self.now)
        fresh = self.coordinator.receive(seq, seen, messages)
        if was_final:
            assert fresh == []
        self.heard_up += [int(one.reason) for one in fresh if isinstance(one, Leaving)]
        if beat and self.coordinator.on_beat(self.now, beat):
            self._post_down()

    def _arrive_down(self) -> None:
        seq, seen, beat, messages = self.down.pop(0)
        self.agent.on_confirmed(beat)
        fresh = self.agent.mailbox.receive(seq, seen, messages)
        self.heard_down += [one.handle for one in fresh if isinstance(one, Drop)]

    def _resume(self) -> None:
        if not self.agent.is_open(self.agent_time()):
            return
        hello_at = self.agent_time()
        if self.coordinator.on_resumed(self.now, self.agent.mailbox.seen):
            self.agent.on_resumed(hello_at, self.coordinator.mailbox.seen)
            self.connected = True
            self._post_up(0)
            self._post_down()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "wait",
                "wait",
                "beat",
                "beat",
                "say up",
                "say down",
                "arrive up",
                "arrive up",
                "arrive down",
                "arrive down",
                "break",
                "resume",
            ]
        ),
        st.floats(0.0, 9.0),
    ),
    max_size=120,
)


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_the_fence_is_never_after_the_loss(steps: list[tuple[str, float]]) -> None:
    """Whatever the network does, an agent has stopped before its coordinator counts on it; messages arrive once, in order."""
    ends = Ends()
    for what, seconds in steps:
        ends.step(what, seconds)
    assert ends.heard_up == list(range(1, len(ends.heard_up) + 1))
    assert ends.heard_down == list(range(1, len(ends.heard_down) + 1))
    # From here on nothing breaks: what was said while the session lives arrives, all of it, once.
    if not ends.connected:
        ends.step("resume", 0.0)
    ends.step("say up", 0.0)
    ends.step("say down", 0.0)
    while ends.up or ends.down:
        ends.step("arrive up", 0.0)
        ends.step("arrive down", 0.0)
    if ends.lost_at is None and ends.connected:
        assert ends.heard_up == list(range(1, ends.said_up + 1))
        assert ends.heard_down == list(range(1, ends.said_down + 1))
    # And without any beat both come to their ends, the agent first.
    ends.step("wait", TTL_S + MARGIN_S)
    assert ends.coordinator.state is SessionState.LOST
    assert ends.fenced_at is not None


class Careless(AgentSession):
    """Counts its fence from when a confirmation came: wrong by as long as that was on its way."""

    def __init__(self, ends: Ends) -> None:
        super().__init__(ends.agent_time(), ttl_s=TTL_S)
        self._ends = ends

    def on_confirmed(self, beat: int) -> None:
        """Take the confirmation for news of now."""
        self._fence_at = self._ends.agent_time() + TTL_S


@pytest.mark.parametrize("careless", [False, True])
def test_a_fence_that_counts_from_the_confirmation_comes_too_late(*, careless: bool) -> None:
    """The control: with a confirmation that travels for long, only a fence that counts from the beat is in time."""
    ends = Ends()
    if careless:
        ends.agent = Careless(ends)
    late: list[tuple[str, float]] = [
        ("beat", 0), ("arrive up", 0), ("wait", 15), ("arrive down", 0), ("break", 0), ("wait", 7),
    ]  # fmt: skip
    for what, seconds in late[:-1]:
        ends.step(what, seconds)
    with pytest.raises(AssertionError) if careless else nullcontext():
        ends.step(*late[-1])


def test_a_lost_session_accepts_nothing() -> None:
    """Neither beats, nor frames, nor a new connection, nor a dispatch; its open dispatches are named once."""
    session = CoordinatorSession(0.0, ttl_s=TTL_S)
    session.dispatch(1)
    session.dispatch(2)
    session.ended(1)
    assert not session.look(TTL_S + MARGIN_S - 0.001)
    assert session.look(TTL_S + MARGIN_S)
    assert session.end(SessionState.LOST) == {2}
    assert session.end(SessionState.OVER) == frozenset()
    assert session.state is SessionState.LOST
    assert not session.on_beat(TTL_S, 9)
    assert not session.on_resumed(TTL_S, 0)
    assert session.receive(1, 0, [Leaving(reason="late")]) == []
    with pytest.raises(AssertionError):
        session.dispatch(3)


def test_a_session_without_connection_gets_no_dispatch() -> None:
    """Open dispatches stay open, and it takes work again once it resumed."""
    session = CoordinatorSession(0.0, ttl_s=TTL_S)
    session.dispatch(1)
    session.on_disconnected()
    took = [session.takes_work]
    assert session.open_attempts == {1}
    assert session.on_resumed(5.0, 0)
    took.append(session.takes_work)
    session.leaving = True
    took.append(session.takes_work)
    assert took == [False, True, False]


def test_a_report_ends_one_dispatch_once() -> None:
    """A second report, or one of an attempt that was not given, is no report."""
    session = CoordinatorSession(0.0, ttl_s=TTL_S)
    session.dispatch(7)
    session.ended(7)
    for attempt in (7, 8):
        with pytest.raises(BrokenProtocol):
            session.ended(attempt)


def test_a_fence_never_opens_again() -> None:
    """An acknowledgement that comes after the fence is of no use."""
    agent = AgentSession(0.0, ttl_s=TTL_S)
    number = agent.next_beat(19.0)
    assert not agent.is_open(20.0)
    agent.on_confirmed(number)
    assert not agent.is_open(20.0)


def test_a_mailbox_refuses_gaps_and_confirmations_of_nothing() -> None:
    """Both mean that the other end is another program."""
    mailbox: Mailbox[Send, Cancel] = Mailbox()
    with pytest.raises(BrokenProtocol):
        mailbox.receive(2, 0, [Cancel(attempt=1)])
    with pytest.raises(BrokenProtocol):
        mailbox.receive(1, 1, [])
    mailbox.post(Send(attempt=1, handle=1, sent_name=b"a", purpose="p"))
    news = [mailbox.has_news]
    assert mailbox.batch().seq == 1
    news.append(mailbox.has_news)
    assert news == [True, False]
    mailbox.resume(0)
    assert [one.attempt for one in mailbox.batch().messages] == [1]
    mailbox.resume(1)
    assert mailbox.batch().messages == ()
    assert mailbox.kept() == ()
    assert mailbox.confirmed == mailbox.posted == 1
