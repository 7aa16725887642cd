"""Spacing: whether a start follows others more closely than usual."""

from __future__ import annotations

from collections import deque

EASY = 0.75
"""A start is easy when it, and the last few, follow at no less than this share of the usual distance."""

FEW = 4
WEIGHT = 1 / 32
LONGEST = 4.0


class Spacing:
    """The distances between starts. A bucket that holds few refuses what comes in a bunch. Times are seconds."""

    def __init__(self) -> None:
        self._at: deque[float] = deque(maxlen=FEW)
        self._usual_s = 0.0

    def on_start(self, now: float) -> bool:
        """Record a start and return whether it is easy."""
        at = self._at
        if not at:
            at.append(now)
            return False
        usual_s, apart_s = self._usual_s, now - at[-1]
        easy = len(at) == FEW and apart_s >= EASY * usual_s and now - at[0] >= EASY * FEW * usual_s
        self._usual_s += (min(apart_s, LONGEST * usual_s or apart_s) - usual_s) * WEIGHT
        at.append(now)
        return easy
