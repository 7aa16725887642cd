"""The controller that finds its own concurrency, and which of its parts a refusal concerns, if any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.limits.adaptive.breaker import TRIP, Breaker
from bulk_upload.core.limits.adaptive.chance import Chance, Shown
from bulk_upload.core.limits.adaptive.goodput import Meter
from bulk_upload.core.limits.adaptive.loaded import LoadedTicket
from bulk_upload.core.limits.adaptive.passed import Passed
from bulk_upload.core.limits.adaptive.ramp import Ramp, trip_s
from bulk_upload.core.limits.adaptive.rate import Pacing, Rate
from bulk_upload.core.limits.adaptive.runs import Finding, Runs
from bulk_upload.core.limits.adaptive.slots import FIRST, Slots
from bulk_upload.core.limits.adaptive.spacing import Spacing
from bulk_upload.core.limits.adaptive.verdict import Verdict
from bulk_upload.core.limits.controller import LearnedLimits, with_chance
from bulk_upload.core.limits.pause import Pause
from bulk_upload.core.limits.signal import SignalKind
from bulk_upload.core.text.printable import human_seconds

if TYPE_CHECKING:
    from bulk_upload.core.limits.controller import Ticket
    from bulk_upload.core.limits.signal import Signal
    from bulk_upload.core.model import RateLimitInfo

MOVING_S = 2.0
"""An older upload counts as making progress for this long after it sent bytes."""

BREATH_S = (0.02, 1.0)
UNMEASURED_S = 0.5
"""Refusals of paced starts this soon after a verdict are ignored: nothing was measured yet."""

ABOVE = 8
"""A ceiling that so many were accepted above is none, where some are refused by chance."""

LEVEL_WEIGHT = 1 / 16

LATE = 0.5
"""So long after a burst, in latencies, a named wait has let run out what was accepted: no more is learned of a ceiling."""


class AdaptiveLimit:
    """Owns the parts and decides which of them a refusal concerns.

    A refusal below the alarm of `Chance` is one file's, sent again later. An alarm concerns the slots or the rate. When
    a lower load then does not lower the share of refusals, both go free.

    Args:
        limit_max: never more than this in flight.
        learned: what an earlier run at the same endpoint found; the run begins at half of that limit.
    """

    def __init__(self, *, limit_max: int = 256, learned: LearnedLimits | None = None) -> None:
        first = FIRST if learned is None else max(FIRST, learned.limit // 2)
        remembered = None if learned is None else learned.rate_per_s
        self._slots = Slots(first, limit_max=limit_max)
        self._rate = Rate(remembered)
        self._ramp = Ramp()
        self._pause = Pause()
        self._breaker = Breaker()
        self._chance = Chance()
        self._runs = Runs()
        self._spacing = Spacing()
        self._verdict = Verdict(rate_suspected=remembered is not None)
        self._meter = Meter(self._slots.limit)
        self._passed = Passed()
        self._in_flight: dict[int, float] = {}
        self._started_count = 0
        self._level = 0.0
        self._proven = 0
        self._above = 0
        self._bytes_at = float("-inf")
        self._burst_at = float("-inf")
        self._burst_blames_slots = False
        self._alarmed = False
        self._limit_before = self._slots.limit
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
        found = LearnedLimits(limit=self._slots.best, rate_per_s=self._rate.good)
        return found if self._passed.total else None

    @property
    def chance_share(self) -> float | None:
        """The share of requests that the server refuses whatever our load; None while none is known to."""
        return self._chance.share if self._chance.established else None

    def next_delay(self, now: float) -> float:
        """Return 0 when an upload may start now, else the seconds after which to ask again: always finite."""
        pause_s = self.pause_s(now)
        return pause_s if pause_s > 0 else self._rate.wait_s(now) or self._ramp.wait_s(now)

    def pause_s(self, now: float) -> float:
        """Return how long no upload may start because the server asked for a pause, or seems to be down."""
        return max(self._pause.wait_s(now, self._started_count), self._breaker.wait_s(now))

    def on_start(self, now: float) -> LoadedTicket:
        """Take a slot, and a token where starts are paced."""
        self._started_count += 1
        number = self._started_count
        self._in_flight[number] = now
        level = len(self._in_flight)
        self._passed.on_start(now)
        self._runs.on_start(now, number, level)
        self._meter.on_level(now, level)
        if self._alarmed and self._breaker.bad_count > 1:
            self._breathe(now)
        near, ceiling = self._rate.near, self._slots.ceiling
        # Once some were accepted above it, the ceiling is none.
        above = (
            ceiling is not None and level > ceiling and not (self._chance.is_known and self._above >= ABOVE)
        )
        paced = self._rate.take(now)
        if paced:
            self._verdict.on_paced(level)
        self._ramp.on_start(now, self.limit, self._trip_s)
        ticket = LoadedTicket(
            number,
            now,
            level,
            paced,
            self._breaker.on_start(number),
            beyond=(paced and near) or above,
            easy=self._spacing.on_start(now),
            new=level > self._proven,
            calm=self._rate.on and not near and level <= self._level,
        )
        self._level += (level - self._level) * LEVEL_WEIGHT
        return ticket

    def on_bytes(self, now: float, count: int) -> None:
        """Record that bytes left, or that those of a refused body are taken back."""
        if count > 0:
            self._bytes_at = now
        self._meter.on_bytes(count)

    def on_end(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Release the slot, and adjust to the result: more starts, fewer, slower, or a pause."""
        if not isinstance(ticket, LoadedTicket):
            raise TypeError("a ticket of somebody else")
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
        return with_chance(f"{', '.join(words)}: {self._reason}", self.chance_share)

    @property
    def _trip_s(self) -> float:
        cost = self._meter.cost
        return trip_s(cost.fixed_s if cost.known else None)

    def _on_accepted(self, now: float, ticket: LoadedTicket, signal: Signal) -> None:
        """Count an accepted file; the one that ends an outage lets the others resume gradually."""
        self._meter.on_success(signal.file_bytes, now - ticket.started_at)
        self._passed.on_accepted(now)
        self._slots.on_success()
        self._ramp.on_accepted(now, self._trip_s)
        self._note_answer(now, ticket, signal.allowance)
        if self._slots.ceiling is not None and ticket.level > self._slots.ceiling:
            self._above += 1
        self._chance.on_accepted(ticket.number, calm=ticket.calm)
        began_at = self._breaker.on_success(now, ticket.number)
        if self._breaker.bad_count == 0:
            self._alarmed = False
        if began_at is not None:
            self._come_back(now, began_at)
        self._acquit_all(now)
        self._judge(now)

    def _on_refused(self, now: float, ticket: LoadedTicket, signal: Signal) -> None:
        """Pause for all, unless refusals are known to be chance; then find out which limit was meant."""
        self._note_answer(now, ticket, signal.allowance)
        self._passed.on_bad(ticket.number)
        found = self._runs.on_refused(ticket.number, ticket.started_at, ticket.level)
        if found is Finding.CHANCE:
            self._chance.contradicted()
            self._acquit_all(now)
        if signal.retry_after_s:
            self._on_named(now, signal.retry_after_s, signal.jitter)
        if self._bad(now, ticket, quota=signal.kind is SignalKind.OVER_QUOTA):
            return
        if ticket.started_at <= self._burst_at:
            late = 0.0 < LATE * self._meter.cost.seconds < now - self._burst_at
            if self._burst_blames_slots and not (signal.retry_after_s and late):
                self._moved(now, self._slots.on_refused_too(len(self._in_flight)))
                self._verdict.on_ceiling(now, self._slots.ceiling, self._slots.tests_met)
            return
        regular = self._is_regular(now, ticket, found)
        alarmed = self._alarms(now, ticket, regular=regular)
        if not alarmed and signal.retry_after_s and not self._chance.is_known:
            self._moved(now, self._slots.on_costly(ticket.level))
        if not alarmed or (self._rate.on and ticket.paced and now - self._burst_at < UNMEASURED_S):
            return
        self._breathe(now)
        if self._breaker.bad_count < TRIP:
            self._blame(now, ticket, signal.retry_after_s)

    def _is_regular(self, now: float, ticket: LoadedTicket, found: Finding) -> bool:
        """Return whether runs, or the levels of paced starts, show which limit it is."""
        if ticket.paced and self._verdict.on_paced_refused(now, ticket.started_at, ticket.level):
            self._rate.lift()
            return True
        if found is not Finding.QUOTA and found is not Finding.SLOTS:
            return False
        self._verdict.rate_suspected = found is Finding.QUOTA
        return True

    def _on_failed(self, now: float, ticket: LoadedTicket) -> None:
        """Count a failure: a few mean little, many in a row are an outage."""
        self._passed.on_bad(ticket.number)
        if not self._bad(now, ticket, quota=False) and self._alarms(now, ticket):
            self._breathe(now)

    def _alarms(self, now: float, ticket: LoadedTicket, *, regular: bool = False) -> bool:
        """Return whether a refusal is more than chance."""
        was_established = self._chance.established
        alarm = self._chance.on_bad(
            ticket.number,
            self._started_count,
            beyond=ticket.beyond,
            calm=ticket.calm,
            easy=ticket.easy,
            new=ticket.new,
            regular=regular or (ticket.beyond and self._rate.pacing is Pacing.HUNTING),
        )
        self._alarmed = self._alarmed or alarm
        if was_established and not self._chance.established:
            self._pause.resume()
            self._wait_for_all(now, 0.0)
        self._acquit_all(now)
        return alarm

    def _acquit_all(self, now: float) -> None:
        """Lift the rate, or test the ceiling, once refusals were seen not to depend on it."""
        shown = self._chance.find()
        if shown is not None:
            self._pause.end(now)
        if shown is Shown.BY_LOAD:
            self._rate.lift()
            self._slots.retest(now)
        elif shown is Shown.BY_CALM:
            self._rate.lift()
            self._slots.free()
            self._verdict.rate_refuted()
            self._reason = "refusals do not depend on the rate"
            self._restart(now)

    def _judge(self, now: float) -> None:
        """Judge the epoch if it is over."""
        limit = self._slots.limit
        epoch = self._meter.close(now)
        if epoch is None or epoch.limit != limit:
            return
        self._verdict.on_level(limit)
        self._proven = max(self._proven, limit)
        self._moved(now, self._slots.judge(now, epoch, self._meter.cost))
        if self._slots.growing and self._slots.limit > limit:
            self._chance.outgrown()

    def _note_answer(self, now: float, ticket: Ticket, allowance: RateLimitInfo | None) -> None:
        if allowance is None:
            return
        before_s = self._pause.wait_s(now, self._started_count)
        self._pause.allow(now, ticket.number, allowance)
        if self._pause.wait_s(now, self._started_count) > 1.1 * before_s:
            self._reason = "the server's quota is used up"

    def _on_named(self, now: float, wait_s: float, jitter: float) -> None:
        """Record a wait that the server named; all obey it unless chance is established."""
        before_s = self._pause.wait_s(now, self._started_count)
        self._pause.on_named(now, wait_s, jitter)
        if not self._chance.established:
            self._runs.on_pause(wait_s)
            self._wait_for_all(now, before_s)

    def _wait_for_all(self, now: float, before_s: float) -> None:
        after_s = self._pause.wait_s(now, self._started_count)
        self._ramp.on_pause(now + after_s)
        self._passed.on_pause(now, after_s)
        if after_s > 1.1 * before_s:
            self._reason = f"the server asked to wait, waiting {human_seconds(after_s)}"

    def _breathe(self, now: float) -> None:
        """Wait for answers before more is sent: one round trip, doubled each time it does not help."""
        trip = min(BREATH_S[1], max(BREATH_S[0], self._meter.cost.fixed_s))
        self._pause.hold(now, min(BREATH_S[1], trip * 2 ** max(0, min(10, self._breaker.bad_count - 1))))
        self._ramp.on_pause(now)

    def _bad(self, now: float, ticket: Ticket, *, quota: bool) -> bool:
        """Record it at the breaker and return whether the breaker is open."""
        if self._breaker.bad_count == 0:
            self._limit_before = self._slots.limit
        was_open = self._breaker.open
        oldest = next(iter(self._in_flight.values()), now)
        opened = self._breaker.on_bad(
            now,
            ticket.number,
            ticket.started_at,
            started_count=self._started_count,
            older_moves=oldest < self._breaker.bad_since and now - self._bytes_at < MOVING_S,
        )
        if opened:
            self._quota_outage = quota
            self._reason = "nothing gets through: probing with one upload at a time"
        return was_open or opened

    def _come_back(self, now: float, outage_began_at: float) -> None:
        self._reason = f"the server is back after {human_seconds(now - outage_began_at)}"
        self._moved(now, self._slots.come_back(self._limit_before))
        if self._quota_outage:
            began_at, total = self._cycle or (self._passed.since, 0)
            lasted_s = max(1.0, now - began_at)
            per_s = (self._passed.total - total) / lasted_s
            self._rate.averaged(now, per_s, lasted_s)
            self._reason = f"the server accepted {per_s:.3g} per second"
        self._cycle = (now, self._passed.total)
        self._passed.on_verdict(now, self._started_count)
        self._restart(now)

    def _blame(self, now: float, ticket: LoadedTicket, retry_after_s: float | None) -> None:
        # Of many that start at once the last one may reach the server first: the level counts all of them.
        level = max(ticket.level, len(self._in_flight) + 1)
        slots = self._slots
        self._burst_at = now
        self._burst_blames_slots = self._passed.total == 0 or self._verdict.concerns_slots(
            now,
            level,
            paced=ticket.paced and self._rate.on,
            ceiling=slots.ceiling,
            latency_s=self._meter.cost.seconds,
        )
        if self._burst_blames_slots:
            self._above = 0
            self._moved(now, slots.on_refused(now, level, retry_after_s))
            self._verdict.on_ceiling(now, slots.ceiling, slots.tests_met)
        else:
            self._moved(now, slots.acquit())
            passage = self._passed.passage(now, ticket.number, ticket.started_at)
            self._rate.refused(now, passage, taken_per_s=self._runs.taken_per_s)
            self._chance.on_rate(is_refuted=self._rate.is_refuted)
            self._reason = f"the server accepts about {self._rate.known:.3g} per second"
        self._passed.on_verdict(now, self._started_count)
        self._passed.on_pause(now, self._pause.wait_s(now, self._started_count))
        self._restart(now)
        self._acquit_all(now)

    def _moved(self, now: float, reason: str | None) -> None:
        if reason is not None:
            self._restart(now)
            self._reason = reason

    def _restart(self, now: float) -> None:
        self._meter.restart(now, self.limit, quick=self._slots.growing)
