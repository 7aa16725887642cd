"""Pause: how long the server asked us to wait. It stops every start of a run, not one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk_upload.core.model import RateLimitInfo

WAIT_S_MAX = 86_400.0
"""No pause is longer than a day; a run's patience ends long before."""

UNNAMED_S_FIRST = 1.0
UNNAMED_S_MAX = 60.0
"""A refusal that names no wait pauses for half to all of one second, then of two, four, up to a minute."""


class Pause:
    """When starts are allowed again. Times are monotonic seconds; `jitter` is a fresh random number in [0, 1).

    Three things pause: a wait that the server named, or the default one of a refusal without it; a quota that is used
    up; and a rest of about one round trip after a burst of refusals. A pause is only ever made longer, except that
    `end` suspends it, and `resume` lets what is left of the named waits bind every start again.
    """

    def __init__(self) -> None:
        self._until = float("-inf")
        self._named_until = float("-inf")
        self._named_binds_all = True
        self._refused_at = float("-inf")
        self._unnamed_s = UNNAMED_S_FIRST
        self._newest = 0
        self._last_allowed = 0
        self._reset_at = float("-inf")

    def hold(self, now: float, wait_s: float, jitter: float = 0.0) -> None:
        """Stop all starts for `wait_s`, and up to 5 % more so that many clients do not return together."""
        self._until = max(self._until, now + min(WAIT_S_MAX, wait_s) * (1 + 0.05 * jitter))

    def on_named(self, now: float, wait_s: float, jitter: float = 0.0) -> None:
        """Record a wait that the server named; it stops all starts, unless `end` was called after the last `resume`."""
        self._named_until = max(self._named_until, now + min(WAIT_S_MAX, wait_s) * (1 + 0.05 * jitter))

    def end(self, now: float) -> None:
        """End the pause that refusals made: they were seen to bind only the requests they refused."""
        self._until = min(self._until, now)
        self._named_binds_all = False

    def resume(self) -> None:
        """Let named waits stop all starts again, also those that the server named meanwhile and that are not over: what
        was seen does not hold any more."""
        self._named_binds_all = True

    def on_refusal(
        self, now: float, *, started_at: float, retry_after_s: float | None, jitter: float
    ) -> float:
        """Pause after a refusal and return for how many seconds from `now`.

        A named wait is obeyed in full. Without one, or with one of zero, the wait doubles with each burst of refusals;
        requests that started before the latest refusal that counted belong to the same burst and change nothing.
        """
        if retry_after_s:
            self.on_named(now, retry_after_s, jitter)
            self._refused_at = now
        elif started_at > self._refused_at:
            self._until = max(self._until, now + self._unnamed_s * (0.5 + 0.5 * jitter))
            self._unnamed_s = min(UNNAMED_S_MAX, self._unnamed_s * 2)
            self._refused_at = now
        return self.wait_s(now)

    def on_success(self) -> None:
        """Restart the doubling: the server accepts again."""
        self._unnamed_s = UNNAMED_S_FIRST

    def allow(self, now: float, number: int, allowance: RateLimitInfo) -> None:
        """Record, from the answer to request `number`, how many more the server accepts, and until when.

        The requests that started after it are part of what remains. Answers come back in any order: the one to
        the newest request counts, older ones are ignored.
        """
        if number < self._newest:
            return
        self._newest = number
        self._last_allowed = number + allowance.remaining
        self._reset_at = now + allowance.reset_s

    def wait_s(self, now: float, started_count: int = 0) -> float:
        """Return for how long no upload may start, after `started_count` starts so far; 0 means now.

        The count matters only where `allow` is called.
        """
        until = max(self._until, self._named_until) if self._named_binds_all else self._until
        if started_count >= self._last_allowed:
            until = max(until, self._reset_at)
        return max(0.0, until - now)

    def named_wait_s(self, now: float) -> float:
        """Return how long the waits that the server named still last, also those that `end` suspended."""
        return max(0.0, self._named_until - now)
