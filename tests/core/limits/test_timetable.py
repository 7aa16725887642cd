"""Which cap holds at which time of day."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.limits.timetable import MINUTES_A_DAY, Span, Timetable, bandwidth_text, rate_text

OFFICE = Timetable((Span(8 * 60, 2e6), Span(19 * 60, None)))
MINUTES = st.integers(0, MINUTES_A_DAY - 1)


@pytest.mark.parametrize(
    ("minute", "cap"),
    [(0, None), (479, None), (480, 2e6), (1139, 2e6), (1140, None), (1439, None)],
)
def test_each_span_holds_until_the_next(minute: int, cap: float | None) -> None:
    """From its minute on; before the first of a day the last one of the day before holds."""
    assert OFFICE.bytes_per_s(minute) == cap


@given(minutes=st.sets(MINUTES, min_size=1, max_size=10), at=MINUTES)
def test_every_minute_has_exactly_one_cap(minutes: set[int], at: int) -> None:
    """The span with the latest beginning that is not in the future, in a day that follows itself."""
    table = Timetable(tuple(Span(minute, float(minute + 1)) for minute in sorted(minutes)))
    begun = [minute for minute in minutes if minute <= at]
    assert table.bytes_per_s(at) == max(begun or minutes) + 1


@given(at=MINUTES)
def test_a_cap_for_the_whole_day_holds_at_all_times(at: int) -> None:
    """One span needs no time."""
    assert Timetable.always(5e6).bytes_per_s(at) == 5e6


@pytest.mark.parametrize(
    "spans",
    [(), (Span(60, 1.0), Span(60, 2.0)), (Span(60, 1.0), Span(0, 2.0)), (Span(-1, 1.0),), (Span(1440, 1.0),)],
)
def test_what_is_no_timetable(spans: tuple[Span, ...]) -> None:
    """Times go up within one day."""
    with pytest.raises(ValueError, match="span"):
        Timetable(spans)


def test_caps_are_told_as_they_are_typed() -> None:
    """What a person reads can be typed back."""
    assert str(OFFICE) == "08:00,2MB/s 19:00,off"
    assert str(Timetable.always(1_500.0)) == "1.5kB/s"
    assert [bandwidth_text(one) for one in (None, 5e6, 1.25e9, 999.0)] == [
        "off",
        "5MB/s",
        "1.25GB/s",
        "999B/s",
    ]
    assert [rate_text(one) for one in (None, 5.0, 0.5, 20 / 60)] == ["off", "5/s", "30/min", "20/min"]
