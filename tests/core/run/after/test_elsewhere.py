"""What files at the server say about a ledger that is new, or that may be a copy."""

from __future__ import annotations

import pytest

from bulk_upload.core.run.after.elsewhere import Advice, Sighting, advice_for, made_since


def sighting(
    seen: int, of: int, *, new: bool = False, moved: bool = False, same: bool | None = None
) -> Sighting:
    """Return what a look saw."""
    return Sighting(is_new=new, moved=moved, send_count=of, seen_count=seen, same_content=same)


@pytest.mark.parametrize(
    ("seen", "of", "advice"),
    [
        (0, 1, Advice.SEND),
        (1, 1, Advice.SAY),
        (1, 2, Advice.SAY),
        (2, 5, Advice.SEND),
        (3, 5, Advice.SAY),
        (9, 2_000, Advice.SEND),
        (10, 2_000, Advice.SAY),
    ],
)
def test_a_new_ledger_goes_on_and_says_so_where_many_files_are_there(
    seen: int, of: int, advice: Advice
) -> None:
    """Half of a few entries, or ten of many, are no chance; another job may have sent them for all that."""
    assert advice_for(sighting(seen, of, new=True)) is advice


@pytest.mark.parametrize(
    ("seen", "moved", "same", "advice"),
    [
        (40, True, True, Advice.STOP),
        (40, False, True, Advice.STOP),
        (40, True, None, Advice.STOP),
        (40, False, None, Advice.STOP),
        (1, True, True, Advice.STOP),
        (1, False, True, Advice.SAY),
        (1, True, None, Advice.SAY),
        (40, True, False, Advice.SEND),
        (40, False, False, Advice.SEND),
        (0, True, None, Advice.SEND),
    ],
)
def test_a_ledger_with_runs_stops_for_files_that_something_else_sent_since(
    seen: int, moved: bool, same: bool | None, advice: Advice
) -> None:
    """Equal contents decide, many names where there are none, and one file only for a ledger that lies elsewhere now."""
    assert advice_for(sighting(seen, 40, moved=moved, same=same)) is advice


@pytest.mark.parametrize(
    ("created_at", "offset_s", "is_since"),
    [
        ("2026-06-18T09:30:03Z", 0.0, True),
        ("2026-06-18T09:30:01Z", 0.0, False),
        ("2026-06-18T09:30:03Z", 5.0, False),
        ("2026-06-18T09:30:01", 0.0, None),
        ("2026-06-18T09:30:01Z", None, None),
        (None, 0.0, None),
    ],
)
def test_only_known_times_show_that_a_file_is_newer(
    created_at: str | None, offset_s: float | None, is_since: bool | None
) -> None:
    """The server's clock is compared with ours by their offset; a time without a zone says nothing."""
    assert made_since(created_at, 1_781_775_000.0, clock_offset_s=offset_s) is is_since
