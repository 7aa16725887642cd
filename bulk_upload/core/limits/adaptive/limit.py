"""The controller that finds its own concurrency, and which of its parts a refusal concerns, if any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.limits.adaptive.breaker import TRIP
from bulk_upload.core.limits.adaptive.chance import Shown
from bulk_upload.core.limits.adaptive.loaded import LoadedTicket
from bulk_upload.core.limits.adaptive.opening import Cause
from bulk_upload.core.limits.adaptive.parts import Parts
from bulk_upload.core.limits.adaptive.rate import Pacing
from bulk_upload.core.limits.adaptive.runs import Finding
from bulk_upload.core.limits.signal import SignalKind
from bulk_upload.core.text.printable import human_seconds

if TYPE_CHECKING:
    from bulk_upload.core.limits.controller import Ticket
    from bulk_upload.core.limits.signal import Signal
    from bulk_upload.core.model import RateLimitInfo

BREATH_S = (0.02, 1.0)
UNMEASURED_S = 0.5
"""Refusals of paced starts this soon after a verdict are ignored: nothing was measured yet."""

ABOVE = 8
"""A ceiling that so many were accepted above is none, where some are refused by chance."""

LATE = 0.5
"""So long after a burst, in latencies, a named wait has let run out what was accepted: no more is learned of a ceiling."""


class AdaptiveLimit(Parts):
    """Decides which of its parts a refusal concerns.

    A refusal below the alarm of `Chance` is one file's, sent again later. An alarm concerns the slots or the rate. When
    a lower load then does not lower the share of refusals, both go free.
    """

    def on_start(self, now: float) -> LoadedTicket:
        """Take a slot, and a token where starts are paced."""
        number = self._load.on_start(now)
        level = self._load.level
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
        return LoadedTicket(
            number,
            now,
            level,
            paced,
            self._breaker.on_start(number),
            beyond=(paced and near) or above,
            # What pacing spaces says nothing: a quota that is met refuses one of many.
            easy=self._spacing.on_start(now) and not paced,
            new=self._load.is_new(level),
            calm=self._load.is_usual(level) and self._rate.on and not (near or self._rate.is_assumed),
        )

    def on_end(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Release the slot, and adjust to the result: more starts, fewer, slower, or a pause."""
        if not isinstance(ticket, LoadedTicket):
            raise TypeError("a ticket of somebody else")
        self._now = now
        self._load.on_end(ticket.number)
        self._meter.on_level(now, self._load.level)
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

    def _on_accepted(self, now: float, ticket: LoadedTicket, signal: Signal) -> None:
        """Count an accepted file; the one that ends an outage lets the others resume gradually."""
        self._meter.on_success(signal.file_bytes, now - ticket.started_at)
        self._passed.on_accepted(now)
        self._slots.on_success()
        self._ramp.on_accepted(now, self._trip_s)
        self._note_answer(now, ticket, signal.allowance)
        if self._slots.ceiling is not None and ticket.level > self._slots.ceiling:
            self._above += 1
        if ticket.paced:
            self._opening.on_taken(ticket.level)
        elif not self._burst.includes(ticket.started_at):
            self._open(now, ticket)
        self._chance.on_accepted(ticket.number, calm=ticket.calm, near=ticket.near)
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
        self._meter.on_refused()
        found = self._runs.on_refused(
            ticket.number, ticket.started_at, ticket.level, is_explained=ticket.beyond
        )
        if found is Finding.CHANCE:
            self._chance.contradicted()
            self._acquit_all(now)
        if signal.retry_after_s:
            self._on_named(now, signal.retry_after_s, signal.jitter)
        if self._bad(now, ticket, quota=signal.kind is SignalKind.OVER_QUOTA):
            return
        if self._burst.includes(ticket.started_at):
            self._on_refused_too(now, ticket.number, signal.retry_after_s)
            return
        regular = self._is_regular(now, ticket, found)
        alarmed = self._alarms(now, ticket, regular=regular)
        if not alarmed and signal.retry_after_s and not self._chance.is_known:
            self._moved(now, self._slots.on_costly(ticket.level))
        if not alarmed or (self._rate.on and ticket.paced and now - self._burst.began_at < UNMEASURED_S):
            return
        self._breathe(now)
        if self._breaker.bad_count < TRIP:
            self._blame(now, ticket, signal.retry_after_s)

    def _is_regular(self, now: float, ticket: LoadedTicket, found: Finding) -> bool:
        """Return whether runs, or the levels of paced starts, show which limit it is."""
        if ticket.level == 1:
            self._verdict.on_alone()
        if ticket.level <= self._slots.limit:
            self._opening.on_refused_within()
        if ticket.paced and self._shows_slots(now, ticket):
            if self._verdict.is_rate_met:
                # The server has both limits.
                self._moved(now, self._slots.on_refused(now, ticket.level, None))
                return False
            self._rate.lift()
            return True
        if found is not Finding.QUOTA and found is not Finding.SLOTS:
            return False
        self._verdict.rate_suspected = found is Finding.QUOTA
        return True

    def _shows_slots(self, now: float, ticket: LoadedTicket) -> bool:
        """Return whether the levels at which paced starts are refused are those of simultaneous requests."""
        cause = self._opening.on_refused(ticket.level)
        if cause is Cause.RATE:
            self._verdict.rate_suspected = True
        if cause is Cause.SLOTS:
            self._verdict.on_slots_shown()
        shown = self._verdict.on_paced_refused(now, ticket.started_at, ticket.level, is_near=ticket.near)
        return shown or cause is Cause.SLOTS

    def _on_refused_too(self, now: float, number: int, retry_after_s: float | None) -> None:
        """Count one more of a burst that had its verdict; if less than before was taken, it was the rate."""
        burst, slots = self._burst, self._slots
        burst.on_refused_too(number)
        if burst.is_contradicted:
            self._verdict.rate_suspected = True
            # A server that charges for refusals takes nothing for a while.
            self._pace(now, max(burst.taken_per_s, self._passed.recent_per_s(now) / 4))
        if (per_s := burst.paced_per_s) is not None:
            self._rate.on_refused_too(per_s)
        if not burst.concerns_slots:
            return
        late = 0.0 < LATE * self._meter.cost.seconds < now - burst.began_at
        if not (retry_after_s and late):
            self._moved(now, slots.on_refused_too(burst.left(self._load.level)))
            self._verdict.on_ceiling(now, slots.ceiling, slots.tests_met)

    def _open(self, now: float, ticket: LoadedTicket) -> None:
        """Try whether the first burst met a rate: pace what starts, and let more be in flight."""
        slots = self._slots
        per_s = self._opening.on_accepted(now, ticket.started_at, slots.limit)
        if per_s is not None:
            self._opening.begin(slots.ceiling or slots.limit)
            self._pace(now, per_s)

    def _pace(self, now: float, per_s: float) -> None:
        """Begin with a rate that the server took."""
        self._moved(now, self._slots.acquit())
        self._rate.hunt(now, per_s)
        self._chance.on_rate()
        self._passed.on_verdict(now, self._load.started_count)
        self._reason = f"the server accepts {per_s:.3g} per second or more"
        self._restart(now)

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
            self._load.started_count,
            beyond=ticket.beyond,
            calm=ticket.calm,
            easy=ticket.easy,
            new=ticket.new,
            near=ticket.near,
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
        self._load.on_proven(limit)
        self._burst.on_held(epoch)
        self._opening.on_held()
        self._moved(now, self._slots.judge(now, epoch, self._meter.cost))
        if self._slots.growing and self._slots.limit > limit:
            self._chance.outgrown()

    def _note_answer(self, now: float, ticket: Ticket, allowance: RateLimitInfo | None) -> None:
        if allowance is None:
            return
        before_s = self._pause.wait_s(now, self._load.started_count)
        self._pause.allow(now, ticket.number, allowance)
        after_s = self._pause.wait_s(now, self._load.started_count)
        if after_s > 1.1 * before_s:
            self._reason = "the server's quota is used up"

    def _on_named(self, now: float, wait_s: float, jitter: float) -> None:
        """Record a wait that the server named; all obey it unless chance is established."""
        before_s = self._pause.wait_s(now, self._load.started_count)
        self._pause.on_named(now, wait_s, jitter)
        if self._chance.established:
            return
        self._pause.resume()
        if wait_s >= self._trip_s:
            # After less the server's bucket is as it was: what is on its way fills the wait.
            self._runs.on_pause(wait_s)
        self._wait_for_all(now, before_s)

    def _wait_for_all(self, now: float, before_s: float) -> None:
        after_s = self._pause.wait_s(now, self._load.started_count)
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
        opened = self._breaker.on_bad(
            now,
            ticket.number,
            ticket.started_at,
            started_count=self._load.started_count,
            older_moves=self._load.older_moves(now, self._breaker.bad_since),
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
        self._passed.on_verdict(now, self._load.started_count)
        self._restart(now)

    def _blame(self, now: float, ticket: LoadedTicket, retry_after_s: float | None) -> None:
        # Of many that start at once the last one may reach the server first: the level counts all of them.
        level = max(ticket.level, self._load.level + 1)
        slots = self._slots
        concerns_slots = self._passed.total == 0 or self._verdict.concerns_slots(
            now,
            level,
            paced=ticket.paced and self._rate.on,
            ceiling=slots.ceiling,
            latency_s=self._meter.cost.seconds,
        )
        self._burst.begin(
            now,
            ticket,
            started_count=self._load.started_count,
            in_flight=self._load.level,
            concerns_slots=concerns_slots,
            left_before=self._verdict.untested(slots.ceiling),
        )
        if concerns_slots:
            self._above = 0
            self._opening.on_burst()
            self._moved(now, slots.on_refused(now, level, retry_after_s))
            self._verdict.on_ceiling(now, slots.ceiling, slots.tests_met)
        else:
            self._opening.on_paced(level)
            self._moved(now, slots.acquit())
            passage = self._passed.passage(now, ticket.number, ticket.started_at)
            self._rate.refused(now, passage, taken_per_s=self._runs.taken_per_s, wait_s=retry_after_s or 0.0)
            self._chance.on_rate(is_refuted=self._rate.is_refuted)
            self._reason = f"the server accepts about {self._rate.known:.3g} per second"
        self._passed.on_verdict(now, self._load.started_count)
        self._passed.on_pause(now, self._pause.wait_s(now, self._load.started_count))
        self._restart(now)
        self._acquit_all(now)
