"""The pause that all uploads share, and how long a run lets itself be throttled."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.limits.pause import Pause
from bulk_upload.core.run.patience import SHORT_S, UNREADABLE_S, Patience

JITTERS = st.floats(0, 1, exclude_max=True)


class Rejection(NamedTuple):
    """One throttled answer: how long after the one before, how old its request was, what it asked for."""

    after_s: float
    age_s: float
    retry_after_s: float | None
    jitter: float


REJECTIONS = st.builds(
    Rejection,
    st.floats(0, 100),
    st.floats(0, 200),
    st.none() | st.floats(0, 1000),
    JITTERS,
)


def test_open_at_first() -> None:
    """Nothing waits before the server has refused anything."""
    assert Pause().wait_s(0.0) == 0.0


@pytest.mark.parametrize(("jitter", "wait_s"), [(0.0, 10.0), (0.5, 10.25), (0.999, 10.4995)])
def test_named_wait(jitter: float, wait_s: float) -> None:
    """A named wait is obeyed in full, with up to 5 % on top."""
    pause = Pause()
    assert pause.on_refusal(100.0, started_at=99.0, retry_after_s=10.0, jitter=jitter) == pytest.approx(
        wait_s
    )
    assert pause.wait_s(104.0) == pytest.approx(wait_s - 4.0)
    assert pause.wait_s(111.0) == 0.0


def test_shorter_waits_shorten_nothing() -> None:
    """A later answer that asks for less leaves the pause as long as it was."""
    pause = Pause()
    pause.on_refusal(0.0, started_at=-1.0, retry_after_s=60.0, jitter=0.0)
    pause.on_refusal(1.0, started_at=-1.0, retry_after_s=5.0, jitter=0.9)
    pause.on_refusal(2.0, started_at=-1.0, retry_after_s=0.0, jitter=0.9)
    pause.on_refusal(3.0, started_at=2.5, retry_after_s=None, jitter=0.9)
    assert pause.wait_s(10.0) == 50.0


def test_longer_waits_stretch() -> None:
    """A later answer that asks for more makes the pause longer, also within a burst."""
    pause = Pause()
    pause.on_refusal(0.0, started_at=-1.0, retry_after_s=5.0, jitter=0.0)
    pause.on_refusal(1.0, started_at=-1.0, retry_after_s=60.0, jitter=0.0)
    assert pause.wait_s(1.0) == 60.0


def test_unnamed_waits_double() -> None:
    """Without a named wait each refusal of a new request doubles the wait, up to a minute."""
    pause = Pause()
    now = 0.0
    waits = []
    for _ in range(9):
        waits.append(pause.on_refusal(now, started_at=now - 0.001, retry_after_s=None, jitter=0.0))
        now += 100.0
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


@pytest.mark.parametrize(("jitter", "wait_s"), [(0.0, 0.5), (0.5, 0.75), (0.999, 0.9995)])
def test_unnamed_wait_is_spread(jitter: float, wait_s: float) -> None:
    """Half of an unnamed wait is chance, so that many clients do not return together."""
    found_s = Pause().on_refusal(0.0, started_at=-1.0, retry_after_s=None, jitter=jitter)
    assert found_s == pytest.approx(wait_s)


def test_a_burst_counts_once() -> None:
    """Refusals of requests that started before the pause neither stretch the wait nor double it."""
    pause = Pause()
    pause.on_refusal(10.0, started_at=9.0, retry_after_s=None, jitter=0.0)
    for step in range(64):
        pause.on_refusal(10.0 + step / 1000, started_at=9.5, retry_after_s=None, jitter=0.9)
    assert pause.wait_s(10.0) == 0.5
    assert pause.on_refusal(20.0, started_at=19.0, retry_after_s=None, jitter=0.0) == 1.0


def test_success_ends_the_doubling() -> None:
    """Once the server accepts again, the next unnamed wait is a first one; a pause that goes on is not cut short."""
    pause = Pause()
    for now in (0.0, 10.0, 20.0):
        pause.on_refusal(now, started_at=now - 0.1, retry_after_s=None, jitter=0.0)
    pause.on_success()
    assert pause.wait_s(20.0) == 2.0
    assert pause.on_refusal(30.0, started_at=29.0, retry_after_s=None, jitter=0.0) == 0.5


@given(st.lists(REJECTIONS, min_size=1, max_size=30))
def test_the_pause_obeys(rejections: list[Rejection]) -> None:
    """The pause never ends before a named wait is over, and lasts no longer than it must."""
    pause = Pause()
    now = 0.0
    open_at_earliest = open_at_latest = 0.0
    for one in rejections:
        now += one.after_s
        waited_s = pause.on_refusal(
            now, started_at=now - one.age_s, retry_after_s=one.retry_after_s, jitter=one.jitter
        )
        named_s = one.retry_after_s
        open_at_earliest = max(open_at_earliest, now + (named_s or 0.0))
        # A named wait of nothing gets a pause of our own.
        open_at_latest = max(open_at_latest, now + (named_s * 1.05 if named_s else 60.0))
        assert waited_s == pause.wait_s(now)
        assert open_at_earliest - 1e-6 <= now + waited_s <= open_at_latest + 1e-6
    assert pause.wait_s(open_at_latest + 1e-6) == 0.0


@given(st.lists(st.tuples(st.floats(0, 10), JITTERS), max_size=30), JITTERS)
def test_any_burst_counts_once(stragglers: list[tuple[float, float]], jitter: float) -> None:
    """However many answers of one burst arrive, and however late, they leave the pause as the first one did."""
    pause = Pause()
    first_s = pause.on_refusal(100.0, started_at=99.0, retry_after_s=None, jitter=jitter)
    now = 100.0
    for after_s, other_jitter in stragglers:
        now += after_s
        pause.on_refusal(now, started_at=100.0, retry_after_s=None, jitter=other_jitter)
    assert pause.wait_s(100.0) == first_s


def test_patience_with_a_named_wait() -> None:
    """A wait longer than the run's patience ends it at once; one as long does not."""
    patience = Patience(900.0)
    assert patience.on_throttled(0.0, retry_after_s=900.0) is None
    reason = patience.on_throttled(0.0, retry_after_s=3600.0)
    assert reason is not None
    assert "1 h 00 min" in reason


def test_patience_runs_out() -> None:
    """A run that is throttled for longer than its patience, with no file accepted, ends."""
    patience = Patience(900.0)
    assert patience.on_throttled(100.0, retry_after_s=None) is None
    assert patience.on_throttled(1000.0, retry_after_s=5.0) is None
    reason = patience.on_throttled(1000.1, retry_after_s=None)
    assert reason is not None
    assert "15 min" in reason


def test_patience_starts_anew() -> None:
    """An accepted file shows that the run gets somewhere."""
    patience = Patience(900.0)
    assert patience.on_throttled(0.0, retry_after_s=None) is None
    patience.on_success()
    assert patience.on_throttled(5000.0, retry_after_s=None) is None
    assert patience.on_throttled(5900.0, retry_after_s=None) is None
    assert patience.on_throttled(5901.0, retry_after_s=None) is not None


# --- a machine that is short of something


def test_a_shortage_ends_the_run_where_nothing_moves() -> None:
    """A machine that could make no request for half a minute, and sends nothing else meanwhile, ends the run."""
    patience = Patience(900.0)
    assert patience.on_short(0.0, reason="too many open files", wire_bytes=7) is None
    assert patience.on_short(SHORT_S - 1, reason="too many open files", wire_bytes=7) is None
    enough = patience.on_short(SHORT_S, reason="too many open files", wire_bytes=7)
    assert enough == "no request could be made for 30 s: too many open files"


def test_a_shortage_ends_no_run_that_goes_on() -> None:
    """While bytes leave, or an answer came, the shortage is one that passes."""
    patience = Patience(900.0)
    patience.on_short(0.0, reason="r", wire_bytes=1)
    assert patience.on_short(SHORT_S, reason="r", wire_bytes=2) is None
    patience.on_answer()
    assert patience.on_short(2 * SHORT_S, reason="r", wire_bytes=2) is None


# --- file systems that fail


def test_file_systems_that_fail_end_the_run_where_nothing_moves() -> None:
    """A mount that is gone for good ends the run in bounded time, sooner where the person is less patient."""
    patience = Patience(900.0)
    assert patience.on_unreadable(5.0, reason="Stale file handle", wire_bytes=7) is None
    assert patience.on_unreadable(5.0 + UNREADABLE_S - 1, reason="Stale file handle", wire_bytes=7) is None
    enough = patience.on_unreadable(5.0 + UNREADABLE_S, reason="Stale file handle", wire_bytes=7)
    assert enough == "no file could be read for 1 min 00 s: Stale file handle"
    hasty = Patience(2.0)
    hasty.on_unreadable(0.0, reason="r", wire_bytes=0)
    assert hasty.on_unreadable(2.0, reason="r", wire_bytes=0) is not None


def test_one_file_system_that_fails_ends_no_run_that_goes_on() -> None:
    """While bytes leave, or other files can be read, the others are sent."""
    patience = Patience(900.0)
    patience.on_unreadable(0.0, reason="r", wire_bytes=1)
    assert patience.on_unreadable(UNREADABLE_S, reason="r", wire_bytes=2) is None
    patience.on_read()
    assert patience.on_unreadable(2 * UNREADABLE_S, reason="r", wire_bytes=2) is None
    patience.on_success()
    assert patience.on_unreadable(3 * UNREADABLE_S, reason="r", wire_bytes=2) is None
