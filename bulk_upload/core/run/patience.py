"""How long a run continues while it is throttled or the server is down."""

from __future__ import annotations

from bulk_upload.core.text.printable import human_seconds

UNKNOWN_SERVER_S = 30.0
"""How long to wait for a server that never answered: its address is more likely wrong than the server down."""


SHORT_S = 30.0
"""How long a run waits while this machine cannot make a request and no other request progresses: waiting longer may
not help."""


UNREADABLE_S = 60.0
"""The same while file systems fail and no file can be read: a file server that restarts takes about as long."""


class Patience:
    """How long a run continues, with no file accepted, while it is throttled or the server is down.

    Args:
        limit_s: seconds from the first throttled answer, or the first failed probe, after the latest accepted file.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: float | None = None
        self._short = _Standstill()
        self._unreadable = _Standstill()

    def on_success(self) -> None:
        """Start again from zero: a file was accepted."""
        self._since = None
        self._short.end()
        self._unreadable.end()

    def on_answer(self) -> None:
        """Record that a request could be made, whatever came of it: this machine has what that takes."""
        self._short.end()

    def on_read(self) -> None:
        """Record that a file could be read, whatever became of its request: not every file system fails."""
        self._unreadable.end()

    def on_short(self, now: float, *, reason: str, wire_bytes: int) -> str | None:
        """Record that this machine could not make a request; return why the run should stop, None while it should not.

        `wire_bytes` counts all bytes sent so far: while it grows, other requests are in progress and will free
        resources.
        """
        lasted_s = self._short.lasted_s(now, wire_bytes)
        if lasted_s < min(SHORT_S, self._limit_s):
            return None
        return f"no request could be made for {human_seconds(lasted_s)}: {reason}"

    def on_unreadable(self, now: float, *, reason: str, wire_bytes: int) -> str | None:
        """Record that a file system failed to read a file; return why the run should stop, None while it should not.

        While `wire_bytes` grows, other files can be read.
        """
        lasted_s = self._unreadable.lasted_s(now, wire_bytes)
        if lasted_s < min(UNREADABLE_S, self._limit_s):
            return None
        return f"no file could be read for {human_seconds(lasted_s)}: {reason}"

    def on_throttled(self, now: float, *, retry_after_s: float | None) -> str | None:
        """Return why the run should stop instead of waiting longer, None while it should not."""
        if self._since is None:
            self._since = now
        if retry_after_s is not None and retry_after_s > self._limit_s:
            return f"the server asks to wait {human_seconds(retry_after_s)}, longer than --patience allows"
        if now - self._since > self._limit_s:
            return f"the server throttled every upload for {human_seconds(now - self._since)}"
        return None

    def on_outage(self, now: float, *, reason: str, answered_ever: bool) -> str | None:
        """Record that a probe failed; return why the run should stop instead of waiting longer, None while it should
        not."""
        if self._since is None:
            self._since = now
        limit_s = self._limit_s if answered_ever else min(UNKNOWN_SERVER_S, self._limit_s)
        if now - self._since < limit_s:
            return None
        what = "nothing got through to the server" if answered_ever else "the server cannot be reached, tried"
        return f"{what} for {human_seconds(now - self._since)}: {reason}"


class _Standstill:
    """Since when nothing has left."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._wire_bytes = 0

    def end(self) -> None:
        """Start again from zero."""
        self._since = None

    def lasted_s(self, now: float, wire_bytes: int) -> float:
        """Return how long it lasts by now, given what has left so far."""
        if self._since is None or wire_bytes != self._wire_bytes:
            self._since, self._wire_bytes = now, wire_bytes
        return now - self._since
