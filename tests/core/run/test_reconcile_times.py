"""What times say about a lost answer: the server's clock, ours, and how far back a page reaches."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bulk_upload.core.model import ListedFile
from bulk_upload.core.run.reconcile import (
    CLOCK_TOLERANCE_S,
    LATE_S,
    Absent,
    Doubt,
    Found,
    NotYet,
    Undecided,
    is_before,
    window_start_utc_s,
)
from bulk_upload.core.text.timestamps import utc_seconds, utc_text
from tests.core.run.reconciled import DOUBT, OURS, SENT_AT_S, SETTLES_AT_S, verdict


def test_absence_needs_the_settle_time() -> None:
    """A list without the file is believed only when it was asked for after the settle time."""
    assert verdict(listed_at_s=SETTLES_AT_S - 0.001) == NotYet()
    assert verdict(listed_at_s=SETTLES_AT_S) == Absent()


@pytest.mark.parametrize("created_at", ["2026-06-18", "2026-06-18T09", "2026-06-18T09:30Z", "2026-W25-4"])
def test_coarse_times_rule_nothing_out(created_at: str) -> None:
    """A creation time that is cut to the minute or the day looks too early, and proves nothing."""
    doubt = replace(DOUBT, sent_at_utc_s=SENT_AT_S + 50.0)
    assert utc_seconds("2026-06-18T09:30:00Z") == SENT_AT_S
    assert isinstance(verdict(replace(OURS, created_at=created_at), doubt=doubt), Undecided)


@pytest.mark.parametrize("offset_s", [-3600.0, -1.0, 0.0, 1.0, 3600.0])
def test_clock_offset(offset_s: float) -> None:
    """Times are compared on the server's clock, with a tolerance for its whole seconds."""
    just_inside = replace(OURS, created_at=utc_text(SENT_AT_S + offset_s - CLOCK_TOLERANCE_S))
    too_early = replace(OURS, created_at=utc_text(SENT_AT_S + offset_s - CLOCK_TOLERANCE_S - 0.001))
    assert verdict(just_inside, offset_s=offset_s) == Found(just_inside)
    assert verdict(too_early, offset_s=offset_s) == Absent()


@pytest.mark.parametrize("skew_s", [-86_400.0, -3600.0, -20.0, 200.0, 3600.0, 86_400.0])
def test_an_unknown_offset_rules_nothing_out(skew_s: float) -> None:
    """While the clocks are not aligned a file that agrees is never absent; one whose time does not fit waits for a person."""
    shifted = replace(OURS, created_at=utc_text(SENT_AT_S + skew_s))
    found = verdict(shifted, offset_s=None)
    assert isinstance(found, Undecided)
    assert "without the server's time" in found.reason
    assert verdict(OURS, offset_s=None) == Found(OURS)
    assert isinstance(verdict(OURS, replace(shifted, file_id="file-2"), offset_s=None), Undecided)
    assert verdict(shifted, claimed={"file-ours"}, offset_s=None) == Absent()
    assert window_start_utc_s([DOUBT], clock_offset_s=None) is None


@pytest.mark.parametrize("hours", [-9, -1, 1, 9])
def test_time_without_a_zone(hours: int) -> None:
    """A time without a zone rules nothing out: one that fits is believed, one that may be hours off is not."""
    fits = replace(OURS, created_at=utc_text(SENT_AT_S + 1).removesuffix("Z"))
    local = replace(OURS, created_at=utc_text(SENT_AT_S + 1 + hours * 3600).removesuffix("Z"))
    assert verdict(fits) == Found(fits)
    assert isinstance(verdict(local), Undecided)


def test_long_after() -> None:
    """A look-alike made long after the attempt is somebody's, and only a person can say whose."""
    in_time = replace(OURS, created_at=utc_text(SETTLES_AT_S + LATE_S - 1))
    late = replace(OURS, created_at=utc_text(SETTLES_AT_S + LATE_S + 1))
    assert verdict(in_time) == Found(in_time)
    assert isinstance(verdict(late), Undecided)


def page(*ages_s: float) -> list[ListedFile]:
    """Return a page of files made so many seconds before the attempt."""
    return [
        replace(OURS, file_id=f"file-{no}", created_at=utc_text(SENT_AT_S - age_s))
        for no, age_s in enumerate(ages_s)
    ]


def test_page_that_reaches_back() -> None:
    """Only a page that descends, in times that have a zone, proves that the rest of the list is older."""
    assert is_before(page(1, 50, 100), SENT_AT_S)
    assert not is_before(page(-50, -20, 1), SENT_AT_S)
    assert not is_before(page(100, 50, 200), SENT_AT_S)
    assert not is_before([], SENT_AT_S)
    assert not is_before([*page(100), replace(OURS, created_at=None)], SENT_AT_S)
    naive = [replace(one, created_at=str(one.created_at).removesuffix("Z")) for one in page(100, 200)]
    assert not is_before(naive, SENT_AT_S)


def test_window_start() -> None:
    """A listing goes back to before the oldest doubt that waits, on the server's clock."""
    later = replace(DOUBT, sent_at_utc_s=SENT_AT_S + 100)
    assert window_start_utc_s([later, DOUBT], clock_offset_s=7.0) == SENT_AT_S + 7.0 - CLOCK_TOLERANCE_S


def test_a_time_fits_no_attempt_during_which_our_clock_was_set() -> None:
    """Without the server's time its beginning and its end are of two clocks: nothing lies between them."""
    was_set = replace(DOUBT, clock_was_set=True)
    assert isinstance(verdict(OURS, doubt=was_set, offset_s=None), Undecided)
    assert verdict(OURS, doubt=was_set, offset_s=0.0) == Found(OURS)


@pytest.mark.parametrize("offset_s", [-3600.0, 0.0, 3600.0])
def test_absence_settles_in_the_servers_time(offset_s: float) -> None:
    """What our clock says between two runs counts only where the server's time shows how long ago the attempt was."""
    old = replace(DOUBT, settle_s=30.0, clock_offset_s=offset_s)

    def left_s(doubt: Doubt, after_s: float) -> float:
        # Our clock was set back by an hour since.
        ours_s = SETTLES_AT_S - 30 + after_s - 3600
        return doubt.left_s(utc_s=ours_s, clock_offset_s=offset_s + 3600)

    assert [left_s(old, after_s) for after_s in (0.0, 10.0, 30.0, 3000.0)] == [30.0, 20.0, 0.0, 0.0]
    for one in (replace(old, clock_offset_s=None), replace(old, clock_was_set=True)):
        assert left_s(one, 3000.0) == 30.0
    assert old.left_s(utc_s=SETTLES_AT_S + 3000, clock_offset_s=None) == 30.0
    assert replace(old, began_at=5.0).left_s(utc_s=SETTLES_AT_S + 3000, clock_offset_s=offset_s) == 30.0
