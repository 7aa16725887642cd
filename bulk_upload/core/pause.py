"""Pause: what the server said about when to come back. It stops every start of a run, not one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk_upload.core.allowance import Allowance

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

    def allow(self, now: float, number: int, allowance: Allowance) -> None:
        """Hear, in the answer to request `number`, how many more the server takes until when.

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
