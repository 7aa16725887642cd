"""Runs: how many starts went well after a pause, compared from one pause to the next."""

from __future__ import annotations

from enum import Enum, auto

SIMILAR = 1.4
REGULAR_TIMES = 3
SHORTER = 0.5
FASTER = 1.15
SAME_PAUSE = 0.95
COUNT_MIN = 8
"""Chance makes shorter runs so different that they show nothing."""


class Finding(Enum):
    """What a run of starts from a pause to a refusal shows."""

    NOTHING = auto()
    CHANCE = auto()
    """No quota by rate explains it: after an equal pause more starts went well, and no slower ones, in an earlier run."""

    QUOTA = auto()
    """The runs are equally long, time and again: what refuses by chance keeps no count."""


class Runs:
    """Compares how many starts went well after one pause and the next. Times are monotonic seconds.

    A bucket that took `k` starts in `d` seconds takes at least `j < k` when they come no faster.
    """

    def __init__(self) -> None:
        self._pause_s: float | None = None
        self._resumed_at = 0.0
        self._first = 0
        self._best: tuple[int, float, float] | None = None
        self._last = 0
        self._similar = 0

    def on_pause(self, pause_s: float) -> None:
        """Record that every start waits for so long."""
        self._pause_s = max(pause_s, self._pause_s or 0.0)
        self._first = 0

    def on_start(self, now: float, number: int) -> None:
        """Record a start; the first after a pause begins a run."""
        if self._pause_s is not None and not self._first:
            self._first, self._resumed_at = number, now

    def on_refused(self, number: int, started_at: float) -> Finding:
        """Return what the run shows that this refusal ends, if it ends one."""
        pause_s, first = self._pause_s, self._first
        if pause_s is None or not first or number < first:
            return Finding.NOTHING
        count, lasted_s = number - first, max(1e-3, started_at - self._resumed_at)
        self._pause_s = None
        last, self._last = self._last, count
        similar = min(last, count) > 1 and count <= SIMILAR * last and last <= SIMILAR * count
        self._similar = self._similar + 1 if similar else 0
        best = self._best
        if best is None or count > best[0]:
            self._best = (count, lasted_s, pause_s)
        if self._similar >= REGULAR_TIMES:
            return Finding.QUOTA
        if best is None or best[0] < COUNT_MIN:
            return Finding.NOTHING
        most, took_s, paused_s = best
        shorter = pause_s >= SAME_PAUSE * paused_s and count <= SHORTER * most
        return Finding.CHANCE if shorter and count / lasted_s <= FASTER * most / took_s else Finding.NOTHING
