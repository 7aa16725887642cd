"""The gate that all uploads of a run share: one throttled request pauses every start."""

from __future__ import annotations

from bulk_upload.core.display import human_seconds


class Gate:
    """When the next upload may start, from what the server said and how often it said no.

    Times are monotonic seconds; `jitter` is a fresh random number in [0, 1).
    """

    _UNNAMED_S_FIRST = 1.0
    _UNNAMED_S_MAX = 60.0

    def __init__(self) -> None:
        self._open_at = float("-inf")
        self._closed_at = float("-inf")
        self._unnamed_s = self._UNNAMED_S_FIRST

    def on_reject(
        self, now: float, *, started_at: float, retry_after_s: float | None, jitter: float
    ) -> float:
        """Close the gate after a refusal and return for how many seconds from `now`.

        A named wait is obeyed in full, with up to 5 % on top so that many clients do not return together.
        Without one, or with one of zero, the wait doubles with each burst of refusals; requests that started
        before the gate was last closed belong to the same burst and change nothing.
        """
        if retry_after_s:
            self._close(now, now + retry_after_s * (1 + 0.05 * jitter))
        elif started_at > self._closed_at:
            self._close(now, now + self._unnamed_s * (0.5 + 0.5 * jitter))
            self._unnamed_s = min(self._UNNAMED_S_MAX, self._unnamed_s * 2)
        return self.wait_s(now)

    def on_success(self) -> None:
        """Forget the doubling: the server accepts again."""
        self._unnamed_s = self._UNNAMED_S_FIRST

    def wait_s(self, now: float) -> float:
        """Return how long the gate stays closed; 0 means open."""
        return max(0.0, self._open_at - now)

    def _close(self, now: float, open_at: float) -> None:
        self._closed_at = now
        self._open_at = max(self._open_at, open_at)


UNKNOWN_SERVER_S = 30.0
"""How long a server that never answered may stay away: its address is more likely wrong than the server down."""


SHORT_S = 30.0
"""How long a run waits while this machine cannot make a request and nothing else moves: it may not get better by itself."""


class Patience:
    """How long a run lets itself be throttled, or waits for a server that is away, without getting anywhere.

    Args:
        limit_s: seconds from the first throttled answer, or the first probe in vain, after the latest accepted file.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: float | None = None
        self._short_since: float | None = None
        self._short_wire_bytes = 0

    def on_success(self) -> None:
        """Start anew: the run gets somewhere."""
        self._since = None
        self._short_since = None

    def on_answer(self) -> None:
        """Hear that a request could be made, whatever came of it: this machine has what that takes."""
        self._short_since = None

    def on_short(self, now: float, *, reason: str, wire_bytes: int) -> str | None:
        """Hear that this machine could not make a request; return why the run should stop, None while it should not.

        `wire_bytes` is what has left so far: while that grows, other requests are under way and will make room.
        """
        if self._short_since is None or wire_bytes != self._short_wire_bytes:
            self._short_since, self._short_wire_bytes = now, wire_bytes
        if now - self._short_since < min(SHORT_S, self._limit_s):
            return None
        return f"no request could be made for {human_seconds(now - self._short_since)}: {reason}"

    def on_throttled(self, now: float, *, retry_after_s: float | None) -> str | None:
        """Return why the run should stop instead of waiting on, None while it should not."""
        if self._since is None:
            self._since = now
        if retry_after_s is not None and retry_after_s > self._limit_s:
            return f"the server asks to wait {human_seconds(retry_after_s)}, longer than --patience allows"
        if now - self._since > self._limit_s:
            return f"the server throttled every upload for {human_seconds(now - self._since)}"
        return None

    def on_outage(self, now: float, *, reason: str, answered_ever: bool) -> str | None:
        """Hear that a probe failed; return why the run should stop instead of waiting on, None while it should not."""
        if self._since is None:
            self._since = now
        limit_s = self._limit_s if answered_ever else min(UNKNOWN_SERVER_S, self._limit_s)
        if now - self._since < limit_s:
            return None
        what = "nothing got through to the server" if answered_ever else "the server cannot be reached, tried"
        return f"{what} for {human_seconds(now - self._since)}: {reason}"
