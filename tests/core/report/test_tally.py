from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.doubt.content import ComparedBy
from bulk_upload.core.events import (
    AttemptEnded,
    AttemptStarted,
    ContentCompared,
    Draining,
    EntrySettled,
    Event,
    Noticed,
    Paused,
    PlanMade,
    ReceiptWithdrawn,
    Reconciling,
)
from bulk_upload.core.model import (
    Accepted,
    EntryState,
    InDoubt,
    Outcome,
    Receipt,
    ReceiptOrigin,
    Throttled,
    Unavailable,
)
from bulk_upload.core.report.tally import EXAMPLES_MAX, Tally, exit_status
from bulk_upload.core.run.failure_limit import CAUSES_MAX
from bulk_upload.core.run.fault_scope import Stop
from bulk_upload.exit_status import PRECEDENCE, ExitStatus

TAKEN = Accepted(file_id="file-1", http_status=200, size_confirmed=True)
LOST = InDoubt(reason="the connection was lost", answered=False)


def _started(path: str) -> AttemptStarted:
    return AttemptStarted(path=path, attempt_no=1, file_bytes=10)


def _ended(path: str, outcome: Outcome = TAKEN, *, retry_in_s: float | None = None) -> AttemptEnded:
    return AttemptEnded(path=path, attempt_no=1, outcome=outcome, duration_s=1.0, retry_in_s=retry_in_s)


def _settled(
    path: str,
    state: EntryState = EntryState.ACCEPTED,
    reason: str | None = None,
    receipt: Receipt | None = None,
) -> EntrySettled:
    return EntrySettled(path=path, purpose="p", state=state, file_bytes=10, reason=reason, receipt=receipt)


def _tally(*events: Event) -> Tally:
    tally = Tally()
    for event in events:
        tally.add(event)
    return tally


def test_the_plan_sets_what_is_to_do() -> None:
    """Totals, what was settled before and what will be sent come from the plan."""
    tally = _tally(
        PlanMade(entry_count=9, total_bytes=90, settled_count=4, settled_bytes=40, send_count=5, send_bytes=50,
                 doubt_count=0, blocked_count=0)
    )  # fmt: skip
    assert (tally.entry_count, tally.total_bytes) == (9, 90)
    assert (tally.settled_before_count, tally.settled_before_bytes) == (4, 40)
    assert (tally.to_send_count, tally.to_send_bytes) == (5, 50)


def test_attempts_retries_and_throttling_are_counted() -> None:
    """An attempt is in flight until it ends; only an end that leads to another attempt is a retry."""
    tally = _tally(
        _started("a"),
        _ended("a", Throttled(http_status=429, retry_after_s=1.0), retry_in_s=0.0),
        _started("a"),
        _ended("a", Unavailable(reason="reset"), retry_in_s=0.5),
        _started("a"),
        _ended("a"),
        _started("b"),
    )
    assert (tally.attempt_count, tally.in_flight) == (4, 1)
    assert (tally.retry_count, tally.throttled_count) == (2, 1)


def test_settled_entries_are_counted_with_their_bytes() -> None:
    """Accepted and failed are apart; what is pending or in doubt is neither."""
    tally = _tally(
        _settled("a"),
        _settled("b", EntryState.REJECTED, "no"),
        _settled("c", EntryState.INVALID, "bad"),
        _settled("d", EntryState.FAILED_LOCAL, "gone"),
        _settled("e", EntryState.PENDING, "later"),
        _settled("f", EntryState.IN_DOUBT, "lost"),
    )
    assert (tally.count(EntryState.ACCEPTED), tally.accepted_bytes) == (1, 10)
    assert (tally.failed_count, tally.failed_bytes) == (3, 30)
    assert (tally.settled_count, tally.in_doubt_count) == (4, 1)


def test_what_was_not_compared_is_not_done() -> None:
    """A stop before a touched file was compared counts, although its entry is accepted."""
    states = {EntryState.ACCEPTED: 5}
    assert exit_status(states, None, uncompared_count=1) is ExitStatus.UNFINISHED
    assert exit_status(states, _stop(ExitStatus.INTERRUPTED), uncompared_count=1) is ExitStatus.INTERRUPTED


def test_what_is_unchanged_is_settled_and_neither_accepted_nor_sent() -> None:
    """A touched file that was only compared moves the bar, and no other number."""
    tally = _tally(_settled("a"), replace(_settled("b"), unchanged=True))
    assert (tally.count(EntryState.ACCEPTED), tally.accepted_bytes) == (1, 10)
    assert (tally.unchanged_count, tally.unchanged_bytes) == (1, 10)
    assert (tally.settled_count, tally.failed_count) == (2, 0)


def test_an_entry_is_in_doubt_from_the_lost_answer_until_it_is_settled_or_sent_again() -> None:
    """The number of doubts goes down as they are decided; that of lost answers does not."""
    tally = _tally(_started("a"), _ended("a", LOST), _started("b"), _ended("b", LOST))
    assert tally.in_doubt_count == 2
    tally.add(_started("a"))
    tally.add(_settled("b"))
    assert (tally.in_doubt_count, tally.lost_answer_count) == (0, 2)


def test_a_doubt_that_stays_is_counted_once() -> None:
    """The event that leaves an entry in doubt takes the place of the lost answer."""
    tally = _tally(_started("a"), _ended("a", LOST), _settled("a", EntryState.IN_DOUBT, "undecided"))
    assert tally.in_doubt_count == 1


@pytest.mark.parametrize(
    ("obtained", "size_confirmed", "counts"),
    [
        (ReceiptOrigin.ANSWERED, True, (0, 0)),
        (ReceiptOrigin.RECONCILED, True, (1, 0)),
        (ReceiptOrigin.ANSWERED, False, (0, 1)),
    ],
)
def test_receipts_say_how_sure_they_are(
    obtained: ReceiptOrigin, size_confirmed: bool, counts: tuple[int, int]
) -> None:
    """Files found in the list and sizes the server did not name are counted apart."""
    receipt = Receipt(
        path="a", purpose="p", file_id="file-1", file_bytes=10, content_hash=None, sent_name="a", obtained=obtained,
        size_confirmed=size_confirmed, settled_utc="2026-06-18T09:30:00.000000Z",
    )  # fmt: skip
    tally = _tally(_settled("a", receipt=receipt))
    assert (tally.reconciled_count, tally.unconfirmed_count) == counts


def test_what_was_read_back_is_counted() -> None:
    """Files that were compared, and all bytes that came back; one that cannot be read is not compared."""

    def compared(by: ComparedBy, same: bool | None, read_bytes: int) -> ContentCompared:
        return ContentCompared(path="a", file_id="f", same=same, by=by, read_bytes=read_bytes)

    tally = _tally(
        compared(ComparedBy.WHOLE, True, 10),
        compared(ComparedBy.RANGES, False, 5),
        compared(ComparedBy.NONE, None, 1),
    )
    assert (tally.compared_count, tally.compared_bytes) == (2, 16)


def test_events_that_only_inform_change_no_number() -> None:
    """Pauses, looks at the list, drains and notices are for displays."""
    events = (Paused(pause_s=1.0, reason="429"), Reconciling(waiting_count=3), Draining(reason="x"))
    assert _tally(*events, Noticed(message="y")) == Tally()


def test_reasons_that_differ_only_in_numbers_and_names_are_one_cause() -> None:
    """Line numbers, sizes and quoted names vary from file to file; the cause does not."""
    tally = _tally(
        _settled("a", EntryState.REJECTED, "HTTP 400: line 17 of 'a.jsonl' is bad"),
        _settled("b", EntryState.REJECTED, "HTTP 400: line 3 of 'b.jsonl' is bad"),
        _settled("c", EntryState.REJECTED, "HTTP 400: line 3 of 'b.jsonl' is bad"),
    )
    (cause,) = tally.causes.values()
    assert (cause.entry_count, cause.varies, cause.examples) == (3, True, ["a", "b", "c"])
    assert cause.reason == "HTTP 400: line 17 of 'a.jsonl' is bad"


def test_http_status_and_state_tell_causes_apart() -> None:
    """400 and 413 need different remedies, and so do a rejected and an invalid entry."""
    tally = _tally(
        _settled("a", EntryState.REJECTED, "HTTP 400"),
        _settled("b", EntryState.REJECTED, "HTTP 413"),
        _settled("c", EntryState.INVALID, "HTTP 413"),
        _settled("d", EntryState.INVALID),
    )
    assert [one.reason for one in tally.causes.values()] == [
        "HTTP 400", "HTTP 413", "HTTP 413", "no reason recorded",
    ]  # fmt: skip
    assert not any(one.varies for one in tally.causes.values())


@given(st.lists(st.text(min_size=1, max_size=20), max_size=200))
def test_causes_and_examples_are_bounded_and_lose_no_entry(reasons: list[str]) -> None:
    """However many reasons a server invents, memory stays flat and every failure is counted."""
    tally = _tally(*(_settled("p", EntryState.REJECTED, reason) for reason in reasons))
    assert len(tally.causes) <= CAUSES_MAX + 1
    assert sum(one.entry_count for one in tally.causes.values()) == len(reasons)
    assert all(len(one.examples) <= EXAMPLES_MAX for one in tally.causes.values())


def test_too_many_causes_are_gathered_in_one() -> None:
    """What comes after the bound points to the export."""
    words = [chr(ord("a") + i // 26) + chr(ord("a") + i % 26) for i in range(CAUSES_MAX + 30)]
    tally = _tally(*(_settled("p", EntryState.REJECTED, word) for word in words))
    last = list(tally.causes.values())[-1]
    assert (len(tally.causes), last.entry_count) == (CAUSES_MAX + 1, 30)
    assert "ledger export" in last.reason


def _stop(status: ExitStatus) -> Stop:
    return Stop(status=status, reason="why", hint="what next")


STATES = {
    ExitStatus.SOME_FAILED: EntryState.REJECTED,
    ExitStatus.UNFINISHED: EntryState.PENDING,
    ExitStatus.IN_DOUBT: EntryState.IN_DOUBT,
}


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ({}, ExitStatus.DONE),
        ({EntryState.ACCEPTED: 5}, ExitStatus.DONE),
        ({EntryState.ACCEPTED: 5, EntryState.REJECTED: 1}, ExitStatus.SOME_FAILED),
        ({EntryState.ACCEPTED: 5, EntryState.INVALID: 1}, ExitStatus.SOME_FAILED),
        ({EntryState.ACCEPTED: 5, EntryState.FAILED_LOCAL: 1}, ExitStatus.SOME_FAILED),
        ({EntryState.ACCEPTED: 5, EntryState.PENDING: 1}, ExitStatus.UNFINISHED),
        ({EntryState.ACCEPTED: 5, EntryState.IN_DOUBT: 1}, ExitStatus.IN_DOUBT),
        ({EntryState.ACCEPTED: 5, EntryState.PENDING: 0, EntryState.REJECTED: 0}, ExitStatus.DONE),
    ],
)
def test_without_a_stop_the_entries_decide(states: dict[EntryState, int], status: ExitStatus) -> None:
    """Only a job whose entries are all accepted ends with 0."""
    assert exit_status(states, None) is status


VERDICTS = PRECEDENCE[:-1]
"""What entries and stops can come to; that results are stale is known only after them."""


@pytest.mark.parametrize(("first", "second"), list(combinations(VERDICTS, 2)))
def test_of_two_verdicts_the_earlier_in_the_precedence_wins(first: ExitStatus, second: ExitStatus) -> None:
    """Every pair of verdicts that can meet in one run is decided by the documented order.

    At most one of a pair can come from a stop; two that both can only come from a stop never meet.
    """
    pair = (first, second)
    states = {STATES[one]: 1 for one in pair if one in STATES}
    stops = [one for one in pair if one not in STATES]
    if len(stops) == 2:
        # A stop counts only while entries are left; the other verdict is then its leftover.
        verdicts = {exit_status({EntryState.PENDING: 1}, _stop(one)) for one in stops}
        assert verdicts == set(stops)
        assert PRECEDENCE.index(first) < PRECEDENCE.index(second)
        return
    if stops and EntryState.REJECTED in states:
        states[EntryState.PENDING] = 1
    assert exit_status(states, _stop(stops[0]) if stops else None) is first


def test_the_precedence_is_the_documented_one() -> None:
    """1, 11, 12, 130, 143, 4, 5, 3, 8, in this order."""
    assert [int(one) for one in PRECEDENCE] == [1, 11, 12, 130, 143, 4, 5, 3, 8]


@pytest.mark.parametrize(
    "status", [ExitStatus.INTERRUPTED, ExitStatus.CREDENTIALS_REFUSED, ExitStatus.UNEXPECTED]
)
def test_a_stop_that_found_everything_settled_does_not_count(status: ExitStatus) -> None:
    """Ctrl-C after the last receipt is a finished run."""
    assert exit_status({EntryState.ACCEPTED: 5}, _stop(status)) is ExitStatus.DONE
    assert (
        exit_status({EntryState.ACCEPTED: 5, EntryState.REJECTED: 1}, _stop(status)) is ExitStatus.SOME_FAILED
    )


def test_an_unusable_ledger_always_counts() -> None:
    """What could not be recorded cannot be called done."""
    assert (
        exit_status({EntryState.ACCEPTED: 5}, _stop(ExitStatus.LEDGER_UNUSABLE)) is ExitStatus.LEDGER_UNUSABLE
    )


def test_a_stop_for_patience_does_not_hide_a_doubt() -> None:
    """Unfinished and in doubt at once is in doubt: someone may have to look."""
    states = {EntryState.PENDING: 3, EntryState.IN_DOUBT: 1}
    assert exit_status(states, _stop(ExitStatus.UNFINISHED)) is ExitStatus.IN_DOUBT


@pytest.mark.parametrize("state", [EntryState.IN_DOUBT, EntryState.WITHDRAWN])
def test_a_withdrawn_receipt_takes_its_entry_back(state: EntryState) -> None:
    """The entry is not accepted any more, with its bytes; its cause is that of the withdrawal."""
    event = ReceiptWithdrawn(
        path="a", purpose="p", file_id="file-1", file_bytes=10, state=state, reason="it is another file"
    )
    tally = _tally(_settled("a"), _settled("b"), event)
    assert (tally.count(EntryState.ACCEPTED), tally.count(state)) == (1, 1)
    assert tally.accepted_bytes == 10
    assert (tally.failed_bytes, tally.in_doubt_count) == ((0, 1) if state is EntryState.IN_DOUBT else (10, 0))
    (cause,) = tally.causes.values()
    assert (cause.state, cause.reason, cause.examples) == (state, "it is another file", ["a"])
    earlier = _tally(_settled("b"), replace(event, of_this_run=False))
    assert (earlier.count(EntryState.ACCEPTED), earlier.accepted_bytes) == (1, 10)
    assert earlier.count(state) == 1
