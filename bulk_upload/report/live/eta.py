"""Estimates the remaining time from the time taken so far, per file and per byte."""

from __future__ import annotations

import math

_COLLINEAR_UNDER = 0.02
"""Below this share of independent variation, the cost of files and of bytes cannot be separated."""


class TwoTermPace:
    """Fits `seconds = a * files + b * bytes` to the samples, both terms at least 0.

    A rate in bytes alone is far off for a manifest that begins with large files and ends with small ones, and a rate
    in files the other way round. The fit gives the proportion of the two terms; they are then scaled so that
    together they account for exactly the time that passed, since least squares alone underrates a bursty series.

    Args:
        fade_s: seconds after which a sample has lost about two thirds of its weight; infinity keeps all.
    """

    def __init__(self, fade_s: float = math.inf) -> None:
        self._fade_s = fade_s
        self._seconds = self._files = self._bytes = 0.0
        self._ff = self._fb = self._bb = self._fs = self._bs = 0.0

    def add(self, seconds: float, file_count: int, byte_count: int) -> None:
        """Add a sample: the files finished and the bytes moved in a number of seconds."""
        kept = math.exp(-seconds / self._fade_s)
        self._seconds = kept * self._seconds + seconds
        self._files = kept * self._files + file_count
        self._bytes = kept * self._bytes + byte_count
        self._ff = kept * self._ff + file_count * file_count
        self._fb = kept * self._fb + file_count * byte_count
        self._bb = kept * self._bb + byte_count * byte_count
        self._fs = kept * self._fs + file_count * seconds
        self._bs = kept * self._bs + byte_count * seconds

    def left_s(self, file_count: int, byte_count: int) -> float | None:
        """Return how many seconds these files and bytes will take, None while unknown."""
        if not (file_count or byte_count):
            return 0.0
        a, b = self._proportion()
        explained = a * self._files + b * self._bytes
        work = a * file_count + b * byte_count
        if work <= 0 and self._files > 0:
            # Only empty files are left.
            return self._seconds / self._files * file_count
        return self._seconds * work / explained if explained > 0 else None

    def _proportion(self) -> tuple[float, float]:
        apart = self._ff * self._bb - self._fb * self._fb
        if apart > _COLLINEAR_UNDER * self._ff * self._bb:
            a = (self._fs * self._bb - self._bs * self._fb) / apart
            b = (self._bs * self._ff - self._fs * self._fb) / apart
            if a > 0 and b > 0:
                return a, b
            if a > 0:
                return 1.0, 0.0
        return (0.0, 1.0) if self._bytes > 0 else (1.0, 0.0)
