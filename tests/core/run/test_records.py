"""What an outcome does to an entry, and which of its words the ledger keeps."""

from __future__ import annotations

from typing import get_args

import pytest
from msgspec.structs import replace

from bulk_upload.core.api.secret import Secret
from bulk_upload.core.model import (
    Accepted,
    EntryState,
    InDoubt,
    ListedFile,
    Misdirected,
    NotSent,
    Outcome,
    Refused,
    Rejected,
    SourceFailed,
    Throttled,
    Unavailable,
)
from bulk_upload.core.run.records import (
    OUTCOME_NAMES,
    listed_without_secret,
    reason_in,
    state_after,
    status_in,
    without_secret,
)

ACCEPTED = Accepted(file_id="file-1", http_status=200, size_confirmed=True)


@pytest.mark.parametrize(
    ("outcome", "state", "reason", "http_status"),
    [
        (ACCEPTED, EntryState.ACCEPTED, None, 200),
        (Rejected(http_status=422, reason="no"), EntryState.REJECTED, "no", 422),
        (Refused(http_status=401, reason="key"), EntryState.PENDING, "key", 401),
        (Misdirected(http_status=307, location_host="b"), EntryState.PENDING, "redirected to b", 307),
        (Throttled(http_status=429, retry_after_s=None, reason="slow"), EntryState.PENDING, "slow", 429),
        (Unavailable(reason="refused"), EntryState.PENDING, "refused", None),
        (Unavailable(reason="HTTP 500", http_status=500), EntryState.PENDING, "HTTP 500", 500),
        (InDoubt(reason="lost", answered=False), EntryState.IN_DOUBT, "lost", None),
        (InDoubt(reason="HTTP 502", answered=True, http_status=502), EntryState.IN_DOUBT, "HTTP 502", 502),
        (SourceFailed(reason="changed"), EntryState.FAILED_LOCAL, "changed", None),
        (NotSent(reason="draining"), EntryState.PENDING, "draining", None),
        (NotSent(reason="descriptors", local_limit=True), EntryState.PENDING, "descriptors", None),
    ],
)
def test_outcomes(outcome: Outcome, state: EntryState, reason: str | None, http_status: int | None) -> None:
    """Each outcome leaves its entry in one state, with the words and the status that led there."""
    assert state_after(outcome) is state
    assert reason_in(outcome) == reason
    assert status_in(outcome) == http_status


def test_warnings_are_kept() -> None:
    """What was odd about an accepted file stays with its receipt."""
    odd = Accepted(file_id="file-1", http_status=200, size_confirmed=True, warnings=("a", "b"))
    assert reason_in(odd) == "a; b"


def test_every_outcome_has_a_name() -> None:
    """The ledger can name every outcome, and no two alike."""
    assert set(OUTCOME_NAMES) == set(get_args(Outcome))
    assert len(set(OUTCOME_NAMES.values())) == len(OUTCOME_NAMES)


def test_settled_states() -> None:
    """Only pending entries and those in doubt are not settled."""
    assert {one for one in EntryState if not one.settled} == {EntryState.PENDING, EntryState.IN_DOUBT}


def test_no_outcome_repeats_the_key() -> None:
    """Words that a server echoes lose the key; an id that merely contains the same letters stays what it is."""
    secret = Secret("k3y")
    accepted = Accepted(file_id="file-k3y", http_status=200, size_confirmed=True, warnings=("named 'k3y'",))
    assert without_secret(accepted, secret) == replace(accepted, warnings=("named '[key]'",))
    assert without_secret(replace(accepted, warnings=()), secret) == replace(accepted, warnings=())
    refused = Refused(http_status=401, reason="HTTP 401: bad key k3y")
    assert without_secret(refused, secret) == replace(refused, reason="HTTP 401: bad key [key]")
    astray = Misdirected(http_status=307, location_host="k3y.example")
    assert without_secret(astray, secret) == replace(astray, location_host="[key].example")


LONG = Secret("k3y-that-nobody-has-by-chance")


def test_ids_times_and_request_ids_do_not_repeat_the_key_either() -> None:
    """A server may put the key into any field; an id that shows it counts as no id at all."""
    key = LONG.reveal()
    accepted = Accepted(file_id="f-1", http_status=200, size_confirmed=True, created_at=key, request_id=key)
    assert without_secret(accepted, LONG) == replace(accepted, created_at="[key]", request_id="[key]")
    stolen = without_secret(replace(accepted, file_id=f"f-{key}"), LONG)
    assert isinstance(stolen, InDoubt)
    assert key not in repr(stolen)
    doubt = InDoubt(reason="odd", answered=False, candidate_id=key, request_id=key)
    assert without_secret(doubt, LONG) == replace(doubt, candidate_id=None, request_id="[key]")


def test_a_list_does_not_repeat_the_key() -> None:
    """Texts of a listed file lose a key that cannot be there by chance; a file whose id is the key has none."""
    key = LONG.reveal()
    file = ListedFile(file_id="f-1", filename=f"{key}.jsonl", purpose=key, created_at=key)
    clean = ListedFile(file_id="f-1", filename="[key].jsonl", purpose="[key]", created_at="[key]")
    assert listed_without_secret(file, LONG) == clean
    assert listed_without_secret(replace(file, file_id=key), LONG) == replace(
        clean, file_id="[key]", has_id=False
    )
    assert listed_without_secret(file, Secret("jsonl")) == file
