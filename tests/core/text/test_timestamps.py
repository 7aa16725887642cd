"""Times as text and back."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.text.timestamps import time_text, utc_seconds, utc_text

if TYPE_CHECKING:
    from collections.abc import Iterator

MOMENT_S = 1781775000.0


@pytest.fixture
def _far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_one_form() -> None:
    """A time is always written with microseconds and Z, so that text sorts as time does."""
    assert utc_text(MOMENT_S) == "2026-06-18T09:30:00.000000Z"
    assert utc_text(MOMENT_S + 0.123456) == "2026-06-18T09:30:00.123456Z"
    assert utc_text(0) == "1970-01-01T00:00:00.000000Z"


@given(
    st.floats(0, 4e9)
    | st.tuples(st.integers(0, 4 * 10**9), st.sampled_from([0.9999995, 0.9999994, 0.0000005])).map(sum)
)
def test_rounded_as_a_datetime(utc_s: float) -> None:
    """A time between two microseconds is written as Python's own datetime rounds it, also into the next second."""
    assert utc_text(utc_s) == datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.usefixtures("_far_from_utc")
@pytest.mark.parametrize(
    "text",
    [
        "2026-06-18T09:30:00Z",
        "2026-06-18T09:30:00",
        "2026-06-18T09:30:00.000000Z",
        "2026-06-18T09:30:00.0000001Z",
        "2026-06-18 09:30:00+00:00",
        "2026-06-18t09:30:00z",
        "2026-06-18T11:30:00+02:00",
        "2026-06-18T04:30:00-0500",
        "20260618T093000Z",
    ],
)
def test_read(text: str) -> None:
    """Any ISO 8601 form with seconds is read; without a zone it is UTC, wherever this machine is."""
    assert utc_seconds(text) == MOMENT_S


@pytest.mark.parametrize(
    "text",
    [
        None, "", "now", "1781775000", "2026-06-18", "20260618", "2026-W25-4", "2026-06-18T09", "2026-06-18T09:30",
        "2026-06-18T09:30Z", "2026-06-18T0930+01:00", "2026-13-18T09:30:00Z", "2026-06-18T25:30:00Z", "\udc80",
        "2026-06-18T09:30:00X", "Thu, 18 Jun 2026 09:30:00 GMT",
    ],
)  # fmt: skip
def test_not_a_moment(text: str | None) -> None:
    """What is no time to the second is not read as one: a day or a minute would be earlier than what it means."""
    assert utc_seconds(text) is None


@given(st.text(st.characters(exclude_categories=())) | st.from_regex(r"[0-9T:.Z+ -]{8,35}", fullmatch=True))
def test_any_text(text: str) -> None:
    """Any text is a finite time or none."""
    found_s = utc_seconds(text)
    assert found_s is None or math.isfinite(found_s)


@given(st.datetimes())
def test_any_moment(moment: object) -> None:
    """Every time that can be written at all is read to a finite number."""
    found_s = utc_seconds(str(moment))
    assert found_s is not None
    assert math.isfinite(found_s)


@given(st.integers(0, 4 * 10**15), st.integers(0, 4 * 10**15))
def test_round_trip_and_order(one_us: int, other_us: int) -> None:
    """A time that was written reads back the same, and texts sort as times do."""
    one_s, other_s = one_us / 10**6, other_us / 10**6
    assert utc_seconds(utc_text(one_s)) == pytest.approx(one_s, abs=2e-6)
    assert (utc_text(one_s) <= utc_text(other_s)) is (one_us <= other_us)


@pytest.mark.parametrize(
    "value",
    [
        1781775000,
        1781775000.0,
        "1781775000",
        1781775000000,
        "1781775000000",
        1781775000000000,
        "1781775000.000",
    ],
)
def test_a_number_is_a_unix_time(value: object) -> None:
    """Servers give seconds, milliseconds or smaller units, as a number or in quotes."""
    assert time_text(value) == "2026-06-18T09:30:00.000000Z"


@pytest.mark.parametrize(
    "value", [None, True, 0, -1, 12, 20260618, 20260618093000, 10**400, -(10**400), 1e300, [], {}]
)
def test_a_number_that_is_no_time(value: object) -> None:
    """A number before 2001 or after 2099 in every unit is not taken for a time."""
    assert time_text(value) is None


@given(st.text() | st.from_regex(r"[0-9]{1,25}(\.[0-9]{1,10})?", fullmatch=True))
def test_other_text_stays(text: str) -> None:
    """Text is changed only where it is a number, and then into a time that can be read."""
    told = time_text(text)
    assert told == text or utc_seconds(told) is not None
