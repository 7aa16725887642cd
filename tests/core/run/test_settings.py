"""What a person decided about a run."""

from __future__ import annotations

import pytest

from bulk_upload.core.run.settings import InDoubtPolicy, RunSettings


@pytest.mark.parametrize(
    ("settle_s", "answered", "expected_s"),
    [(30.0, False, 30.0), (30.0, True, 10.0), (1.0, True, 1.0), (0.0, True, 0.0), (0.0, False, 0.0)],
)
def test_settle_time(settle_s: float, answered: bool, expected_s: float) -> None:
    """An answered 5xx settles sooner than silence, and never later than the person asked for."""
    assert RunSettings(settle_s=settle_s).settles_after_s(answered=answered) == expected_s


@pytest.mark.parametrize(
    ("errors_max", "errors_share", "limit"),
    [(None, None, None), (5, None, 5), (None, 0.1, 20.0), (5, 0.1, 5), (50, 0.1, 20.0), (0, None, 0)],
)
def test_errors_limit(errors_max: int | None, errors_share: float | None, limit: float | None) -> None:
    """The stricter of a number and a share of 200 entries holds; without either the person set no limit."""
    settings = RunSettings(errors_max=errors_max, errors_share=errors_share)
    assert settings.errors_limit(200) == limit


def test_defaults() -> None:
    """A run that was told nothing reconciles, is patient for 15 minutes, tries six times and retries nothing settled."""
    settings = RunSettings()
    assert settings.in_doubt is InDoubtPolicy.RECONCILE
    assert settings.patience_s == 15 * 60
    assert settings.settle_s == 30
    assert settings.retry_policy.attempts_max == 6
    assert settings.retry == frozenset()
    assert settings.deadline_s is None
    assert settings.parked_max == 1000


def test_frozen() -> None:
    """Settings do not change while a run goes on."""
    with pytest.raises(AttributeError):
        # mypy refuses it as well: that it fails at run time is what is tested.
        RunSettings().concurrency = 3  # type: ignore[misc]


def test_policy_words() -> None:
    """The policies are the words of the command line."""
    assert [str(one) for one in InDoubtPolicy] == ["reconcile", "hold", "resend"]
