"""Whether to try again, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from bulk_upload.core.run.retry import (
    Leave,
    Reconcile,
    RetryBudget,
    RetryDecision,
    RetryPolicy,
    Settle,
    StopRun,
    TryAgain,
)

UNAVAILABLE = Unavailable(reason="cannot connect")
FINAL: list[tuple[Outcome, RetryDecision]] = [
    (Accepted(file_id="file-1", http_status=200, size_confirmed=True), Settle()),
    (Rejected(http_status=422, reason="no"), Settle()),
    (SourceFailed(reason="changed"), Settle()),
    (Refused(http_status=401, reason="key"), StopRun()),
    (Misdirected(http_status=302, location_host="b"), StopRun()),
    (InDoubt(reason="lost", answered=False), Reconcile()),
    (InDoubt(reason="HTTP 500", answered=True, http_status=500), Reconcile()),
    (NotSent(reason="draining"), Leave(reason="draining")),
]


def decide(
    outcome: Outcome = UNAVAILABLE,
    *,
    attempts_used: int = 1,
    budget_empty: bool = False,
    jitter: float = 0.5,
    policy: RetryPolicy | None = None,
) -> RetryDecision:
    """Return what the default policy says."""
    chosen = policy or RetryPolicy()
    return chosen.decide(outcome, attempts_used=attempts_used, budget_empty=budget_empty, jitter=jitter)


def delay_s_of(decision: RetryDecision, *, uses_attempt: bool = True) -> float:
    """Return the wait of a decision that must be to try again."""
    assert isinstance(decision, TryAgain)
    assert decision.uses_attempt is uses_attempt
    return decision.delay_s


@pytest.mark.parametrize(("outcome", "decision"), FINAL)
def test_never_sent_again_as_it_is(outcome: Outcome, decision: RetryDecision) -> None:
    """What is settled, in doubt or about the whole run is not sent again, whatever is left of attempts."""
    for attempts_used in (1, 6, 100):
        for budget_empty in (False, True):
            assert decide(outcome, attempts_used=attempts_used, budget_empty=budget_empty) == decision


@pytest.mark.parametrize(
    ("attempts_used", "jitter", "delay_s"),
    [
        (1, 0.0, 0.0),
        (1, 0.5, 0.25),
        (1, 0.999, 0.4995),
        (2, 0.5, 0.5),
        (3, 0.5, 1.0),
        (5, 0.0, 0.0),
        (5, 0.999, 7.992),
    ],
)
def test_backoff(attempts_used: int, jitter: float, delay_s: float) -> None:
    """The wait is a random share of a ceiling that doubles with every attempt."""
    decision = decide(attempts_used=attempts_used, jitter=jitter)
    assert delay_s_of(decision) == pytest.approx(delay_s)


@pytest.mark.parametrize(("jitter", "delay_s"), [(0.0, 0.0), (0.5, 15.0), (0.999, 29.97)])
def test_backoff_has_a_ceiling(jitter: float, delay_s: float) -> None:
    """Late attempts wait no longer than the longest backoff."""
    policy = RetryPolicy(attempts_max=1000)
    decision = decide(attempts_used=50, jitter=jitter, policy=policy)
    assert delay_s_of(decision) == pytest.approx(delay_s)


@pytest.mark.parametrize(("jitter", "delay_s"), [(0.0, 5.0), (0.5, 10.0), (0.999, 14.99)])
def test_empty_budget_slows(jitter: float, delay_s: float) -> None:
    """An empty retry budget makes the wait 5 to 15 seconds; it never ends an entry."""
    assert delay_s_of(decide(budget_empty=True, jitter=jitter)) == pytest.approx(delay_s)


def test_empty_budget_shortens_nothing() -> None:
    """A backoff that is longer than the slow wait stays."""
    policy = RetryPolicy(attempts_max=100)
    decision = decide(attempts_used=20, budget_empty=True, jitter=0.9, policy=policy)
    assert delay_s_of(decision) == pytest.approx(27.0)


@pytest.mark.parametrize(("attempts_used", "delay_s"), [(1, 0.25), (2, 0.5), (3, 0.5), (5, 0.5)])
def test_failures_by_chance_double_a_backoff_once(attempts_used: int, delay_s: float) -> None:
    """The server fails as many requests whatever their number: waiting longer changes nothing."""
    decision = RetryPolicy().decide(
        UNAVAILABLE, attempts_used=attempts_used, budget_empty=False, jitter=0.5, by_chance=True
    )
    assert delay_s_of(decision) == pytest.approx(delay_s)


def test_failures_by_chance_use_attempts_all_the_same() -> None:
    """An entry that fails each time is left to a later run."""
    decision = RetryPolicy().decide(
        UNAVAILABLE, attempts_used=6, budget_empty=False, jitter=0.5, by_chance=True
    )
    assert isinstance(decision, Leave)


def test_attempts_used_up() -> None:
    """After the last attempt the entry is left pending, with its reason and how often it was tried."""
    assert isinstance(decide(attempts_used=5), TryAgain)
    assert decide(attempts_used=6) == Leave(reason="cannot connect (after 6 attempts)", exhausted=True)
    assert decide(attempts_used=1, policy=RetryPolicy(attempts_max=1)) == Leave(
        reason="cannot connect (after 1 attempt)", exhausted=True
    )


@pytest.mark.parametrize(("wait_s", "delay_s"), [(None, 0.25), (0.0, 0.25), (7.0, 7.0), (1e12, 86_400.0)])
def test_throttling_uses_no_attempt(wait_s: float | None, delay_s: float) -> None:
    """A throttled entry goes again for ever, and keeps the wait that it was told whether or not the others wait."""
    outcome = Throttled(http_status=429, retry_after_s=wait_s)
    decision = decide(outcome, attempts_used=10**6, budget_empty=True, jitter=0.5)
    assert decision == TryAgain(delay_s=delay_s, uses_attempt=False)


@pytest.mark.parametrize(("jitter", "delay_s"), [(0.0, 0.5), (0.5, 1.0), (0.999, 1.499)])
def test_local_limits_use_no_attempt(jitter: float, delay_s: float) -> None:
    """A shortage of this machine is nobody's fault: a short wait, no attempt spent."""
    outcome = NotSent(reason="too many open files", local_limit=True)
    decision = decide(outcome, attempts_used=100, jitter=jitter)
    assert delay_s_of(decision, uses_attempt=False) == pytest.approx(delay_s)


@given(
    st.integers(1, 10**18),
    st.integers(1, 10**18),
    st.booleans(),
    st.floats(0, 1, exclude_max=True),
)
def test_delay_is_bounded(attempts_used: int, attempts_max: int, budget_empty: bool, jitter: float) -> None:
    """With any number of attempts allowed and used, the wait is finite and within the bounds of the policy."""
    policy = RetryPolicy(attempts_max=attempts_max)
    decision = decide(attempts_used=attempts_used, budget_empty=budget_empty, jitter=jitter, policy=policy)
    assert isinstance(decision, Leave) is (attempts_used >= attempts_max)
    if isinstance(decision, TryAgain):
        assert decision.uses_attempt
        assert (5.0 if budget_empty else 0.0) <= decision.delay_s <= 30.0


@given(
    st.integers(1, 10**6),
    st.integers(1, 100),
    st.booleans(),
    st.floats(0, 1, exclude_max=True),
)
def test_a_file_system_that_failed_is_tried_again_after_a_wait_and_not_for_ever(
    attempts_used: int, attempts_max: int, budget_empty: bool, jitter: float
) -> None:
    """Each try counts, none comes at once, and the last one leaves the entry pending; the server's budget has no say."""
    policy = RetryPolicy(attempts_max=attempts_max)
    outcome = NotSent(reason="Stale file handle", transient=True)
    decision = decide(
        outcome, attempts_used=attempts_used, budget_empty=budget_empty, jitter=jitter, policy=policy
    )
    if attempts_used >= attempts_max:
        assert isinstance(decision, Leave)
        assert decision.exhausted
        assert decision.reason.startswith("Stale file handle (after ")
        return
    assert 0.5 <= delay_s_of(decision) <= 30.0
    assert decision == decide(outcome, attempts_used=attempts_used, jitter=jitter, policy=policy)


def test_budget() -> None:
    """Retries spend a token, successes earn a fifth of one, and neither goes beyond its bound."""
    budget = RetryBudget()
    for _ in range(20):
        assert not budget.empty
        budget = budget.spend()
    assert budget.empty
    assert budget.spend().tokens == 0.0
    for _ in range(5):
        assert budget.empty
        budget = budget.earn()
    assert budget.tokens == pytest.approx(1.0)
    assert RetryBudget(tokens=50.0).earn().tokens == 50.0


@given(st.lists(st.booleans(), max_size=300))
def test_budget_stays_in_bounds(successes: list[bool]) -> None:
    """Whatever a run goes through, its budget is between nothing and full."""
    budget = RetryBudget()
    for success in successes:
        budget = budget.earn() if success else budget.spend()
        assert 0.0 <= budget.tokens <= budget.tokens_max
