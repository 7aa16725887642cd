"""One cause, many failures: counted alike, whatever differs from file to file."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.model import EntryState
from bulk_upload.core.run.failure_limit import CANARY_MAX, CAUSES_MAX, FailureLimit, kind_of


def test_reasons_that_differ_in_numbers_and_names_are_one_kind() -> None:
    """The HTTP status counts, line numbers and quoted names do not."""
    assert kind_of("HTTP 422: line 7 of 'a.jsonl'") == kind_of("HTTP 422: line 9 of 'b.jsonl'")
    assert kind_of("HTTP 422: bad") != kind_of("HTTP 400: bad")


def test_more_causes_than_are_kept_are_not_counted() -> None:
    """Memory stays bounded where every failure is unlike every other."""
    limit = FailureLimit(2)
    words = [f"reason {chr(97 + one // 26)}{chr(97 + one % 26)}" for one in range(CAUSES_MAX)]
    assert all(limit.on_failed(EntryState.REJECTED, reason) is None for reason in words)
    assert limit.on_failed(EntryState.REJECTED, "one more") is None
    assert limit.on_failed(EntryState.REJECTED, "one more") is None
    assert limit.on_failed(EntryState.REJECTED, words[0]) is not None


@given(st.lists(st.booleans(), max_size=300))
def test_a_run_stops_exactly_when_one_cause_fills_its_row(accepted: list[bool]) -> None:
    """No stop before ten failures at the start, or a hundred since the last accepted entry; a stop then."""
    limit = FailureLimit(None)
    row, accepted_any = 0, False
    for one in accepted:
        if one:
            limit.on_accepted()
            row, accepted_any = 0, True
            continue
        row += 1
        stop = limit.on_failed(EntryState.REJECTED, "HTTP 422: bad")
        assert (stop is not None) == (row >= (100 if accepted_any else CANARY_MAX))
