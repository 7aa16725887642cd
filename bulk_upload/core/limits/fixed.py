"""A number of uploads in flight that a person gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.limits.adaptive.chance import Chance
from bulk_upload.core.limits.adaptive.runs import Finding, Runs
from bulk_upload.core.limits.adaptive.spacing import Spacing
from bulk_upload.core.limits.controller import Ticket, with_chance
from bulk_upload.core.limits.pause import Pause
from bulk_upload.core.limits.signal import SignalKind

if TYPE_CHECKING:
    from bulk_upload.core.limits.controller import LearnedLimits
    from bulk_upload.core.limits.signal import Signal


class SpacedTicket(Ticket, frozen=True, kw_only=True):
    """A ticket whose start was `easy`: no closer to others than usual."""

    easy: bool = False


class FixedLimit:
    """A controller that keeps the limit it was given, and obeys the server's pauses.

    A wait that the server names holds every start, unless refusals were seen not to depend on the load. Without a name
    only the refused file waits, unless refusals come too close together for chance: then all wait, twice as long each
    time until something is accepted.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("limit must be at least 1")
        self._limit = limit
        self._pause = Pause()
        self._chance = Chance()
        self._runs = Runs()
        self._spacing = Spacing()
        self._persists = False
        self._persists_since = float("-inf")
        self._in_flight = 0
        self._started_count = 0

    @property
    def limit(self) -> int:
        """The number this controller was made with."""
        return self._limit

    @property
    def rate_per_s(self) -> float | None:
        """None: it paces nothing."""
        return None

    @property
    def learned(self) -> LearnedLimits | None:
        """None: it learns nothing for a later run."""
        return None

    @property
    def chance_share(self) -> float | None:
        """The share of requests that the server refuses whatever our load; None while none is known to."""
        return self._chance.share if self._chance.established else None

    def next_delay(self, now: float) -> float:
        """Return how long the pause still lasts."""
        return self._pause.wait_s(now)

    def pause_s(self, now: float) -> float:
        """Return how long the pause still lasts."""
        return self._pause.wait_s(now)

    def named_wait_s(self, now: float) -> float:
        """Return how long the waits that the server named still last, also those that bind only one file."""
        return self._pause.named_wait_s(now)

    def on_start(self, now: float) -> Ticket:
        """Take a slot."""
        self._in_flight += 1
        self._started_count += 1
        self._runs.on_start(now, self._started_count, self._in_flight)
        easy = self._spacing.on_start(now)
        return SpacedTicket(self._started_count, now, self._in_flight, easy=easy)

    def on_bytes(self, now: float, count: int) -> None:
        """Bytes do not move a fixed limit."""

    def on_end(self, now: float, ticket: Ticket, signal: Signal) -> None:
        """Release the slot. Refusals may pause every start, except a 503 that names no wait."""
        self._in_flight -= 1
        if signal.kind is SignalKind.ACCEPTED:
            self._pause.on_success()
            self._persists = self._persists and ticket.started_at <= self._persists_since
            self._chance.on_accepted(ticket.number, calm=False)
            self._acquit(now)
        elif signal.kind is SignalKind.OVER_QUOTA or signal.retry_after_s is not None:
            self._on_refused(now, ticket, signal)

    def on_held(self, now: float) -> None:
        """A fixed limit measures nothing."""

    def tick(self, now: float) -> None:
        """Time does not move a fixed limit."""

    def explain(self) -> str:
        """Return the limit and that it was set by hand, and what share is refused by chance."""
        return with_chance(f"{self._limit} in flight, as set", self.chance_share)

    def _on_refused(self, now: float, ticket: Ticket, signal: Signal) -> None:
        found = self._runs.on_refused(ticket.number, ticket.started_at, ticket.level)
        if found is Finding.CHANCE:
            self._chance.contradicted()
        alarm = self._chance.on_bad(
            ticket.number,
            self._started_count,
            beyond=False,
            calm=False,
            easy=isinstance(ticket, SpacedTicket) and ticket.easy,
            new=False,
            regular=found is Finding.QUOTA,
        )
        self._acquit(now)
        if alarm:
            self._persists, self._persists_since = True, now
            self._pause.resume()
        named_s = signal.retry_after_s
        if named_s and self._chance.established:
            self._pause.on_named(now, named_s, signal.jitter)
            return
        if named_s:
            self._runs.on_pause(named_s)
        if named_s or self._persists:
            self._pause.on_refusal(
                now, started_at=ticket.started_at, retry_after_s=named_s, jitter=signal.jitter
            )

    def _acquit(self, now: float) -> None:
        """End a pause once refusals were seen not to depend on the load."""
        if self._chance.find() is not None:
            self._persists = False
            self._pause.end(now)
