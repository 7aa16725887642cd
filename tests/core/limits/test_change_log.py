"""Few records of how starts were governed, and never a wrong last one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.limits.change_log import APART_S_FIRST, RECORDS_A_STRIDE, ControllerLog, ControllerState

EIGHT = ControllerState(limit=8, rate_per_s=None, pause_s=0.0, reason="asked for")
TICK_S = 0.25


def test_the_first_state_is_recorded_and_no_repetition() -> None:
    """Where nothing changes there is one record."""
    log = ControllerLog()
    assert [log.look(at * TICK_S, EIGHT) for at in range(20)] == [True] + [False] * 19


def test_limit_rate_and_pause_are_worth_a_record() -> None:
    """A rate's tenth is, less is not; a pause once, not for every second it gets shorter; a longer one again."""
    log = ControllerLog()
    at = 0.0

    def looked(**what: object) -> bool:
        nonlocal at
        at += 2.0
        return log.look(at, replace(EIGHT, **what))

    assert looked()
    assert looked(limit=9)
    assert looked(limit=9, rate_per_s=10.0)
    assert not looked(limit=9, rate_per_s=10.9)
    assert looked(limit=9, rate_per_s=11.1)
    assert looked(limit=9)
    assert looked(limit=9, pause_s=30.0)
    assert not looked(limit=9, pause_s=28.0)
    assert looked(limit=9, pause_s=40.0)
    assert not looked(limit=9)
    assert looked(limit=9, chance_known=True)
    assert not looked(limit=9, chance_known=True)


def test_a_burst_of_changes_is_one_record_of_its_last_state() -> None:
    """At most one a second; what is there after it is recorded."""
    log = ControllerLog()
    recorded = [
        state.limit
        for number, state in enumerate([EIGHT, *(replace(EIGHT, limit=n) for n in (9, 10, 11, 12, 12, 12))])
        if log.look(number * TICK_S, state)
    ]
    assert recorded == [8, 12]


def test_a_day_of_constant_change_stays_small() -> None:
    """The time between two records doubles with every stride."""
    log = ControllerLog()
    count = sum(log.look(float(at), replace(EIGHT, limit=1 + at % 2)) for at in range(86_400))
    assert RECORDS_A_STRIDE < count <= 6_600


@given(limits=st.lists(st.integers(1, 5), min_size=1, max_size=60))
def test_what_lasts_is_recorded(limits: list[int]) -> None:
    """Once nothing changes any more, the last record is how it is."""
    log = ControllerLog()
    at = 0.0
    last = 0
    for limit in [*limits, *[limits[-1]] * 5]:
        at += TICK_S
        if log.look(at, replace(EIGHT, limit=limit)):
            last = limit
    assert last == limits[-1]
    assert 5 * TICK_S > APART_S_FIRST
