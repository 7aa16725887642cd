"""The smoothed rate at which a number grows."""

from __future__ import annotations

import math

_SAMPLE_S_MIN = 0.05


class SmoothedRate:
    """The growth of a total per second, averaged with weights that fade with a time constant.

    Args:
        fade_s: seconds after which a sample has lost about two thirds of its weight.
    """

    def __init__(self, fade_s: float) -> None:
        self._fade_s = fade_s
        self._sampled_at: float | None = None
        self._total = 0.0
        self._sum = 0.0
        self._weight = 0.0

    def update(self, at: float, total: float) -> float:
        """Return the rate per second at `at` (monotonic seconds); a total that shrinks counts as standing still."""
        if self._sampled_at is None:
            self._sampled_at, self._total = at, total
            return 0.0
        elapsed_s = at - self._sampled_at
        if elapsed_s >= _SAMPLE_S_MIN:
            kept = math.exp(-elapsed_s / self._fade_s)
            self._sum = kept * self._sum + (1 - kept) * max(0.0, total - self._total) / elapsed_s
            self._weight = kept * self._weight + (1 - kept)
            self._sampled_at, self._total = at, total
        # Divided by the weight so that the first seconds are not pulled towards zero.
        return self._sum / self._weight if self._weight else 0.0
