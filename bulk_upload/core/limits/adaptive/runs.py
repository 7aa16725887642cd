"""Runs: how many starts went well after a pause, compared from one pause to the next."""

from __future__ import annotations

from enum import Enum, auto

SIMILAR = 1.4
REGULAR_TIMES = 3
TOP = 0.35
TOP_TIMES = 4
"""By chance a refusal meets the highest third of levels every third time, four times in a row one time in seventy."""

FEW = 3
REGULAR_TIMES_FEW = 2
"""Runs of a few starts are rare by chance: three of them show as much as four longer ones that are alike."""

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

    SLOTS = auto()
    """The refused start had the most in flight, time and again."""


class Runs:
    """Compares how many starts went well after one pause and the next. Times are monotonic seconds.

    A bucket that took `k` starts in `d` seconds takes at least `j < k` when they come no faster.
    """

    def __init__(self) -> None:
        self._pause_s: float | None = None
        self._resumed_at = 0.0
        self._first = 0
        self._best: tuple[int, float, float] | None = None
        self._levels: dict[int, int] = {}
        self._at_top = 0
        self._last = 0
        self._similar = 0
        self._known = False

    def on_pause(self, pause_s: float) -> None:
        """Record that every start waits for so long."""
        self._pause_s = max(pause_s, self._pause_s or 0.0)
        self._first = 0
        self._levels.clear()

    def on_start(self, now: float, number: int, level: int) -> None:
        """Record a start as number `level` in flight; the first after a pause begins a run."""
        if self._pause_s is None:
            return
        if not self._first:
            self._first, self._resumed_at = number, now
        self._levels[level] = self._levels.get(level, 0) + 1

    def on_refused(self, number: int, started_at: float, level: int) -> Finding:
        """Return what the run shows that this refusal ends, if it ends one."""
        pause_s, first = self._pause_s, self._first
        if pause_s is None or not first or number < first:
            return Finding.NOTHING
        count, lasted_s = number - first, max(1e-3, started_at - self._resumed_at)
        self._pause_s = None
        as_high = sum(starts for at, starts in self._levels.items() if at >= level)
        is_top = as_high <= TOP * sum(self._levels.values())
        self._at_top = self._at_top + 1 if is_top else 0
        if self._at_top >= TOP_TIMES:
            self._at_top = 0
            return Finding.SLOTS
        last, self._last = self._last, count
        similar = count <= SIMILAR * last + 1 and last <= SIMILAR * count + 1
        self._similar = self._similar + 1 if similar and self._known else 0
        self._known = True
        best = self._best
        if best is None or count > best[0]:
            self._best = (count, lasted_s, pause_s)
        if self._similar >= (REGULAR_TIMES if count > FEW else REGULAR_TIMES_FEW):
            return Finding.QUOTA
        if best is None or best[0] < COUNT_MIN:
            return Finding.NOTHING
        most, took_s, paused_s = best
        shorter = pause_s >= SAME_PAUSE * paused_s and count <= SHORTER * most
        return Finding.CHANCE if shorter and count / lasted_s <= FASTER * most / took_s else Finding.NOTHING
