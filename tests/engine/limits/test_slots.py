from __future__ import annotations

import asyncio

import pytest

from bulk_upload.core.limits.controller import Ticket
from bulk_upload.core.limits.fixed import FixedLimit
from bulk_upload.core.limits.signal import NEUTRAL, Signal, signal_of
from bulk_upload.core.model import (
    Accepted,
    InDoubt,
    NotSent,
    Outcome,
    RateLimitInfo,
    Rejected,
    Throttled,
    Unavailable,
)
from bulk_upload.engine.callback_errors import CallbackErrors
from bulk_upload.engine.conditions import Conditions
from bulk_upload.engine.limits.drain import Drain
from bulk_upload.engine.limits.slots import UNRECORDED_PER_SLOT, SlotPool
from tests.fakes.virtual_time import VirtualClock, on_virtual_time

TAKEN = Accepted(file_id="file-1", http_status=200, size_confirmed=True)


class RecordingController(FixedLimit):
    """A fixed limit that notes what it hears, and whose limit a test may move."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.moved_limit = limit
        self.heard: list[str] = []
        self.signals: list[Signal] = []

    @property
    def limit(self) -> int:
        """The limit as the test left it."""
        return self.moved_limit

    def on_end(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Note how a request ended."""
        self.heard.append(signal.kind.value)
        self.signals.append(signal)
        super().on_end(now, ticket, signal)

    def on_bytes(self, now: float, count: int) -> None:
        """Note bytes."""
        self.heard.append(f"bytes {count}")


def _slots(limit: int = 1, controller: FixedLimit | None = None) -> SlotPool:
    return SlotPool(
        controller or FixedLimit(limit),
        VirtualClock(),
        drain=Drain(lambda _: None),
        conditions=Conditions(),
        errors=CallbackErrors(),
    )


async def _ticket(slots: SlotPool) -> Ticket:
    ticket = await slots.acquire()
    assert ticket is not None
    return ticket


def _over(slots: SlotPool, ticket: Ticket, outcome: Outcome = TAKEN) -> None:
    slots.answered(ticket, outcome, 10)
    slots.recorded()


@on_virtual_time
async def test_tickets_are_handed_out_in_the_order_they_were_asked_for() -> None:
    """Whoever asked first starts first, and never more than the limit at once."""
    slots = _slots(2)
    order: list[int] = []

    async def use(number: int) -> None:
        ticket = await _ticket(slots)
        order.append(number)
        assert slots.in_flight <= 2
        await asyncio.sleep(1)
        _over(slots, ticket)

    async with asyncio.TaskGroup() as tasks:
        for number in range(7):
            tasks.create_task(use(number))
    assert order == list(range(7))
    assert slots.in_flight == 0
    assert asyncio.get_running_loop().time() == pytest.approx(4.0, abs=0.01)


@on_virtual_time
async def test_a_named_wait_holds_everybody_and_ends_by_itself() -> None:
    """After a Retry-After nobody starts before it has passed, and no further answer is needed to go on."""
    slots = _slots(3)
    loop = asyncio.get_running_loop()
    refused = await _ticket(slots)
    _over(slots, refused, Throttled(http_status=429, retry_after_s=30.0))
    assert 30.0 <= slots.pause_s <= 31.5
    started = loop.time()
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(_ticket(slots)) for _ in range(3)]
    assert 30.0 <= loop.time() - started < 32.0
    assert len({one.result().number for one in waiting}) == 3
    assert slots.pause_s == 0


@on_virtual_time
async def test_a_second_longer_wait_moves_the_end_of_the_pause() -> None:
    """The timer of a shorter pause lets nobody start in a longer one."""
    slots = _slots(3)
    loop = asyncio.get_running_loop()
    first, second = await _ticket(slots), await _ticket(slots)
    _over(slots, first, Throttled(http_status=429, retry_after_s=5.0))
    waiting = asyncio.create_task(_ticket(slots))
    await asyncio.sleep(1)
    _over(slots, second, Throttled(http_status=503, retry_after_s=60.0))
    await waiting
    assert loop.time() >= 61.0


@on_virtual_time
async def test_a_closed_gate_turns_everybody_away() -> None:
    """Closing wakes those who wait with None, also in a pause, and later ones hear None at once."""
    slots = _slots(1)
    ticket = await _ticket(slots)
    waiting = asyncio.create_task(slots.acquire())
    await asyncio.sleep(1)
    slots.answered(ticket, Throttled(http_status=429, retry_after_s=1000.0), 10)
    slots.close()
    assert await waiting is None
    assert await slots.acquire() is None
    slots.recorded()
    slots.tick()
    assert asyncio.get_running_loop().time() < 2


@on_virtual_time
async def test_a_cancelled_waiter_takes_nothing_with_it() -> None:
    """Whoever is cancelled while waiting leaves the next in line to start."""
    slots = _slots(1)
    ticket = await _ticket(slots)
    gone = asyncio.create_task(slots.acquire())
    patient = asyncio.create_task(slots.acquire())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    _over(slots, ticket)
    assert await patient is not None
    assert slots.in_flight == 1


@on_virtual_time
async def test_a_waiter_cancelled_with_its_ticket_in_hand_gives_it_back() -> None:
    """A ticket handed to a task that was cancelled in the same instant goes to the next one."""
    slots = _slots(1)
    ticket = await _ticket(slots)
    gone = asyncio.create_task(slots.acquire())
    patient = asyncio.create_task(slots.acquire())
    await asyncio.sleep(0)
    _over(slots, ticket)
    gone.cancel()
    assert await patient is not None
    assert gone.cancelled()
    assert slots.in_flight == 1


@on_virtual_time
async def test_answers_that_are_not_recorded_hold_up_new_starts() -> None:
    """With so many unrecorded answers for each slot nothing starts, until one of them is durable."""
    slots = _slots(8)
    for _ in range(8 * UNRECORDED_PER_SLOT):
        slots.answered(await _ticket(slots), TAKEN, 10)
    waiting = asyncio.create_task(slots.acquire())
    await asyncio.sleep(100)
    assert not waiting.done()
    assert slots.in_flight == 0
    slots.recorded()
    assert await waiting is not None


@pytest.mark.parametrize(
    "outcome",
    [
        TAKEN,
        Throttled(http_status=429, retry_after_s=1.0, allowance=RateLimitInfo(0, 1.0)),
        Throttled(http_status=503, retry_after_s=7.0),
        InDoubt(reason="r", answered=False),
        Rejected(http_status=400, reason="r"),
        NotSent(reason="r", local_limit=True),
    ],
)
def test_every_outcome_gives_the_slot_back_and_one_signal(outcome: Outcome) -> None:
    """Each ticket ends in exactly one signal, the one the outcome stands for; only refusals draw a random number."""
    controller = RecordingController(1)

    @on_virtual_time
    async def scenario() -> None:
        slots = _slots(controller=controller)
        _over(slots, await _ticket(slots), outcome)
        assert slots.in_flight == 0

    scenario()
    expected = signal_of(outcome, file_bytes=10)
    (signal,) = controller.signals
    assert signal.with_jitter(0.0) == expected
    assert (signal.jitter > 0) == expected.is_refusal


@on_virtual_time
async def test_a_slot_that_no_request_used_says_nothing_of_the_server() -> None:
    """A ticket given back unused ends neutrally."""
    controller = RecordingController(1)
    slots = _slots(controller=controller)
    slots.cancel(await _ticket(slots))
    assert controller.signals == [NEUTRAL]


@on_virtual_time
async def test_a_raised_limit_is_used_at_the_next_tick() -> None:
    """Those who wait start when the controller raises its limit; a lowered one takes no ticket back."""
    controller = RecordingController(1)
    slots = _slots(controller=controller)
    await _ticket(slots)
    waiting = asyncio.create_task(slots.acquire())
    await asyncio.sleep(0)
    controller.moved_limit = 2
    slots.tick()
    assert await waiting is not None
    controller.moved_limit = 1
    slots.tick()
    assert (slots.in_flight, slots.limit) == (2, 1)


@on_virtual_time
async def test_a_pause_counts_only_for_tickets_that_are_older() -> None:
    """A ticket handed out before a refusal has its pause to wait out; one handed out after it has not."""
    slots = _slots(3)
    old, refused = await _ticket(slots), await _ticket(slots)
    assert slots.pause_since_s(old) == 0
    await asyncio.sleep(1)
    _over(slots, refused, Throttled(http_status=429, retry_after_s=10.0))
    assert 10.0 <= slots.pause_since_s(old) <= 10.5
    young = await _ticket(slots)
    assert slots.pause_since_s(young) == slots.pause_since_s(old) == 0


class PausingController(FixedLimit):
    """A fixed limit that pauses five seconds whenever something fails."""

    def on_end(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Pause."""
        self._pause.hold(now, 5.0)
        super().on_end(now, ticket, signal)


@on_virtual_time
async def test_a_pause_that_a_failure_makes_is_for_tickets_handed_out_before() -> None:
    """What is about to be sent waits, too: a failure may show that the waits which the server named bind all again."""
    slots = _slots(2, PausingController(2))
    old = await _ticket(slots)
    _over(slots, await _ticket(slots), Unavailable(reason="the connection was lost"))
    assert slots.pause_since_s(old) == 5.0


@on_virtual_time
async def test_bytes_reach_the_controller() -> None:
    """The controller hears of every piece handed over, and of what was sent in vain."""
    controller = RecordingController(1)
    slots = _slots(controller=controller)
    slots.handed(512)
    slots.taken_back(500)
    assert controller.heard == ["bytes 512", "bytes -500"]


# --- what this machine cannot bear


@on_virtual_time
async def test_a_local_limit_shrinks_what_is_in_flight_and_is_no_fault_of_the_server() -> None:
    """Refused descriptors: the limit becomes what fitted, the server is not blamed."""
    controller = RecordingController(8)
    slots = _slots(controller=controller)
    tickets = [ticket for _ in range(8) if (ticket := await slots.acquire()) is not None]
    slots.answered(tickets.pop(), NotSent(reason="too many open files", local_limit=True), 0)
    slots.recorded()
    slots.cancel(tickets.pop(), local_limit=True)
    assert slots.limit == 6
    assert "short of descriptors" in slots.reason
    assert controller.heard == ["local limit", "local limit"]
