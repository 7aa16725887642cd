from __future__ import annotations

import pytest

from bulk_upload.report.live.smoothed_rate import SmoothedRate


def test_a_steady_flow_has_its_own_rate_from_the_first_interval_on() -> None:
    """A total that grows evenly gives the same rate early and late."""
    rate = SmoothedRate(fade_s=5.0)
    readings = [rate.update(at, 100.0 * at) for at in (0.0, 0.25, 0.5, 60.0)]
    assert readings[0] == 0.0
    assert readings[1:] == pytest.approx([100.0] * 3)


def test_a_standstill_fades_the_rate_away() -> None:
    """When nothing moves any more the rate goes towards zero, and never below."""
    rate = SmoothedRate(fade_s=5.0)
    rate.update(0.0, 0.0)
    rate.update(1.0, 1000.0)
    assert rate.update(6.0, 1000.0) < 500.0
    assert 0.0 <= rate.update(600.0, 1000.0) < 1e-6


def test_a_total_that_shrinks_counts_as_standing_still() -> None:
    """A rate is never negative."""
    rate = SmoothedRate(fade_s=5.0)
    rate.update(0.0, 500.0)
    assert rate.update(1.0, 100.0) == 0.0


def test_two_readings_at_one_moment_agree() -> None:
    """Reading again at once neither divides by zero nor changes the rate."""
    rate = SmoothedRate(fade_s=5.0)
    rate.update(0.0, 0.0)
    first = rate.update(1.0, 70.0)
    assert rate.update(1.0, 7000.0) == first
