"""A controller in a person's hands."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.limits.capped import PIECE_BYTES_MIN, CappedController
from bulk_upload.core.limits.caps import Caps
from bulk_upload.core.limits.controller import LearnedLimits, Ticket
from bulk_upload.core.limits.fixed import FixedLimit
from bulk_upload.core.limits.signal import FAILED, NEUTRAL, Signal, SignalKind
from bulk_upload.core.limits.timetable import Span, Timetable

NOON = 12 * 60
ACCEPTED = Signal(kind=SignalKind.ACCEPTED, file_bytes=100)


def refused(wait_s: float, jitter: float = 0.0) -> Signal:
    """A 429 that names a wait."""
    return Signal(kind=SignalKind.OVER_QUOTA, retry_after_s=wait_s, jitter=jitter)


class Recording(FixedLimit):
    """A fixed limit that notes what it hears of holds and ticks, and lets a test set its rate."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.heard: list[str] = []
        self.wait_s = 0.0
        self.open: set[int] = set()

    def next_delay(self, now: float) -> float:
        """The wait of a rate of its own, or of a pause."""
        return max(self.wait_s, super().next_delay(now))

    def on_start(self, now: float) -> Ticket:
        """Note the ticket."""
        ticket = super().on_start(now)
        self.open.add(ticket.number)
        return ticket

    def on_end(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Strike the ticket off."""
        self.open.remove(ticket.number)
        super().on_end(now, ticket, signal)

    def on_held(self, now: float) -> None:
        """Note it."""
        self.heard.append("held")

    def tick(self, now: float) -> None:
        """Note it."""
        self.heard.append("tick")


def reins_of(caps: Caps | None = None, controller: FixedLimit | None = None) -> CappedController:
    """Reins at noon."""
    return CappedController(caps or Caps(), minute_of_day=NOON, controller=controller)


def heard_in_a_tick(capped: CappedController, controller: Recording, now: float) -> list[str]:
    """What the controller hears in one tick."""
    controller.heard.clear()
    capped.tick(now)
    return list(controller.heard)


def test_the_lower_limit_holds() -> None:
    """The controller's number, cut at the person's, and whole again when the cap goes."""
    capped = reins_of(Caps(concurrency_max=4), FixedLimit(10))
    assert capped.limit == 4
    capped.change(0.0, Caps(concurrency_max=12))
    assert capped.limit == 10


def test_a_persons_rate_is_asked_before_the_controllers() -> None:
    """The controller is asked once nothing of ours holds the start back; a pause of the server counts all along."""
    controller = Recording(8)
    capped = reins_of(Caps(starts_per_s=0.5), controller)
    capped.on_start(0.0)
    assert capped.next_delay(0.0) == pytest.approx(2.0)
    controller.wait_s = 5.0
    assert capped.next_delay(0.0) == pytest.approx(2.0)
    assert capped.next_delay(2.0) == 5.0
    assert capped.pacing_wait_s(0.0) == 5.0
    capped.on_end(10.0, capped.on_start(10.0), refused(30.0))
    assert capped.rate_wait_s(10.0) > 0
    assert capped.next_delay(10.0) == pytest.approx(30.0)


def test_a_rate_lets_that_many_start() -> None:
    """Five a second: after ten seconds 51 have started, the first one at once."""
    capped = reins_of(Caps(starts_per_s=5.0))
    now, started = 0.0, 0
    while now <= 10.0:
        if (wait_s := capped.next_delay(now)) > 0:
            now += wait_s
        else:
            capped.on_start(now)
            started += 1
    assert started == pytest.approx(51, abs=1)


def test_a_persons_pause_lets_nothing_start() -> None:
    """Not for ever in the eyes of a timer, but until it is taken back."""
    capped = reins_of()
    capped.change(0.0, Caps(paused=True))
    assert all(0 < capped.next_delay(float(now)) < 1e6 for now in range(0, 100_000, 997))
    assert capped.pause_s(0.0) == 0.0
    assert capped.explain() == "paused by hand"
    capped.change(1.0, Caps())
    assert capped.next_delay(1.0) == 0.0


def test_a_cap_that_held_something_back_is_told_before_the_tick() -> None:
    """Rate, pause, bandwidth and a number below the controller's: each spoils what is measured, once a tick."""
    controller = Recording(8)
    capped = reins_of(Caps(), controller)
    assert heard_in_a_tick(capped, controller, 0.0) == ["tick"]
    capped.change(0.0, Caps(starts_per_s=1.0))
    capped.on_start(0.0)
    assert heard_in_a_tick(capped, controller, 0.1) == ["tick"], "nobody had to wait"
    assert capped.next_delay(0.2) > 0
    assert heard_in_a_tick(capped, controller, 0.2) == ["held", "tick"]
    assert heard_in_a_tick(capped, controller, 0.3) == ["tick"]
    capped.change(1.0, Caps(bandwidth=Timetable.always(1e5)))
    capped.take_bytes(1.0, 10_000)
    assert capped.bytes_wait_s(1.0, 5_000) > 0
    assert heard_in_a_tick(capped, controller, 1.1) == ["held", "tick"]
    assert (capped.bandwidth_bound(), capped.bandwidth_bound()) == (True, False)
    capped.change(2.0, Caps(paused=True))
    assert capped.next_delay(2.0) > 0
    assert heard_in_a_tick(capped, controller, 2.1) == ["held", "tick"]
    capped.change(3.0, Caps(concurrency_max=7))
    assert heard_in_a_tick(capped, controller, 3.1) == ["held", "tick"]


def test_a_wait_of_the_controllers_own_is_not_told_to_it() -> None:
    """It knows that it paces."""
    controller = Recording(8)
    capped = reins_of(Caps(starts_per_s=100.0), controller)
    controller.wait_s = 3.0
    assert capped.next_delay(0.0) == 3.0
    assert heard_in_a_tick(capped, controller, 0.1) == ["tick"]


def test_another_number_puts_another_controller_in_place() -> None:
    """From then on the new one is asked; uploads that the former one let start are told to the former one."""
    former = Recording(8)
    capped = reins_of(Caps(concurrency=8), former)
    tickets = [capped.on_start(0.0) for _ in range(3)]
    capped.change(1.0, Caps(concurrency=2))
    assert capped.limit == 2
    new_ticket = capped.on_start(1.0)
    for ticket in (*tickets, new_ticket):
        capped.on_end(2.0, ticket, ACCEPTED)
    assert former.open == set()
    capped.change(3.0, Caps())
    assert capped.limit > 2


def test_a_pause_of_the_server_outlives_the_controller_that_heard_of_it() -> None:
    """Who changes a number must not make us come back too early."""
    capped = reins_of(Caps(concurrency=8))
    early, late = capped.on_start(0.0), capped.on_start(0.0)
    capped.on_end(0.0, early, refused(30.0))
    capped.change(1.0, Caps(concurrency=4))
    assert capped.next_delay(1.0) == capped.pause_s(1.0) == pytest.approx(29.0)
    for now in (1.0, 10.0):
        capped.tick(now)
    # An answer to an upload of before makes it longer, too.
    capped.on_end(10.0, late, refused(60.0))
    assert capped.next_delay(10.0) == pytest.approx(60.0)
    capped.tick(71.0)
    assert capped.next_delay(71.0) == 0.0


def until_chance_is_known(capped: CappedController, *, since: float = 0.0) -> float:
    """Let uploads go through of which one in forty is refused; return when that was found to be chance."""
    open_tickets: deque[Ticket] = deque()
    for number in range(2000):
        now = since + 0.1 * number
        open_tickets.append(capped.on_start(now))
        if len(open_tickets) == 8:
            signal = Signal(kind=SignalKind.OVER_QUOTA) if number % 40 == 39 else ACCEPTED
            capped.on_end(now, open_tickets.popleft(), signal)
        capped.tick(now)
        if capped.chance_share is not None and not number % 40:
            return now
    raise AssertionError("chance was not found")


@pytest.mark.parametrize("first", [Caps(concurrency=8), Caps()])
def test_a_wait_that_bound_one_file_binds_all_under_another_controller(first: Caps) -> None:
    """What let the others go on was seen by the controller that is replaced; the new one has seen no chance."""
    capped = reins_of(first)
    now = until_chance_is_known(capped)
    refused_one, late = capped.on_start(now), capped.on_start(now)
    capped.on_end(now, refused_one, refused(30.0))
    assert capped.pause_s(now) == 0.0
    assert capped.named_wait_s(now) == pytest.approx(30.0)
    capped.change(now, Caps(concurrency=4))
    assert capped.next_delay(now) == capped.pause_s(now) == pytest.approx(30.0)
    # So does one in a late answer to the former controller.
    capped.on_end(now + 10, late, refused(60.0))
    capped.tick(now + 10)
    assert capped.next_delay(now + 10) == pytest.approx(60.0)
    capped.tick(now + 71)
    assert capped.next_delay(now + 71) == 0.0


def test_a_wait_of_before_ends_once_the_new_controller_sees_chance() -> None:
    """A wait by a former controller that knew of chance binds until the new one knows of it, too."""
    capped = reins_of(Caps(concurrency=8))
    now = until_chance_is_known(capped)
    late = capped.on_start(now)
    capped.change(now, Caps(concurrency=9))
    now = until_chance_is_known(capped, since=now)
    capped.on_end(now, late, refused(60.0))
    assert capped.pause_s(now) == 0.0
    assert capped.named_wait_s(now) == pytest.approx(60.0)


def test_what_was_learned_is_where_to_begin() -> None:
    """A found number begins at half of the last good one, within the caps; a given one is given."""
    learned = LearnedLimits(limit=40)
    assert CappedController(Caps(), minute_of_day=NOON, learned=learned).limit == 20
    assert CappedController(Caps(concurrency_max=16), minute_of_day=NOON, learned=learned).limit == 16
    assert CappedController(Caps(concurrency=3), minute_of_day=NOON, learned=learned).limit == 3


def test_what_was_learned_outlives_a_given_number() -> None:
    """Who gives a number for a while and takes it back begins at half of where the run was, as a later run would."""

    class Learning(FixedLimit):
        @property
        def learned(self) -> LearnedLimits:
            return LearnedLimits(limit=33)

    capped = reins_of(Caps(), Learning(8))
    capped.change(0.0, Caps(concurrency=4))
    assert (capped.limit, capped.learned) == (4, LearnedLimits(limit=33))
    capped.change(1.0, Caps())
    assert capped.limit == 16
    assert (
        CappedController(Caps(concurrency=3), minute_of_day=NOON, learned=LearnedLimits(limit=9)).learned
        is None
    )


def test_the_timetable_follows_the_clock() -> None:
    """Another minute, another cap; pieces are a twentieth of a second's bytes, and never tiny."""
    table = Timetable((Span(8 * 60, 2e6), Span(19 * 60, None)))
    capped = reins_of(Caps(bandwidth=table))
    assert (capped.bytes_per_s, capped.piece_bytes) == (2e6, 100_000)
    capped.tell_minute(60.0, 19 * 60)
    assert (capped.bytes_per_s, capped.piece_bytes) == (None, None)
    assert capped.bytes_wait_s(60.0, 10**12) == 0.0
    capped.tell_minute(120.0, 8 * 60)
    assert capped.bytes_per_s == 2e6
    capped.change(121.0, Caps(bandwidth=Timetable.always(5_000.0)))
    assert capped.piece_bytes == PIECE_BYTES_MIN


def test_it_says_what_holds() -> None:
    """The controller's words, then each cap that holds besides."""
    caps = Caps(concurrency_max=4, starts_per_s=5.0, bandwidth=Timetable.always(1e6))
    assert reins_of(caps, FixedLimit(10)).explain() == (
        "10 in flight, as set, at most 4 in flight, at most 5/s, at most 1MB/s"
    )
    assert reins_of(replace(caps, paused=True)).explain() == "paused by hand"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["start", "success", "reject", "failure", "cancel", "change", "tick", "bytes"]),
        st.floats(0, 5),
        st.integers(0, 5),
        st.builds(
            lambda **caps: Caps(**caps),  # noqa: PLW0108 - hypothesis would evaluate annotations of the Struct
            concurrency=st.none() | st.integers(1, 20),
            concurrency_max=st.none() | st.integers(1, 20),
            starts_per_s=st.none() | st.floats(0.1, 100),
            bandwidth=st.none() | st.floats(1000, 1e6).map(Timetable.always),
            paused=st.booleans(),
        ),
    ),
    max_size=60,
)


@given(steps=STEPS)
def test_whatever_happens_the_caps_hold(steps: list[tuple[str, float, int, Caps]]) -> None:
    """No sequence of calls raises, goes beyond the caps, waits for ever, or leaves a ticket without its controller."""
    capped = reins_of()
    now = 0.0
    tickets: list[Ticket] = []
    for what, passed_s, number, caps in steps:
        now += passed_s
        if what == "start" and len(tickets) < capped.limit and capped.next_delay(now) == 0:
            tickets.append(capped.on_start(now))
        elif what == "change":
            capped.change(now, caps)
        elif what == "tick":
            capped.tell_minute(now, number)
            capped.tick(now)
        elif what == "bytes" and capped.bytes_wait_s(now, 4096) == 0:
            capped.take_bytes(now, 4096)
        elif what in ("success", "reject", "failure", "cancel") and tickets:
            ticket = tickets.pop(number % len(tickets))
            ends = {"success": ACCEPTED, "failure": FAILED, "cancel": NEUTRAL}
            capped.on_end(now, ticket, ends.get(what) or refused(float(number), jitter=0.5))
        assert 1 <= capped.limit <= capped.caps.in_flight_max
        assert 0 <= capped.next_delay(now) < 1e4
        assert (capped.next_delay(now) > 0) or not capped.caps.paused
        assert 0 <= capped.bytes_wait_s(now, 4096) < 100
