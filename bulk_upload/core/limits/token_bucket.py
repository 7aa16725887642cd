"""A token bucket: a number of tokens a second, and never more at once than its burst."""

from __future__ import annotations

_EARLY_S = 1e-6
"""A shortfall below this is ignored: a task that slept exactly as long as required must not sleep again."""


class TokenBucket:
    """Limits a rate. Pure: times are monotonic seconds, tokens are starts or bytes.

    In any `t` seconds at most `rate * t + burst` tokens are taken, as long as no caller takes more than the burst at
    once. One that does waits until the bucket is full and leaves a debt that the next ones wait for.

    Args:
        rate: tokens added per second.
        burst: tokens the bucket holds; it is full at first.
    """

    def __init__(self, rate: float, burst: float) -> None:
        if rate <= 0 or burst <= 0:
            raise ValueError("rate and burst must be more than 0")
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at: float | None = None

    def wait_s(self, now: float, count: float = 1.0) -> float:
        """Return after how many seconds `count` tokens may be taken; 0 means now."""
        self._flow(now)
        missing_s = (min(count, self.burst) - self._tokens) / self.rate
        return missing_s if missing_s > _EARLY_S else 0.0

    def take(self, now: float, count: float = 1.0) -> None:
        """Take tokens; the caller has waited for them."""
        self._flow(now)
        self._tokens -= count

    def changed(self, now: float, rate: float, burst: float) -> TokenBucket:
        """Return a bucket with another rate that keeps this one's debt, and holds no more than this one held."""
        self._flow(now)
        bucket = TokenBucket(rate, burst)
        bucket._tokens = min(self._tokens, burst)
        bucket._at = now
        return bucket

    def _flow(self, now: float) -> None:
        if self._at is not None and now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        if self._at is None or now > self._at:
            self._at = now
