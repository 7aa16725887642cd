"""Parts: what the controller is made of, what it says of them, and what follows from them for the next start."""

from __future__ import annotations

from bulk_upload.core.limits.adaptive.breaker import Breaker
from bulk_upload.core.limits.adaptive.burst import Burst
from bulk_upload.core.limits.adaptive.chance import Chance
from bulk_upload.core.limits.adaptive.goodput import Meter
from bulk_upload.core.limits.adaptive.loaded import Load
from bulk_upload.core.limits.adaptive.opening import Opening
from bulk_upload.core.limits.adaptive.passed import Passed
from bulk_upload.core.limits.adaptive.ramp import Ramp, trip_s
from bulk_upload.core.limits.adaptive.rate import Rate
from bulk_upload.core.limits.adaptive.runs import Runs
from bulk_upload.core.limits.adaptive.slots import FIRST, Slots
from bulk_upload.core.limits.adaptive.spacing import Spacing
from bulk_upload.core.limits.adaptive.verdict import Verdict
from bulk_upload.core.limits.controller import LearnedLimits, with_chance
from bulk_upload.core.limits.pause import Pause
from bulk_upload.core.text.printable import human_seconds


class Parts:
    """Owns the parts. Times are monotonic seconds.

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
        self._load = Load()
        self._burst = Burst()
        self._opening = Opening()
        self._above = 0
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
        if not self._passed.total:
            return None
        return LearnedLimits(limit=self._slots.best, rate_per_s=self._rate.good)

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
        return max(self._pause.wait_s(now, self._load.started_count), self._breaker.wait_s(now))

    def named_wait_s(self, now: float) -> float:
        """Return how long the waits that the server named still last, also those that bind only one file."""
        return self._pause.named_wait_s(now)

    def on_bytes(self, now: float, count: int) -> None:
        """Record that bytes left, or that those of a refused body are taken back."""
        self._load.on_bytes(now, count)
        self._meter.on_bytes(count)

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

    def _moved(self, now: float, reason: str | None) -> None:
        if reason is not None:
            self._restart(now)
            self._reason = reason

    def _restart(self, now: float) -> None:
        self._meter.restart(now, self.limit, quick=self._slots.growing)
