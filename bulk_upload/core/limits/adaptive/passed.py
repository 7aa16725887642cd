"""Passed: how much the server let through, over the last seconds and since it last refused."""

from __future__ import annotations

import math
from collections import deque

from bulk_upload.core.limits.adaptive.rate import Passage

RECENT_S = 10.0
MEASURED_S_MIN = 0.05
PAUSED_TIMES = 4.0


class Passed:
    """Counts accepted uploads, and the starts and refusals since the last verdict. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.total = 0
        self.since = 0.0
        self._at: deque[float] = deque()
        self._verdict_at = 0.0
        self._verdict_number = 0
        self._bad_count = 0
        self._paused_s = 0.0
        self._paused_from = 0.0
        self._paused_until = 0.0

    def on_start(self, now: float) -> None:
        """Record that something started: nothing before the first start counts as time."""
        if self.since == 0.0:
            self.since = self._verdict_at = now

    def on_accepted(self, now: float) -> None:
        """Count one."""
        self.total += 1
        self._at.append(now)
        while self._at[0] < now - RECENT_S:
            self._at.popleft()

    def on_bad(self, number: int) -> None:
        """Record that a start was refused or lost."""
        if number > self._verdict_number:
            self._bad_count += 1

    def on_verdict(self, now: float, started_count: int) -> None:
        """Measure from now on: the bucket of the server is empty."""
        self._verdict_at = now
        self._verdict_number = started_count
        self._bad_count = 0
        self._paused_s = 0.0
        # What is left of a pause counts from now on.
        self._paused_from = min(now, self._paused_until)

    def on_pause(self, now: float, pause_s: float) -> None:
        """Record that nothing starts for so long; pauses may overlap."""
        if now > self._paused_until:
            self._paused_s += self._paused_until - self._paused_from
            self._paused_from = now
        self._paused_until = max(self._paused_until, now + pause_s)

    def recent_per_s(self, now: float) -> float:
        """Return how many a second were accepted in the last ten seconds."""
        while self._at and self._at[0] < now - RECENT_S:
            self._at.popleft()
        return len(self._at) / min(RECENT_S, max(0.1, now - self.since))

    def passage(self, now: float, number: int, started_at: float) -> Passage:
        """Return what got through since the last verdict up to this start, which was refused.

        Starts are counted, at the time they started: answers come later, and refusals sooner than others.
        """
        recent_per_s = self.recent_per_s(now)
        started = max(1, number - self._verdict_number)
        accepted = max(0, started - max(1, self._bad_count))
        lasted_s = started_at - self._verdict_at
        paused_s = self._paused_before(started_at)
        counted_s = max(0.0, lasted_s)
        if lasted_s < PAUSED_TIMES * paused_s:
            # What was paused may or may not have counted: the truth is between the two, and so is the mean.
            counted_s = math.sqrt(counted_s * max(MEASURED_S_MIN, lasted_s - paused_s))
        return Passage(
            per_s=accepted / counted_s if counted_s >= MEASURED_S_MIN else recent_per_s,
            recent_per_s=recent_per_s,
            share=accepted / started,
            paused=lasted_s < PAUSED_TIMES * paused_s,
        )

    def _paused_before(self, when: float) -> float:
        """Return how much of the time since the last verdict was paused, up to a moment: a pause may reach beyond it."""
        current_s = min(when, self._paused_until) - max(self._paused_from, self._verdict_at)
        return self._paused_s + max(0.0, current_s)
