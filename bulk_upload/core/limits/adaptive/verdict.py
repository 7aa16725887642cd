"""Verdict: whether a refusal concerns the slots or the rate."""

from __future__ import annotations

import math
from collections import deque

from bulk_upload.core.limits.adaptive.opening import FEW

OUTGROWN = 1.3
APART_MIN = 2
"""A limit of simultaneous requests is one number. It looks soft from here by what is on its way: this factor, and at
least so many, must lie between what a burst left and what was accepted later."""

BELOW_SHARE = 15 / 16
BELOW_TIMES = 3
SETTLE_TRIPS = 3.0

LEVELS = 64
"""With how many paced starts a refused one is compared."""

TOP = 1.5
TOP_MIN = 1.5
"""A refused start is at the top with this many times as much in flight as an average one; at least with so many more."""

TOP_USUAL = 1.3
TOP_STEP = math.log(4)
TOP_ENOUGH = 5.0
"""Of paced starts a limit of simultaneous requests refuses those at the top: four in five, a quota hardly one in five. Four
more at the top than not are enough. Between, what a quota refuses has as much in flight as any, and minus the logarithm
of the share with as much is one on average (Fisher, 1925): eight among the highest seventh are enough."""

ALONE_TIMES = 2
"""A limit of one at a time refuses none that is alone; another client at the same server may make it seem so once."""

LOW_TIMES = 3
"""So many refusals with fewer in flight than on average, near the known rate, and for each calm one, show that rate."""

REFUTED_TIMES = 2
"""Another client at the same quota may be what refuses slower starts: once shows little."""


class Verdict:
    """Suspects the slots until what a limit of simultaneous requests cannot do was seen; from then on the rate.

    Such a limit cannot refuse again and again what lies below it. And it cannot accept, at the first test, far more
    than a burst of refusals left. One that moves can; but that one was met by a test before.
    """

    def __init__(self, *, rate_suspected: bool = False) -> None:
        self.rate_suspected = rate_suspected
        self._left: int | None = None
        self._is_met = False
        self._below = 0
        self._refuted = 0
        self._levels: deque[int] = deque(maxlen=LEVELS)
        self._at_top = 0.0
        self._top_at = float("-inf")
        self._low_near = self._low_calm = 0
        self._is_slots = False
        self._alone = 0
        self._ceiling_at = float("-inf")

    def on_ceiling(self, now: float, ceiling: int | None, tests_met: int) -> None:
        """Record what a burst of refusals left; `tests_met` is how many tests of this ceiling were refused."""
        self._ceiling_at = now
        self._left = ceiling if tests_met == 0 else None
        self._is_met = self._is_met or tests_met > 0

    def untested(self, ceiling: int | None) -> int | None:
        """Return the ceiling if it is what a burst left, and no test of one was ever refused: it may be a bucket's."""
        return ceiling if ceiling == self._left and not self._is_met else None

    def on_paced(self, level: int) -> None:
        """Record a start that had waited for the rate, as number `level` in flight."""
        self._levels.append(level)

    def on_paced_refused(self, now: float, started_at: float, level: int, *, is_near: bool) -> bool:
        """Record that one was refused, and return whether that shows a limit of simultaneous requests.

        Paced starts are alike but for what is in flight. Of those that started together one counts.

        Args:
            now: monotonic seconds.
            started_at: when the refused one started.
            level: how many were in flight, itself included.
            is_near: it was paced at about the known rate.
        """
        if started_at <= self._top_at:
            return False
        self._top_at = now
        usual = sum(self._levels) / max(1, len(self._levels))
        if level < usual:
            self._low_near += is_near
            self._low_calm += not is_near
        self._at_top = max(0.0, self._at_top + self._top_step(level, usual))
        if self._at_top < TOP_ENOUGH:
            return False
        self._at_top = 0.0
        if not self.is_rate_met:
            self.on_slots_shown()
        return True

    @property
    def is_rate_met(self) -> bool:
        """Whether a rate refuses, whatever else does: what a limit of simultaneous requests takes was refused time and
        again, and hardly ever while starts were slower."""
        return self._low_near >= LOW_TIMES * max(1, self._low_calm)

    def _top_step(self, level: int, usual: float) -> float:
        """Return how much a refusal at this level speaks for a limit of simultaneous requests, against a quota."""
        levels = self._levels
        if level < usual + TOP_MIN:
            return -TOP_STEP
        if level >= TOP * usual:
            return TOP_STEP
        share = (1 + sum(one >= level for one in levels)) / (1 + len(levels))
        return max(-TOP_STEP, min(TOP_STEP, -math.log(share) - TOP_USUAL))

    def on_slots_shown(self) -> None:
        """Record that a limit of simultaneous requests was seen."""
        self._is_slots = True
        self.rate_suspected = False
        self._left = None
        self._below = self._alone = 0

    def on_alone(self) -> None:
        """Record that a start was refused with nothing else in flight."""
        if not self._is_slots:
            return
        self._alone += 1
        if self._alone >= ALONE_TIMES:
            self._is_slots = False
            self.rate_suspected = True

    def rate_refuted(self) -> None:
        """Record that slower starts were refused as often: what refuses next concerns the slots."""
        self._refuted += 1
        if self._refuted >= REFUTED_TIMES:
            self.rate_suspected = False
            self._left = None
            self._below = 0

    def on_level(self, level: int) -> None:
        """Record that so many in flight were accepted for a whole epoch."""
        left = self._left
        if left is not None and level >= OUTGROWN * left and level >= left + APART_MIN:
            self.rate_suspected = True

    def concerns_slots(
        self, now: float, level: int, *, paced: bool, ceiling: int | None, latency_s: float
    ) -> bool:
        """Return whether a refusal at this level concerns the slots; else it is the rate.

        Args:
            now: monotonic seconds.
            level: how many were in flight, the refused one included.
            paced: the start had waited for the rate.
            ceiling: the known one, if any.
            latency_s: of an upload; a new ceiling takes some of them to show.
        """
        if paced or self.rate_suspected or (level <= FEW and not self._is_slots):
            return False
        if now < self._ceiling_at + SETTLE_TRIPS * latency_s:
            return True
        if ceiling is None or level >= ceiling or level - 1 > BELOW_SHARE * ceiling:
            self._below = 0
            return True
        self._below += 1
        self.rate_suspected = self._below >= BELOW_TIMES
        return not self.rate_suspected
