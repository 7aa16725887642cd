"""Whether to try again, and when: a decision based on outcomes, with a random number as an argument."""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from bulk_upload.core.limits.pause import WAIT_S_MAX
from bulk_upload.core.model import (
    Accepted,
    InDoubt,
    Misdirected,
    NotSent,
    Outcome,
    Refused,
    Rejected,
    SourceFailed,
    Throttled,
    Unavailable,
)

DOUBLINGS_BY_CHANCE = 1
"""How often a backoff doubles where failures do not depend on the load. Measured: the last file of a run of 20 s that
failed three times cost it 5 %."""


class TryAgain(msgspec.Struct, frozen=True):
    """Send the entry again after `delay_s`. `uses_attempt` is False for throttling and local limits."""

    delay_s: float
    uses_attempt: bool = True


class Settle(msgspec.Struct, frozen=True):
    """The outcome is final for this entry."""


class Reconcile(msgspec.Struct, frozen=True):
    """Look for the file in the server's list before anything else happens to the entry."""


class Leave(msgspec.Struct, frozen=True):
    """Leave the entry pending: this run does not try it again."""

    reason: str
    exhausted: bool = False


class StopRun(msgspec.Struct, frozen=True):
    """The outcome is about the whole run (credentials, a redirect): keep all entries and stop."""


RetryDecision = TryAgain | Settle | Reconcile | Leave | StopRun


class RetryBudget(msgspec.Struct, frozen=True, kw_only=True):
    """Limits the share of a run that may be retries: successes earn tokens, retries spend them.

    An empty budget never ends a run, it slows retries to `slow_s`. Modelled on botocore's retry
    quota, with values found by simulation.
    """

    tokens: float = 20.0
    tokens_max: float = 50.0
    earned_per_success: float = 0.2

    def earn(self) -> RetryBudget:
        """Return the budget after one accepted entry."""
        if self.tokens >= self.tokens_max:
            return self
        return replace(self, tokens=min(self.tokens_max, self.tokens + self.earned_per_success))

    def spend(self) -> RetryBudget:
        """Return the budget after one retry; it never goes below zero."""
        return replace(self, tokens=max(0.0, self.tokens - 1.0))

    @property
    def empty(self) -> bool:
        """Whether the next retry has no token left."""
        return self.tokens < 1.0


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Exponential backoff with full jitter, at most `attempts_max` attempts that count.

    Requests that the server throttled, and those that this machine did not make, do not count. A wait doubles once, not
    each time, while the server fails a share of requests whatever their number.

    Args:
        attempts_max: requests for one entry in one run, the first included.
        backoff_s_initial: the longest wait after the first failed attempt; it doubles with each further one.
        backoff_s_max: no wait for the next attempt is longer.
        slow_s: the shortest and the longest wait while retries are many beside what is accepted (`RetryBudget`).
        local_limit_s: about how long to wait when this machine is short of something, such as open files.
        throttled_s: the longest wait of a throttled entry to which the server named none.
    """

    attempts_max: int = 6
    backoff_s_initial: float = 0.5
    backoff_s_max: float = 30.0
    slow_s: tuple[float, float] = (5.0, 15.0)
    local_limit_s: float = 1.0
    throttled_s: float = 0.5

    def decide(
        self,
        outcome: Outcome,
        *,
        attempts_used: int,
        budget_empty: bool,
        jitter: float,
        is_probe: bool = False,
        by_chance: bool = False,
    ) -> RetryDecision:
        """Return what happens after `outcome`.

        Args:
            outcome: what the latest attempt ended with.
            attempts_used: attempts that count, the latest included.
            budget_empty: whether the run's retry budget has no token left.
            jitter: a fresh random number in [0, 1).
            is_probe: the attempt tested whether an outage is over: its failure does not count against the entry.
            by_chance: the server was seen to fail a share of requests whatever their number: a longer wait helps nobody.
        """
        match outcome:
            case Accepted() | Rejected() | SourceFailed():
                return Settle()
            case Refused() | Misdirected() | Unavailable(remedy=str()):
                return StopRun()
            case Throttled(retry_after_s=retry_after_s):
                return TryAgain(delay_s=self._throttled_s(retry_after_s, jitter), uses_attempt=False)
            case InDoubt():
                return Reconcile()
            case NotSent():
                return self._not_sent(outcome, attempts_used=attempts_used, jitter=jitter)
            case Unavailable() if is_probe:
                # The breaker does the waiting; the entry adds nothing of its own.
                return TryAgain(delay_s=0.0, uses_attempt=False)
            case Unavailable(reason=reason, cut_off=cut_off):
                if cut_off:
                    reason = f"{reason}; the server closes while reading: too large?"
                return self.again(
                    reason,
                    attempts_used=attempts_used,
                    budget_empty=budget_empty,
                    jitter=jitter,
                    by_chance=by_chance,
                )
        assert_never(outcome)

    def _throttled_s(self, retry_after_s: float | None, jitter: float) -> float:
        """Return how long a throttled entry waits by itself, whether or not all others wait with it.

        A wait that the server named binds the request that got it. Without one, a short wait keeps an entry that is
        always refused from being sent in a loop.
        """
        if not retry_after_s:
            return self.throttled_s * jitter
        return min(WAIT_S_MAX, retry_after_s)

    def _not_sent(self, outcome: NotSent, *, attempts_used: int, jitter: float) -> TryAgain | Leave:
        """Return what happens after an attempt that ended for a reason of this machine.

        A file system that failed is tried as often as a server, and the retry budget is neither asked nor spent: the
        server has no part in it. A mount is rarely back at once, so there is a shortest wait.
        """
        wait_s = self.local_limit_s * (0.5 + jitter)
        if outcome.local_limit:
            return TryAgain(delay_s=wait_s, uses_attempt=False)
        if not outcome.transient:
            return Leave(reason=outcome.reason)
        decision = self.again(outcome.reason, attempts_used=attempts_used, budget_empty=False, jitter=jitter)
        return decision if isinstance(decision, Leave) else TryAgain(delay_s=max(decision.delay_s, wait_s))

    def again(
        self,
        reason: str,
        *,
        attempts_used: int,
        budget_empty: bool,
        jitter: float,
        by_chance: bool = False,
    ) -> TryAgain | Leave:
        """Return the wait before the next attempt, or `Leave` when `attempts_used` reached the limit.

        The arguments are those of `decide`.
        """
        if attempts_used >= self.attempts_max:
            plural = "attempt" if attempts_used == 1 else "attempts"
            return Leave(reason=f"{reason} (after {attempts_used} {plural})", exhausted=True)
        # Bounded so that a very large --max-attempts cannot overflow a float.
        doublings = min(attempts_used - 1, DOUBLINGS_BY_CHANCE if by_chance else 30)
        ceiling_s = min(self.backoff_s_max, self.backoff_s_initial * 2.0**doublings)
        delay_s = ceiling_s * jitter
        if budget_empty:
            low_s, high_s = self.slow_s
            delay_s = max(delay_s, low_s + (high_s - low_s) * jitter)
        return TryAgain(delay_s=delay_s)
