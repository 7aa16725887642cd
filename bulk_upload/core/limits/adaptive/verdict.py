"""Verdict: whether a refusal concerns the slots or the rate."""

from __future__ import annotations

FEW = 2
"""With at most this many in flight a refusal concerns the rate: quotas are more common than limits of one or two."""

OUTGROWN = 1.3
APART_MIN = 2
"""A limit of simultaneous requests is one number. It looks soft from here by what is on its way: this factor, and at
least so many, must lie between what a burst left and what was accepted later."""

BELOW_SHARE = 15 / 16
BELOW_TIMES = 3
SETTLE_TRIPS = 3.0

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
        self._below = 0
        self._refuted = 0
        self._ceiling_at = float("-inf")

    def on_ceiling(self, now: float, ceiling: int | None, tests_met: int) -> None:
        """Record what a burst of refusals left; `tests_met` is how many tests of this ceiling were refused."""
        self._ceiling_at = now
        self._left = ceiling if tests_met == 0 else None

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
        if paced or self.rate_suspected or level <= FEW:
            return False
        if now < self._ceiling_at + SETTLE_TRIPS * latency_s:
            return True
        if ceiling is None or level - 1 > BELOW_SHARE * ceiling:
            self._below = 0
            return True
        self._below += 1
        self.rate_suspected = self._below >= BELOW_TIMES
        return not self.rate_suspected
