"""What the controller is compared with: fixed limits, known adaptive ones, and an oracle that knows the server."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bulk_upload.core.limits.controller import LearnedLimits, Ticket
from bulk_upload.core.limits.signal import SignalKind

if TYPE_CHECKING:
    from bulk_upload.core.limits.signal import Signal
    from simulation.server import Server


class Peer:
    """A fixed limit that each refused file waits out by itself: Retry-After, or backoff with full jitter."""

    waits_apart = True

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_flight = 0
        self.count = 0

    def next_delay(self, now: float) -> float:
        """Anybody may start."""
        return 0.0

    def pause_s(self, now: float) -> float:
        """Nothing pauses everybody."""
        return 0.0

    def named_wait_s(self, now: float) -> float:
        """A refused file's wait is the simulator's."""
        return 0.0

    def on_start(self, now: float) -> Ticket:
        """Take a slot."""
        self.in_flight += 1
        self.count += 1
        return Ticket(self.count, now, self.in_flight)

    def on_bytes(self, now: float, count: int) -> None:
        """Bytes mean nothing here."""

    def on_end(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Give the slot back."""
        self.in_flight -= 1

    def on_held(self, now: float) -> None:
        """Nothing is measured."""

    def tick(self, now: float) -> None:
        """Time means nothing here."""

    def explain(self) -> str:
        """Return the limit."""
        return f"{self.limit} in flight"

    @property
    def rate_per_s(self) -> float | None:
        """Nothing is said of a rate."""
        return None

    @property
    def chance_share(self) -> float | None:
        """Nothing is known of chance."""
        return None

    @property
    def learned(self) -> LearnedLimits | None:
        """Nothing is learned."""
        return None


class Aimd(Peer):
    """One more a round trip while the limit is used, a tenth less after a burst of refusals or failures.

    Modelled on Netflix concurrency-limits' AIMDLimit (from 20, back-off ratio 0.9, at most 200).
    """

    def __init__(self) -> None:
        super().__init__(20)
        self._exact = 20.0
        self._cut_at = float("-inf")

    def on_end(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Grow where half of the limit was in use; cut once a burst."""
        if signal.kind is SignalKind.ACCEPTED:
            if 2 * self.in_flight >= self.limit:
                self._set(self._exact + 1 / self._exact)
        elif signal.is_refusal or signal.kind is SignalKind.FAILED:
            self._cut(now, ticket)
        super().on_end(now, ticket, signal)

    def _cut(self, now: float, ticket: Ticket) -> None:
        if ticket.started_at > self._cut_at:
            self._cut_at = now
            self._set(self._exact * 0.9)

    def _set(self, limit: float) -> None:
        self._exact = min(200.0, max(1.0, limit))
        self.limit = int(self._exact)


class Gradient(Peer):
    """Follows the ratio of long to short round-trip times.

    Modelled on Netflix concurrency-limits' Gradient2Limit (from 20, tolerance 1.5, smoothing 0.2, queue 4, at most
    200), updated once a round trip. It takes refusals for nothing.
    """

    def __init__(self) -> None:
        super().__init__(20)
        self._exact = 20.0
        self._long_s = 0.0
        self._seen = 0
        self._sum_s = 0.0

    def on_end(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Average a round trip's worth of latencies, then follow them."""
        if signal.kind is SignalKind.ACCEPTED:
            self._seen += 1
            self._sum_s += now - ticket.started_at
            if self._seen >= self.limit:
                self._update(self._sum_s / self._seen)
                self._seen, self._sum_s = 0, 0.0
        super().on_end(now, ticket, signal)

    def _update(self, short_s: float) -> None:
        self._long_s = short_s if not self._long_s else self._long_s + (short_s - self._long_s) / 300
        if self._long_s > 2 * short_s:
            self._long_s *= 0.95
        if self.in_flight < self.limit / 2:
            return
        gradient = max(0.5, min(1.0, 1.5 * self._long_s / short_s))
        aimed = self._exact * gradient + 4
        self._exact = min(200.0, max(1.0, 0.8 * self._exact + 0.2 * aimed))
        self.limit = math.floor(self._exact)


class Oracle(Peer):
    """The best fixed limit and start rate in hindsight. It also knows when a cap moves, a window turns, an outage ends."""

    waits_apart = False

    def __init__(self, limit: int, rate_per_s: float | None, server: Server) -> None:
        super().__init__(limit)
        self._rate_per_s = rate_per_s
        self._server = server
        self._next_at = 0.0
        self._window_no = -1
        self._window_started = 0

    def next_delay(self, now: float) -> float:
        """Start exactly what the server will take."""
        server, spec = self._server, self._server.spec
        arrives = now + 0.2 * spec.latency_s
        if spec.outage is not None and spec.outage[0] <= arrives + 1.0 and now < spec.outage[1]:
            return spec.outage[1] - now
        cap = server.cap(now)
        if cap is not None and self.in_flight >= cap:
            return 0.25
        if spec.window is not None and spec.announced:
            count, length_s = spec.window
            number = int(arrives // length_s)
            if number != self._window_no:
                self._window_no, self._window_started = number, 0
            if self._window_started >= count:
                return (number + 1) * length_s - arrives + 1e-6
        return max(0.0, self._next_at - now) if self._rate_per_s else 0.0

    def on_start(self, now: float) -> Ticket:
        """Take a slot, a place in the window, a turn."""
        self._window_started += 1
        if self._rate_per_s:
            self._next_at = max(self._next_at, now - 0.5 / self._rate_per_s) + 1 / self._rate_per_s
        return super().on_start(now)
