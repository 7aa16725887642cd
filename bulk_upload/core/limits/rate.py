"""Rate: how many uploads may start per second. Off until refusals show that the server counts requests."""

from __future__ import annotations

BETA = 0.85
"""After a refusal starts continue at this share of the rate the server accepted."""

RATE_MIN = 0.02
CLIMB_S_FIRST = 4.0
CLIMB_S_MAX = 60.0
CLIMB_STRETCH = 1.4
SAME = 0.2
STARTS_PER_CLIMB = 10
BURST_S = 0.05


class Rate:
    """A token bucket whose rate climbs back along a cubic, as CUBIC's window does (RFC 9438, section 4.2).

    The accepted rate `w` is returned to after one climb, passed by 15 % after two and left behind after three.
    The climb's clock runs only while the bucket holds starts back: an unused rate proves nothing.
    Times are monotonic seconds.
    """

    def __init__(self, per_s: float | None = None) -> None:
        self._accepted: float | None = None
        self._climb_s = CLIMB_S_FIRST
        self._climbed_s = 0.0
        self._tokens = 1.0
        self._filled_at = float("-inf")
        self._held_since: float | None = None
        self._held_until = 0.0
        if per_s is not None:
            self._accepted = max(RATE_MIN, per_s)

    @property
    def accepted(self) -> float | None:
        """The starts per second that the server was last seen to accept; None while off."""
        return self._accepted

    @property
    def per_s(self) -> float | None:
        """Starts per second now; None while off."""
        if self._accepted is None:
            return None
        climb_s = max(self._climb_s, min(CLIMB_S_MAX, STARTS_PER_CLIMB / self._accepted))
        return self._accepted * (1 + (1 - BETA) * (self._climbed_s / climb_s - 1) ** 3)

    def limit_to(self, now: float, accepted: float, *, climb_s: float | None = None) -> None:
        """Pace starts around the rate that the server was seen to accept.

        The same finding twice makes the next climb slower; `climb_s` says how long it takes where that is known.
        """
        accepted = max(RATE_MIN, accepted)
        known = self._accepted
        if climb_s is not None:
            self._climb_s = min(CLIMB_S_MAX, max(CLIMB_S_FIRST, climb_s))
        elif known is not None and abs(accepted - known) <= SAME * known:
            self._climb_s = min(CLIMB_S_MAX, self._climb_s * CLIMB_STRETCH)
        else:
            self._climb_s = CLIMB_S_FIRST
        self._accepted = accepted
        self._climbed_s = 0.0
        self._tokens = min(self._tokens, 1.0)
        self._filled_at = now
        self._held_since = None

    def wait_s(self, now: float) -> float:
        """Return how long the next start must wait for its token; 0 means now. A call counts as waiting to start."""
        per_s = self.per_s
        if per_s is None:
            return 0.0
        self._fill(now, per_s)
        if self._tokens >= 1.0:
            return 0.0
        wait_s = (1.0 - self._tokens) / per_s
        if self._held_since is None:
            self._held_since = now
        self._held_until = now + wait_s
        # Rounding must not leave a caller asking again for a wait too small to move a clock.
        return max(wait_s, 1e-6)

    def take(self, now: float) -> bool:
        """Spend a token on a start and return whether the start had to wait for it."""
        per_s = self.per_s
        if per_s is None:
            return False
        self._fill(now, per_s)
        self._tokens = max(-1.0, self._tokens - 1.0)
        since, self._held_since = self._held_since, None
        if since is None:
            return False
        self._climbed_s += max(0.0, min(now, self._held_until) - since)
        return True

    def _fill(self, now: float, per_s: float) -> None:
        passed_s = min(1e6, max(0.0, now - self._filled_at))
        self._filled_at = now
        self._tokens = min(max(1.0, BURST_S * per_s), self._tokens + passed_s * per_s + 1e-9)
