"""Limits as they are typed: uploads in flight, starts a second, bytes a second over the day."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.cli.options.limit_units import BANDWIDTH, CONCURRENCY, CONCURRENCY_CAP, SIZE, START_RATE
from bulk_upload.core.limits.caps import BYTES_PER_S_MAX, BYTES_PER_S_MIN, STARTS_PER_S_MAX, STARTS_PER_S_MIN
from bulk_upload.core.limits.timetable import Span, Timetable, bandwidth_text, rate_text


@pytest.mark.parametrize(("text", "number"), [("auto", None), ("1", 1), (" 8 ", 8), ("1024", 1024)])
def test_uploads_in_flight(text: str, number: int | None) -> None:
    """A number, or the word for finding it."""
    assert CONCURRENCY.convert(text, None, None) == number


@pytest.mark.parametrize("text", ["", "0", "1025", "-1", "8.5", "Auto", "off", "1e2", "٣", "9" * 40])
def test_what_is_no_number_of_uploads(text: str) -> None:
    """Anything else is refused, by its range or with what to write."""
    with pytest.raises(click.BadParameter, match=r"1<=x<=1024|write auto or a number"):
        CONCURRENCY.convert(text, None, None)


def test_the_cap_has_a_word_of_its_own() -> None:
    """No cap is `off`; `auto` would mean nothing there."""
    assert CONCURRENCY_CAP.convert("off", None, None) is None
    with pytest.raises(click.BadParameter, match="write off or a number"):
        CONCURRENCY_CAP.convert("auto", None, None)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("5/s", 5.0), ("0.5/s", 0.5), ("20/min", 20 / 60), ("90/h", 0.025), ("off", None), (" 1/s ", 1.0)],
)
def test_rates_of_starts(text: str, rate: float | None) -> None:
    """So many a second, a minute or an hour."""
    assert START_RATE.convert(text, None, None) == pytest.approx(rate) if rate else rate is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5", "write 5/s, 20/min or off"), ("5/m", "write 5/s"), ("5 /s", "write 5/s"), ("-5/s", "write 5/s"),
        ("5MB/s", "write 5/s"), ("", "write 5/s"), ("inf/s", "write 5/s"), ("0/s", "--pause"), ("0.5/h", "1/h"),
        ("9999999/s", "out of range"),
    ],
)  # fmt: skip
def test_what_is_no_rate(text: str, says: str) -> None:
    """Refused with what to write instead; no rate at all is a pause, and there is a command for that."""
    with pytest.raises(click.BadParameter, match=says):
        START_RATE.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "cap"),
    [
        ("50MB/s", 5e7), ("1.5kB/s", 1500.0), ("1KB/s", 1000.0), ("1KiB/s", 1024.0), ("2MiB/s", 2.0**21),
        ("1GB/s", 1e9), ("1GiB/s", 2.0**30), ("1000B/s", 1000.0), (" 5MB/s ", 5e6), ("10M/s", 1e7), ("3k/s", 3000.0),
    ],
)  # fmt: skip
def test_bandwidths(text: str, cap: float) -> None:
    """Bytes a second, decimal or binary."""
    assert BANDWIDTH.convert(text, None, None) == Timetable.always(cap)


def test_no_bandwidth_cap() -> None:
    """`off` takes back what an environment variable or an earlier command set."""
    assert BANDWIDTH.convert("off", None, None) is None


def test_timetables() -> None:
    """Times with what holds from then on, between spaces."""
    office = Timetable((Span(8 * 60, 2e6), Span(19 * 60, None)))
    assert BANDWIDTH.convert("08:00,2MB/s 19:00,off", None, None) == office
    assert BANDWIDTH.convert("  8:00,2MB/s\t19:00,off ", None, None) == office
    assert BANDWIDTH.convert("23:59,1MB/s", None, None) == Timetable((Span(1439, 1e6),))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("50", "write 50MB/s"), ("50MB", "write 50MB/s"), ("50mb/s", "write 50MB/s"), ("", "write 50MB/s"),
        ("50 MB/s", "is not an entry of a timetable"), ("-1MB/s", "write 50MB/s"), ("1e6B/s", "write 50MB/s"),
        ("20Mbit/s", "looks like bits"), ("20Mbps", "looks like bits"), ("5Mb/s", "looks like bits"),
        ("0MB/s", "--pause"), ("1B/s", "is not between 1kB/s and 1000000GB/s"), ("9999999GB/s", "is not between"),
        ("24:00,1MB/s", "HH:MM"), ("8,1MB/s", "HH:MM"), ("08:60,1MB/s", "HH:MM"), ("08:00,", "HH:MM"),
        ("08:00,fast", "write 50MB/s"), ("08:00,1MB/s off", "HH:MM"), ("08:00 1MB/s", "HH:MM"),
        ("19:00,off 08:00,1MB/s", "must increase"), ("08:00,1MB/s 8:00,off", "must increase"),
        (" ".join(f"{one // 60:02d}:{one % 60:02d},off" for one in range(49)), "48 times at most"),
    ],
)  # fmt: skip
def test_what_is_no_bandwidth(text: str, says: str) -> None:
    """Refused with what to write instead: bits are not bytes, and a time is not a rate."""
    with pytest.raises(click.BadParameter, match=says):
        BANDWIDTH.convert(text, None, None)


@given(text=st.text(max_size=30) | st.text("0123456789:,. /MGKkBbits-offauto", max_size=30))
def test_any_text_is_a_limit_or_a_complaint(text: str) -> None:
    """No text leads to anything but a limit within bounds, or a complaint."""
    for kind in (CONCURRENCY, CONCURRENCY_CAP, START_RATE, BANDWIDTH):
        try:
            limit = kind.convert(text, None, None)
        except click.BadParameter:
            continue
        if isinstance(limit, Timetable):
            caps = [one.bytes_per_s for one in limit.spans]
            assert all(one is None or BYTES_PER_S_MIN <= one <= BYTES_PER_S_MAX for one in caps)
        elif isinstance(limit, float):
            assert STARTS_PER_S_MIN <= limit <= STARTS_PER_S_MAX
        else:
            assert limit is None or 1 <= limit <= 1024


@given(kilobytes=st.integers(1, 10**9))
def test_a_cap_that_is_told_can_be_typed(kilobytes: int) -> None:
    """What `--status` and the ledger say is what the option takes."""
    cap = kilobytes * 1000.0
    assert BANDWIDTH.convert(bandwidth_text(cap), None, None) == Timetable.always(cap)
    office = Timetable((Span(0, cap), Span(600, None)))
    assert BANDWIDTH.convert(str(office), None, None) == office


@given(rate=st.integers(1, 1000) | st.integers(1, 59).map(lambda one: one / 60))
def test_a_rate_that_is_told_can_be_typed(rate: float) -> None:
    """Also one of less than a start a second."""
    assert START_RATE.convert(rate_text(float(rate)), None, None) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("64MiB", 64 * 2**20),
        ("0B", 0),
        ("1.5kB", 1500),
        (" 2GB ", 2 * 10**9),
        ("300KiB", 300 * 2**10),
        ("10M", 10**7),
        ("10K", 10_000),
        ("2Mi", 2**21),
        ("1T", 10**12),
    ],
)
def test_sizes(text: str, count: int) -> None:
    """A number with its unit, decimal or binary."""
    assert SIZE.convert(text, None, None) == count


@pytest.mark.parametrize("text", ["", "64", "-1B", "1MB/s", "1 MB", "64mib", "1e3B", "off"])
def test_what_is_no_size(text: str) -> None:
    """Refused with what to write instead."""
    with pytest.raises(click.BadParameter, match="write 64MiB or 1GB"):
        SIZE.convert(text, None, None)
