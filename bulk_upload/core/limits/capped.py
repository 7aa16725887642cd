"""A controller with a person's caps on top: it never exceeds what they currently allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.limits.adaptive import AdaptiveLimit
from bulk_upload.core.limits.controller import Ticket
from bulk_upload.core.limits.fixed import FixedLimit
from bulk_upload.core.limits.timetable import bandwidth_text, rate_text
from bulk_upload.core.limits.token_bucket import TokenBucket

if TYPE_CHECKING:
    from bulk_upload.core.limits.caps import Caps
    from bulk_upload.core.limits.controller import Controller, LearnedLimits
    from bulk_upload.core.limits.signal import Signal

PAUSED_ASK_AGAIN_S = 60.0
"""A person's pause has no known end; resuming wakes all waiting tasks."""

PAUSED_BY_HAND = "paused by hand"
"""The reason of the limit during a person's pause."""

PIECE_BYTES_MIN = 4096
_PIECES_PER_S = 20
_BURST_S = 0.1
"""The bucket for bytes holds a hundredth of ten seconds: enough to compensate for a late timer."""

_START_BURST_S = 0.2


def piece_bytes_for(bytes_per_s: float) -> int:
    """Return how many bytes to hand over at once under a cap."""
    return max(PIECE_BYTES_MIN, int(bytes_per_s / _PIECES_PER_S))


def burst_bytes_for(bytes_per_s: float) -> float:
    """Return how many bytes may be handed over at once after a silence under a cap."""
    return max(float(piece_bytes_for(bytes_per_s)), bytes_per_s * _BURST_S)


class OwnedTicket(Ticket, frozen=True, kw_only=True):
    """A ticket with the controller that issued it: a person may have replaced that since."""

    owner: Controller
    inner: Ticket


def controller_for(caps: Caps, *, learned: LearnedLimits | None = None) -> Controller:
    """Return a controller with the number a person gave, or one that finds the number.

    Args:
        caps: the person's; `concurrency` is None where the number is to be found.
        learned: what an earlier run found at this endpoint, to begin with.
    """
    if caps.concurrency is not None:
        return FixedLimit(caps.concurrency)
    return AdaptiveLimit(limit_max=caps.capacity, learned=learned)


class CappedController:
    """A controller and a person's caps as one controller, with a bucket for bytes beside it.

    The limit is the lower of both, the wait the longer. A change of `concurrency` replaces the current
    controller; the former one is still notified of the uploads that it started, and its pauses hold.

    Args:
        caps: the person's, at first.
        minute_of_day: of the person's clock, for the timetable.
        controller: by default the one that goes with the caps.
        learned: what an earlier run found at this endpoint.
    """

    def __init__(
        self,
        caps: Caps,
        *,
        minute_of_day: int,
        controller: Controller | None = None,
        learned: LearnedLimits | None = None,
    ) -> None:
        self._caps = caps
        self._in_flight_max = caps.in_flight_max
        self._controller = controller or controller_for(caps, learned=learned)
        self._first_learned = learned
        self._learned: LearnedLimits | None = None
        self._former: list[Controller] = []
        self._open_tickets: dict[int, int] = {}
        """Open tickets, counted by their controller's id."""
        self._starts = _start_bucket(caps)
        self._minute_of_day = minute_of_day
        self._bytes: TokenBucket | None = None
        self._piece_bytes: int | None = None
        self._held = False
        self._bytes_held = False
        self._set_bandwidth(0.0)

    @property
    def caps(self) -> Caps:
        """The person's caps as they are now."""
        return self._caps

    @property
    def limit(self) -> int:
        """How many requests may be unanswered."""
        return min(self._controller.limit, self._in_flight_max)

    @property
    def rate_per_s(self) -> float | None:
        """How many uploads the controller lets start per second, None while it does not pace them."""
        return self._controller.rate_per_s

    @property
    def learned(self) -> LearnedLimits | None:
        """The limits learned in this run, by the current controller or an earlier one."""
        return self._controller.learned or self._learned

    @property
    def chance_share(self) -> float | None:
        """The share of requests that the server refuses whatever our load; None while none is known to."""
        return self._controller.chance_share

    @property
    def bytes_per_s(self) -> float | None:
        """The bandwidth cap that holds now."""
        return None if self._bytes is None else self._bytes.rate

    @property
    def piece_bytes(self) -> int | None:
        """How many bytes to hand over at once: what the cap allows in a twentieth of a second. None while there is no
        cap."""
        return self._piece_bytes

    def change(self, now: float, caps: Caps) -> None:
        """Apply other caps from now on."""
        before, self._caps = self._caps, caps
        self._in_flight_max = caps.in_flight_max
        if caps.concurrency != before.concurrency:
            self._learned = self.learned
            self._former.append(self._controller)
            self._controller = controller_for(caps, learned=self._learned or self._first_learned)
        if caps.starts_per_s != before.starts_per_s:
            self._starts = _start_bucket(caps, self._starts, now)
        self._set_bandwidth(now)

    def next_delay(self, now: float) -> float:
        """Return 0 when an upload may start now, else the seconds after which to ask again."""
        if self._caps.paused:
            self._held = True
            return PAUSED_ASK_AGAIN_S
        own_s = 0.0 if self._starts is None else self._starts.wait_s(now)
        if own_s > 0:
            # The controller is not asked: it would count the wait as its own.
            self._held = True
            return max(own_s, self.pause_s(now))
        return self._controller.next_delay(now) if not self._former else self.pacing_wait_s(now)

    def pause_s(self, now: float) -> float:
        """Return how long a pause by the server still lasts."""
        return max(self._controller.pause_s(now), self._former_pause_s(now))

    def named_wait_s(self, now: float) -> float:
        """Return how long the waits that the server named still last, also those that bind only one file."""
        return max(one.named_wait_s(now) for one in (self._controller, *self._former))

    def rate_wait_s(self, now: float) -> float:
        """Return how long the person's rate holds the next start back."""
        return 0.0 if self._starts is None else self._starts.wait_s(now)

    def pacing_wait_s(self, now: float) -> float:
        """Return how long the controller holds the next start back; ask only where something would start."""
        return max(self._controller.next_delay(now), self._former_pause_s(now))

    def bytes_wait_s(self, now: float, count: int) -> float:
        """Return how long the bandwidth cap holds `count` bytes back."""
        wait_s = 0.0 if self._bytes is None else self._bytes.wait_s(now, count)
        if wait_s > 0:
            self._held = self._bytes_held = True
        return wait_s

    def on_bytes_held(self) -> None:
        """Record that the bandwidth cap held bytes back where somebody else applies it."""
        self._held = self._bytes_held = True

    def take_bytes(self, now: float, count: int) -> None:
        """Count bytes that are handed over now."""
        if self._bytes is not None:
            self._bytes.take(now, count)

    def on_start(self, now: float) -> OwnedTicket:
        """Take a slot."""
        if self._starts is not None:
            self._starts.take(now)
        controller = self._controller
        inner = controller.on_start(now)
        self._open_tickets[id(controller)] = self._open_tickets.get(id(controller), 0) + 1
        return OwnedTicket(
            inner.number,
            inner.started_at,
            inner.level,
            paced=inner.paced,
            probe=inner.probe,
            owner=controller,
            inner=inner,
        )

    def on_bytes(self, now: float, count: int) -> None:
        """Record that bytes left."""
        self._controller.on_bytes(now, count)

    def on_end(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Release the slot: the controller that issued the ticket learns from how the request ended."""
        if not isinstance(ticket, OwnedTicket):
            raise TypeError("a ticket of somebody else")
        left = self._open_tickets[id(ticket.owner)] - 1
        if left:
            self._open_tickets[id(ticket.owner)] = left
        else:
            del self._open_tickets[id(ticket.owner)]
        ticket.owner.on_end(now, ticket.inner, signal)

    def on_held(self, now: float) -> None:
        """Record that something outside held uploads back."""
        self._controller.on_held(now)

    def tick(self, now: float) -> None:
        """Update to the current time, after notifying the controller if a cap held something back since the last
        tick."""
        if self._held or self._controller.limit > self._caps.in_flight_max:
            self._controller.on_held(now)
        self._held = False
        self._controller.tick(now)
        self._former = [one for one in self._former if self._matters(one, now)]

    def tell_minute(self, now: float, minute_of_day: int) -> None:
        """Called with the time of day: another bandwidth may hold from now on."""
        if minute_of_day != self._minute_of_day:
            self._minute_of_day = minute_of_day
            self._set_bandwidth(now)

    def bandwidth_bound(self) -> bool:
        """Return whether the bandwidth cap held bytes back since this was last asked."""
        bound, self._bytes_held = self._bytes_held, False
        return bound

    def explain(self) -> str:
        """Return the current limit and why, with the caps in force."""
        if self._caps.paused:
            return PAUSED_BY_HAND
        words = [self._controller.explain()]
        if self._controller.limit > self._caps.in_flight_max:
            words.append(f"at most {self._caps.in_flight_max} in flight")
        if self._caps.starts_per_s is not None:
            words.append(f"at most {rate_text(self._caps.starts_per_s)}")
        if self.bytes_per_s is not None:
            words.append(f"at most {bandwidth_text(self.bytes_per_s)}")
        return ", ".join(words)

    def _former_pause_s(self, now: float) -> float:
        if not self._former:
            return 0.0
        wait_s = max(one.pause_s(now) for one in self._former)
        if self._controller.chance_share is None:
            # A wait that bound one file, because refusals were chance, binds all: the new controller has not seen that.
            wait_s = max(wait_s, *(one.named_wait_s(now) for one in self._former))
        return wait_s

    def _matters(self, former: Controller, now: float) -> bool:
        return id(former) in self._open_tickets or max(former.pause_s(now), former.named_wait_s(now)) > 0

    def _set_bandwidth(self, now: float) -> None:
        timetable = self._caps.bandwidth
        rate = None if timetable is None else timetable.bytes_per_s(self._minute_of_day)
        if rate == self.bytes_per_s:
            return
        if rate is None:
            self._bytes = self._piece_bytes = None
            return
        self._piece_bytes = piece_bytes_for(rate)
        burst = burst_bytes_for(rate)
        old = self._bytes
        self._bytes = TokenBucket(rate, burst) if old is None else old.changed(now, rate, burst)


def _start_bucket(caps: Caps, old: TokenBucket | None = None, now: float = 0.0) -> TokenBucket | None:
    rate = caps.starts_per_s
    if rate is None:
        return None
    burst = max(1.0, rate * _START_BURST_S)
    return TokenBucket(rate, burst) if old is None else old.changed(now, rate, burst)
