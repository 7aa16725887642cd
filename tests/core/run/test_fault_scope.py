"""Whether a refusal is about one file or about the whole run."""

from __future__ import annotations

import pytest

from bulk_upload.core.api.responses import MISSING_ID, NUMBER_ID, UNUSABLE_TEXT
from bulk_upload.core.model import (
    Accepted,
    Altered,
    AlteredField,
    EntryState,
    InDoubt,
    Misdirected,
    NotSent,
    Outcome,
    Refused,
    Rejected,
    SourceFailed,
    Throttled,
    Unavailable,
)
from bulk_upload.core.run.fault_scope import FaultScope, Judgement
from bulk_upload.core.run.records import state_after
from bulk_upload.exit_status import ExitStatus

FORBIDDEN = Refused(http_status=403, reason="HTTP 403: no", request_id="r1")
MISSING = Rejected(http_status=404, reason="HTTP 404: Not Found")


@pytest.fixture
def fault_scope() -> FaultScope:
    """Return the standing of a run that has seen nothing yet."""
    return FaultScope()


@pytest.fixture
def trusted() -> FaultScope:
    """Return the standing of a run whose key was accepted once."""
    made = FaultScope()
    made.on_accepted()
    return made


@pytest.mark.parametrize(
    "outcome",
    [
        Accepted(file_id="file-1", http_status=200, size_confirmed=True),
        Rejected(http_status=422, reason="no"),
        Rejected(http_status=413, reason="large"),
        Throttled(http_status=429, retry_after_s=None),
        Unavailable(reason="refused"),
        InDoubt(reason="lost", answered=False),
        SourceFailed(reason="changed"),
        NotSent(reason="draining"),
    ],
)
def test_most_outcomes_are_about_one_file(fault_scope: FaultScope, outcome: Outcome) -> None:
    """What is no question of key or address is recorded as it is, however often it comes."""
    for entry in range(10):
        assert fault_scope.judge(outcome, entry) == Judgement(outcome)


@pytest.mark.parametrize("status", [401, 403])
def test_key_refused_at_first(fault_scope: FaultScope, status: int) -> None:
    """A 401, or a 403 before any success with this key, ends the run and keeps the entry."""
    outcome = Refused(http_status=status, reason=f"HTTP {status}: bad key")
    judgement = fault_scope.judge(outcome, 1)
    assert judgement.outcome == outcome
    assert judgement.stop is not None
    assert judgement.stop.status is ExitStatus.CREDENTIALS_REFUSED
    assert "bad key" in judgement.stop.reason


def test_key_refused_later(trusted: FaultScope) -> None:
    """A 401 is about the key even after successes: it was revoked."""
    judgement = trusted.judge(Refused(http_status=401, reason="HTTP 401"), 1)
    assert judgement.stop is not None
    assert judgement.stop.status is ExitStatus.CREDENTIALS_REFUSED


def test_lone_403_after_successes(trusted: FaultScope) -> None:
    """A 403 after successes with the same key is about the file, and says so."""
    judgement = trusted.judge(FORBIDDEN, 1)
    assert judgement.stop is None
    assert judgement.reopen == ()
    assert judgement.outcome == Rejected(
        http_status=403, reason="HTTP 403: no (other files are accepted with this key)", request_id="r1"
    )


def test_three_entries_in_a_row_with_403(trusted: FaultScope) -> None:
    """A 403 on three entries in a row is about the key: the run ends and all three are kept."""
    assert trusted.judge(FORBIDDEN, 1).stop is None
    assert trusted.judge(FORBIDDEN, 2).stop is None
    third = trusted.judge(FORBIDDEN, 3)
    assert third.stop is not None
    assert third.stop.status is ExitStatus.CREDENTIALS_REFUSED
    assert third.outcome == FORBIDDEN
    assert set(third.reopen) == {1, 2}
    late = trusted.judge(FORBIDDEN, 4)
    assert late.outcome == FORBIDDEN
    assert {1, 2} <= set(late.reopen)


def test_a_success_breaks_the_403s(trusted: FaultScope) -> None:
    """Entries with a 403 that an accepted one lies between are no row."""
    for entry in range(20):
        assert trusted.judge(FORBIDDEN, entry).stop is None
        if entry % 2:
            trusted.on_accepted()


def test_one_entry_is_no_row(trusted: FaultScope) -> None:
    """One entry with many 403s is one entry."""
    for _ in range(10):
        assert trusted.judge(FORBIDDEN, 1).stop is None


@pytest.mark.parametrize("status", [404, 405])
def test_wrong_address(fault_scope: FaultScope, status: int) -> None:
    """Three entries in a row with 404 or 405 and nothing accepted: the address is wrong, all entries are kept."""
    astray = Rejected(http_status=status, reason=f"HTTP {status}: nothing here", request_id="r1")
    assert fault_scope.judge(astray, 1) == Judgement(astray)
    assert fault_scope.judge(astray, 2) == Judgement(astray)
    for entry in (3, 4, 5):
        judgement = fault_scope.judge(astray, entry)
        assert judgement.stop is not None
        assert judgement.stop.status is ExitStatus.UNFINISHED
        assert "--base-url" in judgement.stop.hint
        assert f"HTTP {status}: nothing here" in judgement.stop.reason
        assert state_after(judgement.outcome) is EntryState.PENDING
        assert isinstance(judgement.outcome, Refused | Rejected)
        assert judgement.outcome.http_status == status
        assert judgement.outcome.reason == astray.reason
        assert {1, 2} <= set(judgement.reopen)
        assert entry not in judgement.reopen


@pytest.mark.parametrize("count", [1, 2])
def test_wrong_address_of_a_short_run(count: int) -> None:
    """A run of one or two entries needs no third: the first uploads of a run show the address, not the files."""
    scope = FaultScope(entry_count=count)
    judgements = [scope.judge(MISSING, entry) for entry in range(count)]
    assert [one.stop is None for one in judgements] == [True] * (count - 1) + [False]
    last = judgements[-1]
    assert last.stop is not None
    assert "--base-url" in last.stop.hint
    assert state_after(last.outcome) is EntryState.PENDING
    assert last.reopen == tuple(range(count - 1))


def test_404_at_an_address_that_is_known() -> None:
    """Where an earlier run got a receipt, a 404 is the file's, unless three in a row say that the address moved."""
    scope = FaultScope(entry_count=1, address_known=True)
    assert scope.judge(MISSING, 1) == Judgement(MISSING)
    assert scope.judge(MISSING, 2) == Judgement(MISSING)
    assert scope.judge(MISSING, 3).stop is not None


def test_404_after_a_success(trusted: FaultScope) -> None:
    """Where a file was accepted the address is right, and a 404 is the file's."""
    for entry in range(10):
        assert trusted.judge(MISSING, entry) == Judgement(MISSING)


def test_404_with_a_success_between(fault_scope: FaultScope) -> None:
    """A success that comes while the row builds up clears it for good."""
    fault_scope.judge(MISSING, 1)
    fault_scope.judge(MISSING, 2)
    fault_scope.on_accepted()
    assert fault_scope.judge(MISSING, 3) == Judgement(MISSING)


def test_redirect(fault_scope: FaultScope, trusted: FaultScope) -> None:
    """Any redirect ends the run and names the host it led to."""
    outcome = Misdirected(http_status=302, location_host="login.example")
    for one in (fault_scope, trusted):
        judgement = one.judge(outcome, 1)
        assert judgement.outcome == outcome
        assert judgement.stop is not None
        assert judgement.stop.status is ExitStatus.UNFINISHED
        assert "login.example" in judgement.stop.reason
        assert "302" in judgement.stop.reason


def test_unreachable(fault_scope: FaultScope) -> None:
    """Three entries in a row that used up their attempts without one answer end the run."""
    assert fault_scope.on_unreachable("refused") is None
    assert fault_scope.on_unreachable("refused") is None
    stop = fault_scope.on_unreachable("refused")
    assert stop is not None
    assert stop.status is ExitStatus.UNFINISHED
    assert "refused" in stop.reason


def test_an_answer_shows_a_server(fault_scope: FaultScope) -> None:
    """Any answer in between shows that the server can be reached."""
    for _ in range(5):
        assert fault_scope.on_unreachable("refused") is None
        assert fault_scope.on_unreachable("refused") is None
        fault_scope.on_answered()


@pytest.mark.parametrize(
    ("variable", "source"),
    [("SEEKR_API_KEY", "SEEKR_API_KEY"), ("MINE", "MINE"), (None, "--api-key-command")],
)
def test_a_refused_key_is_looked_for_where_it_is(variable: str | None, source: str) -> None:
    """The hint names the variable of the profile, not another one's."""
    refused = Refused(http_status=401, reason="HTTP 401", request_id=None)
    stop = FaultScope(key_variable=variable).judge(refused, 1).stop
    assert stop is not None
    assert stop.hint.startswith(f"check {source} or --api-key-file")


def test_what_waiting_cannot_mend_ends_the_run(fault_scope: FaultScope) -> None:
    """An untrusted certificate ends a run that has no answer yet, with what to change, and the entry stays pending."""
    untrusted = Unavailable(reason="not trusted", remedy="pass --ca-file")
    judgement = fault_scope.judge(untrusted, 1)
    assert judgement.stop is not None
    assert (judgement.stop.status, judgement.stop.hint) == (ExitStatus.UNFINISHED, "pass --ca-file")
    assert state_after(judgement.outcome) is EntryState.PENDING


def test_a_server_that_answered_is_tried_again(fault_scope: FaultScope) -> None:
    """After an answer the next attempt may meet another server behind the address."""
    fault_scope.on_answered()
    judgement = fault_scope.judge(Unavailable(reason="not trusted", remedy="pass --ca-file"), 1)
    assert judgement == Judgement(Unavailable(reason="not trusted"))


def without_id(kind: str) -> InDoubt:
    """Return the outcome of a success whose id is of this kind."""
    return InDoubt(reason="odd", answered=False, http_status=200, id_kind=kind)


def test_an_id_that_is_a_number_ends_the_run_at_once(fault_scope: FaultScope) -> None:
    """One answer with such an id is enough to know that nothing can be recorded; the entry is in doubt."""
    judgement = fault_scope.judge(without_id("a number"), 1)
    assert state_after(judgement.outcome) is EntryState.IN_DOUBT
    assert judgement.stop is not None
    assert judgement.stop.status is ExitStatus.UNFINISHED
    assert "a number" in judgement.stop.reason


def test_an_id_that_is_a_number_ends_no_run_that_accepted_files(trusted: FaultScope) -> None:
    """One odd answer among usable ones is that entry's doubt."""
    trusted.on_accepted()
    assert trusted.judge(without_id(NUMBER_ID), 1).stop is None


@pytest.mark.parametrize("kind", [MISSING_ID, UNUSABLE_TEXT, "null", "a list"])
def test_missing_and_odd_ids_end_a_run_that_got_nowhere(kind: str, fault_scope: FaultScope) -> None:
    """Three entries in a row without a usable id, and none with one: the profile, or the server, is another."""
    stops = [fault_scope.judge(without_id(kind), entry).stop for entry in (1, 1, 2, 3)]
    assert [stop is not None for stop in stops] == [False, False, False, True]
    fault_scope.on_accepted()
    assert fault_scope.judge(without_id(kind), 4).stop is None


def test_changes_that_stay_unproven_end_the_run(fault_scope: FaultScope) -> None:
    """Three entries in doubt for what the server changes, and none accepted: the rest would be, too."""
    altered = Altered(field=AlteredField.PURPOSE, sent="fine-tune", stored="finetune")
    stops = [fault_scope.on_unproven(altered) for _ in range(3)]
    assert stops[:2] == [None, None]
    assert stops[2] is not None
    assert "finetune" in stops[2].reason
    fault_scope.on_accepted()
    assert fault_scope.on_unproven(altered) is None
