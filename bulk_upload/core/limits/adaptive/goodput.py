"""Goodput: the throughput of an epoch, comparable across a changing mix of small and large files."""

from __future__ import annotations

import math

import msgspec

FORGETTING = 0.99
"""How much of a sample's weight is left after the next one: the fit remembers about a hundred uploads."""

SETTLE_S_MAX = 2.0
EPOCH_S = (1.0, 6.0)
EPOCH_ROUND_TRIPS = 1.5
EPOCH_UPLOADS = 16
QUICK_S = 0.25
QUICK_UPLOADS = 16
USED = 0.75
CLEAN_SHARE = 0.1
"""More than this share refused is more than chance: no level was held."""


class Epoch(msgspec.Struct, frozen=True):
    """The goodput at one limit: uploads and bytes per second; `is_clean` where hardly anything was refused."""

    limit: int
    uploads_per_s: float
    bytes_per_s: float
    is_clean: bool = True


class UploadCost:
    """Fits `seconds = fixed_s + byte_s * bytes` to finished uploads: relative least squares, decayed.

    Bytes alone would misjudge a run of small files, the number of files one of large files.
    """

    def __init__(self) -> None:
        self._w = self._wx = self._wxx = self._wy = self._wxy = 0.0
        self.seconds = 0.0
        self._fitted: tuple[float, float] | None = None

    def add(self, file_bytes: int, seconds: float) -> None:
        """Learn from one accepted upload."""
        self._fitted = None
        seconds = max(1e-3, seconds)
        x = file_bytes / 1e6
        # Relative: an error of 10 % counts the same for a small file and for a large one.
        weight = 1.0 / (seconds * seconds)
        self._w = self._w * FORGETTING + weight
        self._wx = self._wx * FORGETTING + weight * x
        self._wxx = self._wxx * FORGETTING + weight * x * x
        self._wy = self._wy * FORGETTING + weight * seconds
        self._wxy = self._wxy * FORGETTING + weight * x * seconds
        self.seconds += (seconds - self.seconds) * (0.05 if self.seconds else 1.0)

    @property
    def known(self) -> bool:
        """Whether anything was accepted."""
        return self._w > 0

    @property
    def fixed_s(self) -> float:
        """Seconds an empty upload takes: about a round trip."""
        return self._fit()[0]

    def work(self, epoch: Epoch) -> float:
        """Return an epoch's goodput as seconds of upload per second; compare only values of the same moment."""
        fixed_s, megabyte_s = self._fit()
        return fixed_s * epoch.uploads_per_s + megabyte_s * epoch.bytes_per_s / 1e6

    def _fit(self) -> tuple[float, float]:
        if self._fitted is None:
            self._fitted = self._refit()
        return self._fitted

    def _refit(self) -> tuple[float, float]:
        if not self._w:
            return 1.0, 0.0
        spread = self._w * self._wxx - self._wx * self._wx
        if spread <= 1e-9 * self._w * self._wxx:
            return self._wy / self._w, 0.0
        slope = (self._w * self._wxy - self._wx * self._wy) / spread
        fixed = (self._wy - slope * self._wx) / self._w
        if slope <= 0:
            return self._wy / self._w, 0.0
        if fixed <= 0:
            return 1e-6, self._wxy / self._wxx
        return fixed, slope


class Meter:
    """Measures epochs: long enough to be significant, and void where the slots were not really used.

    Times are monotonic seconds.
    """

    def __init__(self, limit: int) -> None:
        self.cost = UploadCost()
        self._level = 0
        self._level_at = float("-inf")
        self.restart(float("-inf"), limit, quick=True)

    def restart(self, now: float, limit: int, *, quick: bool = False) -> None:
        """Start measuring at `limit`, once it affects what is in flight; `quick` where a large step is judged."""
        self._limit = limit
        self._quick = quick
        self._settles_at = now + min(SETTLE_S_MAX, self.cost.seconds)
        self._measuring = False
        self._void = False

    def void(self) -> None:
        """Discard the current epoch: something of our own held starts back."""
        self._void = True

    def on_level(self, now: float, level: int) -> None:
        """Record how many uploads are in flight from now on."""
        if self._measuring:
            self._level_s += self._level * max(0.0, now - self._level_at)
        self._level = level
        self._level_at = now

    def on_bytes(self, count: int) -> None:
        """Record bytes sent, or, as a negative number, taken back."""
        if self._measuring:
            self._bytes += count

    def on_refused(self) -> None:
        """Record that an upload was refused."""
        if self._measuring:
            self._refused += 1

    def on_success(self, file_bytes: int, seconds: float) -> None:
        """Record an accepted upload."""
        self.cost.add(file_bytes, seconds)
        if self._measuring:
            self._uploads += 1

    def close(self, now: float) -> Epoch | None:
        """Return the epoch if it is over and can be judged. A new one begins where it ended."""
        if not self._measuring:
            # A step down has no effect before the surplus has drained.
            if now >= self._settles_at and self._level <= self._limit:
                self._begin(now)
            return None
        lasted_s = now - self._began_at
        if not self._over(lasted_s):
            return None
        self.on_level(now, self._level)
        worth = (
            not self._void
            and self._level_s >= USED * self._limit * lasted_s
            and (self._uploads > 0 or self._bytes > 0)
        )
        epoch = Epoch(
            self._limit,
            self._uploads / lasted_s,
            max(0, self._bytes) / lasted_s,
            is_clean=self._refused <= CLEAN_SHARE * self._uploads,
        )
        self._begin(now)
        return epoch if worth else None

    @property
    def uploads(self) -> int:
        """Accepted uploads in this epoch so far."""
        return self._uploads if self._measuring else 0

    def _over(self, lasted_s: float) -> bool:
        shortest_s = EPOCH_ROUND_TRIPS * min(self.cost.seconds, EPOCH_S[1])
        if self._quick and self._uploads >= max(QUICK_UPLOADS, self._limit):
            return lasted_s >= max(QUICK_S, shortest_s)
        if self._uploads >= EPOCH_UPLOADS and lasted_s >= max(EPOCH_S[0], shortest_s):
            return True
        return lasted_s >= EPOCH_S[1]

    def _begin(self, now: float) -> None:
        self._measuring = True
        self._void = False
        self._began_at = now
        self._level_at = now
        self._level_s = 0.0
        self._uploads = self._refused = 0
        self._bytes = 0


def geometric_mean(low: int, high: int) -> int:
    """Return the integer nearest to the geometric mean."""
    return max(1, round(math.sqrt(low * high)))
