"""Estimates the remaining time from the time taken so far, per file and per byte, and words it."""

from __future__ import annotations

import math

from bulk_upload.core.text.printable import human_seconds

RANGE_FROM_S = 120.0
RANGE_RATIO_MIN = 1.25
"""Two estimates that differ by less, or of less than two minutes, are shown as one, the longer."""

STEADY_SHARE = 0.1
STEADY_S_MIN, STEADY_S_MAX = 3.0, 60.0
"""An estimate follows a new one within about a tenth of the remaining time."""

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


class SteadyEstimate:
    """A remaining time that counts down: a new estimate moves the expected end gradually."""

    def __init__(self) -> None:
        self._at = 0.0
        self._end: float | None = None

    def update(self, at: float, left_s: float) -> float:
        """Return the remaining seconds at `at` (monotonic), after an estimate of `left_s`."""
        end = at + left_s
        if self._end is not None:
            fade_s = min(STEADY_S_MAX, max(STEADY_S_MIN, STEADY_SHARE * left_s))
            end += (self._end - end) * math.exp(-(at - self._at) / fade_s)
        self._at, self._end = at, end
        return max(0.0, end - at)


def whole_seconds(seconds: float) -> str:
    """Return a wait as `12 s` or `3 min 05 s`, rounded up: a countdown should not flicker in tenths."""
    whole = math.ceil(round(seconds, 3))
    return f"{whole} s" if whole < 60 else human_seconds(whole)


def time_range(least_s: float, most_s: float) -> str:
    """Return two estimates as text: `55 s`, `12 min 05 s`, or, where they differ, `5 to 13 min`."""
    if most_s < RANGE_FROM_S or most_s <= least_s * RANGE_RATIO_MIN:
        return whole_seconds(most_s)
    unit_s, unit = (60, "min") if most_s < 2 * 3600 else (3600, "h")
    least, most = max(1, round(least_s / unit_s)), math.ceil(most_s / unit_s)
    return whole_seconds(most_s) if least >= most else f"{least} to {most} {unit}"
