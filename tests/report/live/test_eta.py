from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.report.live.eta import TwoTermPace

samples = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 10**9)), min_size=3, max_size=40)


@given(samples, st.floats(0.001, 1.0), st.floats(1e-9, 1e-6), st.integers(1, 10**6), st.integers(1, 10**12))
def test_costs_of_files_and_bytes_are_told_apart(
    seen: list[tuple[int, int]], file_s: float, byte_s: float, files: int, more_bytes: int
) -> None:
    """Where time is exactly so much for a file and so much for a byte, what is left takes what that says."""
    pace = TwoTermPace()
    seen = [*seen, (400, 0), (0, 10**9)]
    for file_count, byte_count in seen:
        pace.add(file_s * file_count + byte_s * byte_count, file_count, byte_count)
    assert pace.left_s(files, more_bytes) == pytest.approx(file_s * files + byte_s * more_bytes, rel=0.01)


@given(samples, st.floats(0.1, 60))
def test_what_was_done_would_take_the_time_it_took(seen: list[tuple[int, int]], seconds: float) -> None:
    """Whatever the mixture, the estimate for the work that is behind is the time that passed."""
    pace = TwoTermPace()
    for file_count, byte_count in seen:
        pace.add(seconds, file_count, byte_count)
    files, total = sum(one[0] for one in seen), sum(one[1] for one in seen)
    left_s = pace.left_s(files, total)
    if files or total:
        assert left_s == pytest.approx(seconds * len(seen), rel=1e-6)


@given(samples, st.integers(0, 10**6), st.integers(0, 10**12))
def test_an_estimate_is_never_negative(seen: list[tuple[int, int]], files: int, more_bytes: int) -> None:
    """There is no estimate, or it is at least 0."""
    pace = TwoTermPace(fade_s=30.0)
    for file_count, byte_count in seen:
        pace.add(1.0, file_count, byte_count)
    left_s = pace.left_s(files, more_bytes)
    assert left_s is None or left_s >= 0


def test_a_tail_of_small_files_is_not_taken_for_nothing() -> None:
    """After large files, a thousand tiny ones still take their time: by bytes alone it would be a blink."""
    pace = TwoTermPace()
    for _ in range(20):
        pace.add(10.0, 1, 1_000_000_000)
        pace.add(1.0, 20, 1_000)
    assert pace.left_s(1000, 50_000) == pytest.approx(50, rel=0.05)


def test_empty_files_are_timed_by_their_number() -> None:
    """Where nothing but empty files was seen, or is left, the number of files tells."""
    pace = TwoTermPace()
    pace.add(10.0, 100, 0)
    assert pace.left_s(50, 0) == pytest.approx(5.0)


def test_nothing_seen_is_nothing_known() -> None:
    """Before the first file there is no estimate; with nothing left it is 0."""
    assert TwoTermPace().left_s(1, 1) is None
    assert TwoTermPace().left_s(0, 0) == 0


def test_what_is_long_ago_counts_less() -> None:
    """With a fade, the present speed decides."""
    pace = TwoTermPace(fade_s=10.0)
    pace.add(10.0, 0, 1_000)
    for _ in range(10):
        pace.add(10.0, 0, 100)
    assert pace.left_s(0, 100) == pytest.approx(10.0, rel=0.01)
