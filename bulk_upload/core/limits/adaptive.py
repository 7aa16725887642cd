"""The controller that finds its own concurrency: slots, rate, pause and breaker, and which of them a refusal
concerns."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from bulk_upload.core.limits.breaker import Breaker
from bulk_upload.core.limits.controller import LearnedLimits, Ticket
from bulk_upload.core.limits.goodput import Meter
from bulk_upload.core.limits.pause import Pause
from bulk_upload.core.limits.rate import Rate
from bulk_upload.core.limits.signal import SignalKind
from bulk_upload.core.limits.slots import FIRST, Slots
from bulk_upload.core.text.printable import human_seconds

if TYPE_CHECKING:
    from bulk_upload.core.limits.signal import Signal
    from bulk_upload.core.model import RateLimitInfo

ACCEPTED_S = 10.0
"""Over how long accepted uploads are counted."""

FEW = 2
"""With at most this many in flight a refusal concerns the rate: quotas are more common than limits of one or two."""

CONTRADICTION = 1.5
EPISODES = 4
MOVING_S = 2.0
"""An older upload counts as making progress for this long after it sent bytes."""

BREATH_S = (0.02, 1.0)
UNMEASURED_S = 0.5
"""Refusals of paced starts this soon after a burst are ignored: nothing was measured yet."""


class _Accepted:
    """Counts accepted uploads: over the last ten seconds, and in all."""

    def __init__(self) -> None:
        self.total = 0
        self._at: deque[float] = deque()
        self.since = 0.0

    def add(self, now: float) -> None:
        """Count one."""
        self.total += 1
        self._at.append(now)
        while self._at[0] < now - ACCEPTED_S:
            self._at.popleft()

    def begin(self, now: float) -> None:
        """Record that something started: nothing before the first start counts as time."""
        if self.since == 0.0:
            self.since = now

    def per_s(self, now: float) -> float:
        """Return uploads per second over the last ten seconds, or since the first start."""
        while self._at and self._at[0] < now - ACCEPTED_S:
            self._at.popleft()
        return len(self._at) / min(ACCEPTED_S, max(0.1, now - self.since))


class AdaptiveLimit:
    """Owns the four parts and decides which of them a refusal concerns.

    Args:
        limit_max: never more than this in flight.
        learned: what an earlier run at the same endpoint found; the run begins at half of that limit.
    """

    def __init__(self, *, limit_max: int = 256, learned: LearnedLimits | None = None) -> None:
        first = FIRST if learned is None else max(FIRST, learned.limit // 2)
        self._slots = Slots(first, limit_max=limit_max)
        self._rate = Rate(None if learned is None else learned.rate_per_s)
        self._pause = Pause()
        self._breaker = Breaker()
        self._meter = Meter(self._slots.limit)
        self._accepted = _Accepted()
        self._in_flight: dict[int, float] = {}
        self._started_count = 0
        self._bytes_at = float("-inf")
        self._burst_at = float("-inf")
        self._burst_blames_slots = False
        self._contradicting: deque[int] = deque(maxlen=EPISODES)
        self._paused_s = 0.0
        self._limit_before = self._slots.limit
        self._refused_at: tuple[float, int] | None = None
        self._quota_outage = False
        self._cycle: tuple[float, int] | None = None
        self._now = 0.0
        self._reason = "starting"

    @property
    def limit(self) -> int:
        """How many requests may be unanswered."""
        return self._slots.limit

    @property
    def rate_per_s(self) -> float | None:
        """How many uploads may start per second, None while starts are not paced."""
        return self._rate.per_s

    @property
    def learned(self) -> LearnedLimits | None:
        """What a later run may begin with; None while nothing was accepted."""
        if not self._accepted.total:
            return None
        return LearnedLimits(limit=self._slots.best, rate_per_s=self._rate.accepted)

    def next_delay(self, now: float) -> float:
        """Return 0 when an upload may start now, else the seconds after which to ask again: always finite."""
        pause_s = self.pause_s(now)
        return pause_s if pause_s > 0 else self._rate.wait_s(now)

    def pause_s(self, now: float) -> float:
        """Return how long no upload may start because the server asked for a pause, or seems to be down."""
        return max(self._pause.wait_s(now, self._started_count), self._breaker.wait_s(now))

    def on_start(self, now: float) -> Ticket:
        """Take a slot, and a token where starts are paced."""
        self._started_count += 1
        number = self._started_count
        self._in_flight[number] = now
        self._accepted.begin(now)
        self._meter.on_level(now, len(self._in_flight))
        if self._breaker.bad_count > 1:
            self._breathe(now)
        paced = self._rate.take(now)
        if paced:
            self._meter.void()
        return Ticket(number, now, len(self._in_flight), paced, self._breaker.on_start(number))

    def on_bytes(self, now: float, count: int) -> None:
        """Record that bytes left, or that those of a refused body are taken back."""
        if count > 0:
            self._bytes_at = now
        self._meter.on_bytes(count)

    def on_end(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Release the slot, and adjust to the result: more starts, fewer, slower, or a pause."""
        self._now = now
        self._in_flight.pop(ticket.number, None)
        self._meter.on_level(now, len(self._in_flight))
        match signal.kind:
            case SignalKind.ACCEPTED:
                self._on_accepted(now, ticket, signal)
            case SignalKind.OVER_QUOTA | SignalKind.BUSY:
                self._on_refused(now, ticket, signal)
            case SignalKind.FAILED:
                self._on_failed(now, ticket)
            case SignalKind.NEUTRAL | SignalKind.LOCAL_LIMIT:
                self._breaker.on_cancel(ticket.number)

    def on_held(self, now: float) -> None:
        """Discard the current epoch."""
        self._now = now
        self._meter.void()

    def tick(self, now: float) -> None:
        """Judge the epoch when it is over."""
        self._now = now
        if self.pause_s(now) > 0:
            self._meter.void()
        self._judge(now)

    def explain(self) -> str:
        """Return the current limit, rate and pause, and why the last change was made."""
        words = [f"{self.limit} in flight"]
        per_s = self._rate.per_s
        if per_s is not None:
            words.append(f"{per_s:.3g} starts/s")
        pause_s = self.pause_s(self._now)
        if pause_s > 0:
            words.append(f"waiting {human_seconds(pause_s)}")
        return f"{', '.join(words)}: {self._reason}"

    def _on_accepted(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Count an accepted file; the one that ends an outage lets the others resume gradually."""
        self._meter.on_success(signal.file_bytes, now - ticket.started_at)
        self._accepted.add(now)
        self._slots.on_success()
        self._note_answer(now, ticket, signal.allowance)
        began_at = self._breaker.on_success(now, ticket.number, ticket.started_at)
        if began_at is not None:
            self._come_back(now, began_at)
        self._judge(now)

    def _on_refused(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Pause for all, then find out which limit was meant."""
        self._note_answer(now, ticket, signal.allowance)
        if signal.retry_after_s:
            self._hold(now, signal.retry_after_s, signal.jitter, "the server asked to wait")
        if self._bad(now, ticket, quota=signal.kind is SignalKind.OVER_QUOTA):
            return
        if ticket.started_at <= self._burst_at:
            if self._burst_blames_slots:
                self._moved(now, self._slots.on_refused_too(len(self._in_flight)))
            return
        if ticket.paced and now - self._burst_at < UNMEASURED_S:
            return
        self._breathe(now)
        if self._breaker.bad_count <= 1:
            self._blame(now, ticket, signal.retry_after_s)

    def _on_failed(self, now: float, ticket: Ticket) -> None:
        """Count a failure: one means little, many in a row are an outage."""
        if not self._bad(now, ticket, quota=False) and self._breaker.bad_count > 1:
            self._breathe(now)

    def _judge(self, now: float) -> None:
        """Judge the epoch if it is over."""
        limit = self._slots.limit
        epoch = self._meter.close(now)
        if epoch is not None and epoch.limit == limit:
            self._moved(now, self._slots.judge(now, epoch, self._meter.cost))

    def _note_answer(self, now: float, ticket: Ticket, allowance: RateLimitInfo | None) -> None:
        if allowance is None:
            return
        before_s = self._pause.wait_s(now, self._started_count)
        self._pause.allow(now, ticket.number, allowance)
        after_s = self._pause.wait_s(now, self._started_count)
        if after_s > 1.1 * before_s:
            self._reason = "the server's quota is used up"

    def _hold(self, now: float, wait_s: float, jitter: float, reason: str) -> None:
        before_s = self._pause.wait_s(now, self._started_count)
        self._pause.hold(now, wait_s, jitter)
        after_s = self._pause.wait_s(now, self._started_count)
        if after_s > 1.1 * before_s:
            self._reason = f"{reason}, waiting {human_seconds(after_s)}"

    def _breathe(self, now: float) -> None:
        """Wait for answers before more is sent: one round trip, doubled each time it does not help."""
        trip_s = min(BREATH_S[1], max(BREATH_S[0], self._meter.cost.fixed_s))
        self._pause.hold(now, min(BREATH_S[1], trip_s * 2 ** max(0, min(10, self._breaker.bad_count - 1))))

    def _bad(self, now: float, ticket: Ticket, *, quota: bool) -> bool:
        """Record it at the breaker and return whether the breaker is open."""
        if self._breaker.bad_count == 0:
            self._limit_before = self._slots.limit
        was_open = self._breaker.open
        opened = self._breaker.on_bad(
            now, ticket.number, ticket.started_at, older_moves=self._older_moves(now)
        )
        if opened:
            self._quota_outage = quota
            self._reason = "nothing gets through: probing with one upload at a time"
        return was_open or opened

    def _older_moves(self, now: float) -> bool:
        oldest = next(iter(self._in_flight.values()), now)
        return oldest < self._breaker.bad_since and now - self._bytes_at < MOVING_S

    def _come_back(self, now: float, outage_began_at: float) -> None:
        self._reason = f"the server is back after {human_seconds(now - outage_began_at)}"
        self._moved(now, self._slots.come_back(self._limit_before))
        if self._quota_outage:
            began_at, total = self._cycle or (self._accepted.since, 0)
            lasted_s = max(1.0, now - began_at)
            self._limit_rate(now, (self._accepted.total - total) / lasted_s, climb_s=lasted_s)
        self._cycle = (now, self._accepted.total)
        self._refused_at = None
        self._restart(now)

    def _blame(self, now: float, ticket: Ticket, retry_after_s: float | None) -> None:
        accepted_per_s = self._accepted.per_s(now)
        # Of many that start at once the last one may reach the server first: the level counts all of them.
        level = max(ticket.level, len(self._in_flight) + 1)
        self._burst_blames_slots = self._speaks_of_slots(level, paced=ticket.paced)
        self._burst_at = now
        if self._burst_blames_slots:
            self._moved(now, self._slots.on_refused(now, level, retry_after_s))
        else:
            self._moved(now, self._slots.acquit())
            self._limit_rate(now, self._got_through(now, accepted_per_s))
        self._refused_at = (now, self._accepted.total)
        self._paused_s = self._pause.wait_s(now, self._started_count)
        self._restart(now)

    def _speaks_of_slots(self, level: int, *, paced: bool) -> bool:
        """Whether a refusal concerns the slots: it concerns the rate where the start was paced.

        A limit on simultaneous requests cannot refuse, twice in a row, fewer than it accepted before: then it is the
        rate.
        """
        if self._accepted.total == 0:
            return True
        ceiling = self._slots.ceiling
        if ceiling is not None and level <= ceiling:
            self._contradicting.append(level)
        else:
            self._contradicting.clear()
        if len(self._contradicting) > 1 and self._contradicting[0] >= CONTRADICTION * level:
            return False
        return level > FEW and not paced

    def _got_through(self, now: float, accepted_per_s: float) -> float:
        """Return what the server accepts per second: what it accepted since its last refusal, when its bucket was
        empty."""
        if self._refused_at is None:
            return accepted_per_s
        at, total = self._refused_at
        since_s = now - at
        # The time that was paused may or may not have counted: the truth is between the two, and so is the mean.
        counted_s = math.sqrt(since_s * max(0.05, since_s - self._paused_s))
        if counted_s < 0.05:
            return accepted_per_s
        got_through = (self._accepted.total - total) / counted_s
        return max(got_through, accepted_per_s if since_s >= ACCEPTED_S else accepted_per_s / 2)

    def _limit_rate(self, now: float, accepted_per_s: float, *, climb_s: float | None = None) -> None:
        self._rate.limit_to(now, accepted_per_s, climb_s=climb_s)
        self._reason = f"the server accepted {accepted_per_s:.3g} per second"

    def _moved(self, now: float, reason: str | None) -> None:
        if reason is not None:
            self._restart(now)
            self._reason = reason

    def _restart(self, now: float) -> None:
        self._meter.restart(now, self.limit, quick=self._slots.growing)
