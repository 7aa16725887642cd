"""Circuit breaker: in an outage it stops all starts, probes with one request at a time, and closes on success."""

from __future__ import annotations

TRIP = 3
"""How many bad round trips in a row, without a success, count as an outage."""

FRESH_S = 2.0
"""For how long after a bad answer the successes of older uploads prove nothing."""

PROBE_SHARE = 0.1
PROBE_S_MIN = 1.0
PROBE_S_MAX = 30.0
BUSY_S = 1.0
"""How long to wait before asking again while a probe is unanswered: only its answer changes anything."""


class Breaker:
    """Closed: all may start. Open: only one probe at a time. Times are monotonic seconds.

    Round trips are counted, not requests: all requests that started before the latest bad answer belong to
    the same one.
    """

    def __init__(self) -> None:
        self._bad_count = 0
        self._bad_answers = 0
        self._first_bad = 0
        self._bad_since = float("inf")
        self._bad_at = float("-inf")
        self._opened_at: float | None = None
        self._probe_at = 0.0
        self._probe: int | None = None

    @property
    def open(self) -> bool:
        """Whether starts are stopped."""
        return self._opened_at is not None

    @property
    def bad_count(self) -> int:
        """Bad round trips since the last success."""
        return self._bad_count

    @property
    def bad_since(self) -> float:
        """When the answer to the first of them came; infinite when there is none."""
        return self._bad_since

    def wait_s(self, now: float) -> float:
        """Return how long the next start must wait; 0 means now."""
        if self._opened_at is None:
            return 0.0
        if self._probe is not None:
            return BUSY_S
        return max(0.0, self._probe_at - now)

    def on_start(self, number: int) -> bool:
        """Record a start and return whether it is the probe."""
        if self._opened_at is None or self._probe is not None:
            return False
        self._probe = number
        return True

    def on_bad(
        self, now: float, number: int, started_at: float, *, started_count: int, older_moves: bool
    ) -> bool:
        """Record a refusal or a failure and return whether the breaker just opened.

        It stays closed while most of the `started_count - number` that started since are unanswered: refusals come back
        sooner than acceptances. `older_moves` says that an upload from before the failures still makes progress: the
        server is up.
        """
        if self._opened_at is not None:
            if number == self._probe:
                self._probe = None
                self._probe_at = now + self._gap_s(now)
            return False
        if started_at > self._bad_at or self._bad_count == 0:
            if self._bad_count == 0:
                self._bad_since = now
                self._first_bad = number
                self._bad_answers = 0
            self._bad_count += 1
            self._bad_at = now
        self._bad_answers += 1
        unanswered = started_count - self._first_bad + 1 - self._bad_answers
        if self._bad_count < TRIP or older_moves or unanswered > self._bad_answers:
            return False
        self._opened_at = self._bad_since
        self._probe_at = now + self._gap_s(now)
        return True

    def on_success(self, now: float, number: int) -> float | None:
        """Record a success and return when the outage began if this ended it, else None.

        Uploads that started before the first that failed prove nothing shortly after; while open only the probe counts.
        """
        if self._opened_at is not None:
            if number != self._probe:
                return None
        elif number < self._first_bad and now - self._bad_at < FRESH_S:
            return None
        opened_at, self._opened_at, self._probe = self._opened_at, None, None
        self._bad_count = self._first_bad = 0
        self._bad_since = float("inf")
        return opened_at

    def on_cancel(self, number: int) -> None:
        """Record that a request ended without an answer: another probe may replace it."""
        if number == self._probe:
            self._probe = None

    def _gap_s(self, now: float) -> float:
        age_s = now - (self._opened_at if self._opened_at is not None else now)
        return min(PROBE_S_MAX, max(PROBE_S_MIN, PROBE_SHARE * age_s))
