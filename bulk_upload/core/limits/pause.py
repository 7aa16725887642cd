"""Pause: what the server said about when to come back. It stops every start of a run, not one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk_upload.core.model import RateLimitInfo

WAIT_S_MAX = 86_400.0
"""No pause is longer than a day; a run's patience ends long before."""


class Pause:
    """When starts are allowed again. Times are monotonic seconds.

    Three things close it: a wait that the server named, an allowance that is used up, and a breath of about one
    round trip after a burst of refusals. A pause is only ever made longer.
    """

    def __init__(self) -> None:
        self._until = float("-inf")
        self._newest = 0
        self._last_allowed = 0
        self._reset_at = float("-inf")

    def hold(self, now: float, wait_s: float, jitter: float = 0.0) -> None:
        """Let nobody start for `wait_s`, and up to 5 % more so that many clients do not return together."""
        self._until = max(self._until, now + min(WAIT_S_MAX, wait_s) * (1 + 0.05 * jitter))

    def allow(self, now: float, number: int, allowance: RateLimitInfo) -> None:
        """Record, from the answer to request `number`, how many more the server takes until when.

        The requests that started after it are part of what remains. Answers come back in any order: the one to
        the newest request knows best, older ones are not listened to.
        """
        if number < self._newest:
            return
        self._newest = number
        self._last_allowed = number + allowance.remaining
        self._reset_at = now + allowance.reset_s

    def wait_s(self, now: float, started_count: int) -> float:
        """Return for how long nobody may start, after `started_count` starts so far; 0 means now."""
        until = self._until
        if started_count >= self._last_allowed:
            until = max(until, self._reset_at)
        return max(0.0, until - now)


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
