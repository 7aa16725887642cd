"""An agent's share of the bandwidth cap, as its coordinator last said."""

from __future__ import annotations

from bulk_upload.core.limits.capped import PIECE_BYTES_MIN, burst_bytes_for, piece_bytes_for
from bulk_upload.core.limits.token_bucket import TokenBucket

NOTHING_S = 0.25
"""How long a body waits under a share of nothing before it asks again: a new share wakes it earlier."""


class ShareCap:
    """`BytesCap` with a rate that changes; nothing may be sent before the first one."""

    def __init__(self) -> None:
        self._rate: float | None = 0.0
        self._bucket: TokenBucket | None = None

    @property
    def piece_bytes(self) -> int | None:
        """How many bytes to hand over at once; None while there is no cap."""
        return None if self._rate is None else max(PIECE_BYTES_MIN, piece_bytes_for(self._rate))

    def change(self, now: float, bytes_per_s: float | None) -> None:
        """Apply another share from now on; None for no cap, 0 for nothing."""
        self._rate = bytes_per_s
        if not bytes_per_s:
            self._bucket = None
            return
        burst = burst_bytes_for(bytes_per_s)
        old = self._bucket
        self._bucket = (
            TokenBucket(bytes_per_s, burst) if old is None else old.changed(now, bytes_per_s, burst)
        )

    def bytes_wait_s(self, now: float, count: int) -> float:
        """Return how long the share holds `count` bytes back."""
        if self._rate is None:
            return 0.0
        return NOTHING_S if self._bucket is None else self._bucket.wait_s(now, count)

    def take_bytes(self, now: float, count: int) -> None:
        """Count bytes that are handed over now."""
        if self._bucket is not None:
            self._bucket.take(now, count)
