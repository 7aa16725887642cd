"""What this machine cannot bear is learnt from refusals, and tried again gently."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.limits.local_cap import LocalCap


def test_nothing_is_capped_before_a_refusal() -> None:
    """A machine that never refused bears any limit."""
    assert LocalCap().limited(1000) == 1000


def test_what_was_in_flight_beside_the_refused_upload_fits() -> None:
    """A refusal with twelve others in flight caps at twelve."""
    cap = LocalCap()
    cap.on_short(12)
    assert cap.limited(64) == 12
    assert cap.limited(8) == 8


def test_one_more_is_tried_after_each_round_that_went_well() -> None:
    """A cap of 3 becomes 4 after three uploads, and 5 after four more."""
    cap = LocalCap()
    cap.on_short(3)
    seen = []
    for _ in range(8):
        cap.on_success()
        seen.append(cap.limited(64))
    assert seen == [3, 3, 4, 4, 4, 4, 5, 5]


@given(st.lists(st.one_of(st.none(), st.integers(0, 50)), max_size=200), st.integers(1, 100))
def test_the_limit_stays_within_bounds(heard: list[int | None], limit: int) -> None:
    """Whatever happens, at least one upload may run, and never more than the controller allows."""
    cap = LocalCap()
    for others in heard:
        if others is None:
            cap.on_success()
        else:
            cap.on_short(others)
        assert 1 <= cap.limited(limit) <= limit
