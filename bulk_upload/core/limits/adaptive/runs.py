"""Runs: how many starts went well after a pause, compared from one pause to the next."""

from __future__ import annotations

import math
from collections import deque
from enum import Enum, auto

import msgspec

SIMILAR = 1.4
REGULAR_TIMES = 3
TOP = 0.35
TOP_TIMES = 4
"""By chance a refusal meets the highest third of levels every third time, four times in a row one time in seventy."""

FEW = 3
REGULAR_TIMES_FEW = 2
"""Runs of a few starts are rare by chance: three of them show as much as four longer ones that are alike."""

SHORTER = 0.6
FASTER = 1.3
SAME_PAUSE = 0.95
COUNT_MIN = 8
"""Fewer starts after a pause show nothing."""

REMEMBERED = 6
"""With how many runs a new one is compared."""


class Finding(Enum):
    """What a run of starts from a pause to a refusal shows."""

    NOTHING = auto()
    CHANCE = auto()
    """No quota by rate explains it: after an equal pause more starts went well, and no slower ones, in an earlier run."""

    QUOTA = auto()
    """The runs are equally long, time and again: what refuses by chance keeps no count."""

    SLOTS = auto()
    """The refused start had the most in flight, time and again."""


class Run(msgspec.Struct, kw_only=True):
    """The starts from a pause to a refusal: how many, for how long, by level; and where the refused one was."""

    pause_s: float
    count: int
    lasted_s: float
    level: int
    levels: dict[int, int]
    is_refuted: bool = False

    def refutes(self, other: Run) -> bool:
        """Return whether a limit that took this run would have taken the other, which was refused far sooner."""
        return (
            self.count >= COUNT_MIN
            and not other.is_refuted
            and other.pause_s >= SAME_PAUSE * self.pause_s
            and other.count <= SHORTER * _at_least(other.level, self.levels)
            and other.count * self.lasted_s <= FASTER * self.count * other.lasted_s
        )


class Runs:
    """Compares how many starts went well after one pause and the next. Times are monotonic seconds.

    A bucket that took `k` starts in `d` seconds takes at least `j < k` when they come no faster. Before the first start
    no bucket is emptier than after a pause.
    """

    def __init__(self) -> None:
        self._pause_s: float | None = math.inf
        self._resumed_at = 0.0
        self._first = 0
        self._runs: deque[Run] = deque(maxlen=REMEMBERED)
        self._levels: dict[int, int] = {}
        self._at_top = 0
        self._last = 0
        self._similar = 0
        self._known = False

    @property
    def taken_per_s(self) -> float:
        """The rate that the server takes at least, if it counts requests; 0 where nothing shows one.

        After a pause a bucket holds no more than the shortest run after one as long had: the rest came while it ran.
        """
        least = 0.0
        for one in self._runs:
            held = min(other.count for other in self._runs if other.pause_s >= SAME_PAUSE * one.pause_s)
            if one.count >= COUNT_MIN:
                least = max(least, (one.count - held - 1) / one.lasted_s)
        return least

    def on_pause(self, pause_s: float) -> None:
        """Record that every start waits for so long."""
        self._pause_s = max(pause_s, self._pause_s or 0.0)
        self._first = 0
        self._levels = {}

    def on_start(self, now: float, number: int, level: int) -> None:
        """Record a start as number `level` in flight; the first after a pause begins a run."""
        if self._pause_s is None:
            return
        if not self._first:
            self._first, self._resumed_at = number, now
        self._levels[level] = self._levels.get(level, 0) + 1

    def on_refused(
        self, number: int, started_at: float, level: int, *, is_explained: bool = False
    ) -> Finding:
        """Return what the run shows that this refusal ends, if it ends one.

        One that is explained by a known limit, which this start was beyond, contradicts no quota.
        """
        pause_s, first = self._pause_s, self._first
        if pause_s is None or not first or number < first:
            return Finding.NOTHING
        self._pause_s = None
        run = Run(
            pause_s=pause_s,
            count=number - first,
            lasted_s=max(1e-3, started_at - self._resumed_at),
            level=level,
            levels=self._levels,
        )
        if math.isfinite(pause_s):
            found = self._regular(run)
            if found is not Finding.NOTHING:
                return found
        found = self._refuted(run)
        return Finding.NOTHING if is_explained else found

    def _regular(self, run: Run) -> Finding:
        is_top = _at_least(run.level, run.levels) <= TOP * sum(run.levels.values())
        self._at_top = self._at_top + 1 if is_top else 0
        if self._at_top >= TOP_TIMES:
            self._at_top = 0
            return Finding.SLOTS
        last, self._last = self._last, run.count
        similar = run.count <= SIMILAR * last + 1 and last <= SIMILAR * run.count + 1
        self._similar = self._similar + 1 if similar and self._known else 0
        self._known = True
        if self._similar >= (REGULAR_TIMES if run.count > FEW else REGULAR_TIMES_FEW):
            return Finding.QUOTA
        return Finding.NOTHING

    def _refuted(self, run: Run) -> Finding:
        """Return whether a run and an earlier one contradict each other."""
        refuted = [one for one in self._runs if run.refutes(one)]
        refuted += [run for one in self._runs if one.refutes(run)][:1]
        for one in refuted:
            one.is_refuted = True
        self._runs.append(run)
        return Finding.CHANCE if refuted else Finding.NOTHING


def _at_least(level: int, levels: dict[int, int]) -> int:
    """Return how many starts were at this level or above."""
    return sum(starts for at, starts in levels.items() if at >= level)
