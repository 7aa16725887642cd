"""What a simulated server allows. Everything is drawn from the scenario: nothing here knows who is asking."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from bulk_upload.core.model import RateLimitInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpec:
    """A server and the way to it. Times in seconds; moves are (time, new value), in order.

    Args:
        link_bytes_s: what all uploads share; `connection_bytes_s` what one of them gets at most.
        latency_s: of an upload of no bytes, +-20 %; half of it the server's, who counts the request meanwhile.
        cap: most requests at once; `rate_per_s` and `burst` a token bucket; `window` requests per so many seconds.
        charged: refused requests take from the bucket too.
        announced: answers carry what the window has left.
        late: refusals come after the whole body.
        retry_after_s: named in refusals; 0 means: exactly when the next one is allowed.
        workers: more requests than these queue; each takes `work_s`, longer beyond `collapse_at` at once.
        outage: from and to; then connections are refused, or with `outage_late` bodies taken and answered 503.
        chance: the share of requests refused at random, whatever the load; `chance_status` is the answer, 0 a reset;
            `chance_retry_after_s` is named in it, and with `chance_late` it comes after the body.
    """

    link_bytes_s: float = 125e6
    link_moves: tuple[tuple[float, float], ...] = ()
    connection_bytes_s: float = 12.5e6
    latency_s: float = 0.05
    cap: int | None = None
    cap_moves: tuple[tuple[float, int], ...] = ()
    rate_per_s: float | None = None
    burst: int = 1
    charged: bool = False
    window: tuple[int, float] | None = None
    announced: bool = False
    status: int = 429
    late: bool = False
    retry_after_s: float | None = None
    workers: int | None = None
    work_s: float = 0.1
    collapse_at: int | None = None
    outage: tuple[float, float] | None = None
    outage_late: bool = False
    chance: float = 0.0
    chance_status: int = 429
    chance_retry_after_s: float | None = None
    chance_late: bool = False


class Server:
    """The state of one server: who is in, what its bucket and its window have left."""

    def __init__(self, spec: ServerSpec) -> None:
        self.spec = spec
        self.inside = 0
        self.working = 0
        self.queue: deque[object] = deque()
        self._tokens = float(spec.burst)
        self._filled_at = 0.0
        self._window_no = -1
        self._window_used = 0

    def cap(self, now: float) -> int | None:
        """Return how many requests are taken at once now."""
        cap = self.spec.cap
        for at, value in self.spec.cap_moves:
            if now >= at:
                cap = value
        return cap

    def down(self, now: float) -> bool:
        """Whether there is an outage."""
        outage = self.spec.outage
        return outage is not None and outage[0] <= now < outage[1]

    def admit(self, now: float) -> bool:
        """Judge a request that arrives; what it takes from bucket and window is taken here."""
        spec = self.spec
        cap = self.cap(now)
        allowed = cap is None or self.inside < cap
        if spec.rate_per_s is not None:
            self._fill(now)
            if self._tokens >= 1.0:
                if allowed or spec.charged:
                    self._tokens -= 1.0
            else:
                allowed = False
                if spec.charged:
                    self._tokens = max(-float(spec.burst), self._tokens - 1.0)
        if spec.window is not None:
            self._turn(now)
            if self._window_used >= spec.window[0]:
                allowed = False
            elif allowed:
                self._window_used += 1
        return allowed

    def wait_s(self, now: float) -> float | None:
        """Return the Retry-After of a refusal."""
        spec = self.spec
        if spec.retry_after_s != 0.0:
            return spec.retry_after_s
        if spec.window is not None:
            return self.window_left(now)[1]
        if spec.rate_per_s is not None:
            self._fill(now)
            return max(0.001, (1.0 - self._tokens) / spec.rate_per_s)
        return 1.0

    def window_left(self, now: float) -> tuple[int, float]:
        """Return how many requests the window still takes, and for how long it lasts."""
        assert self.spec.window is not None
        self._turn(now)
        count, length_s = self.spec.window
        return count - self._window_used, (self._window_no + 1) * length_s - now

    def allowance(self, now: float) -> RateLimitInfo | None:
        """Return the RateLimit header of an answer."""
        if not self.spec.announced:
            return None
        left, lasts_s = self.window_left(now)
        return RateLimitInfo(left, lasts_s)

    def work_s(self) -> float:
        """Return how long a request takes that begins to be worked on now."""
        spec = self.spec
        if spec.collapse_at is not None and self.inside > spec.collapse_at:
            return spec.work_s * (self.inside / spec.collapse_at) ** 3
        return spec.work_s

    def _fill(self, now: float) -> None:
        assert self.spec.rate_per_s is not None
        self._tokens = min(
            float(self.spec.burst), self._tokens + (now - self._filled_at) * self.spec.rate_per_s
        )
        self._filled_at = now

    def _turn(self, now: float) -> None:
        assert self.spec.window is not None
        number = int(now // self.spec.window[1] + 1e-9)
        if number != self._window_no:
            self._window_no = number
            self._window_used = 0
