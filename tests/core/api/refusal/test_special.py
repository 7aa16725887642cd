"""What a refusal means by its codes: the account's, a passing one, or that the file is there already."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from bulk_upload.core.api.profile import FLOW, Profile
from bulk_upload.core.api.refusal.special import codes_in
from bulk_upload.core.api.responses import decipher
from bulk_upload.core.doubt.adoption import Adopt, Compared, Doubtful, RuledOut, Sameness
from bulk_upload.core.doubt.content import ComparedBy
from bulk_upload.core.doubt.existing import judge_existing
from bulk_upload.core.model import (
    InDoubt,
    ListedFile,
    Outcome,
    Refused,
    Rejected,
    SentBody,
    Throttled,
    Unavailable,
)
from bulk_upload.core.run.fault_scope import FaultScope
from bulk_upload.exit_status import ExitStatus

QUOTA = replace(FLOW, final_codes=("insufficient_quota", "storage_limit"))
RETRIES = replace(FLOW, conflict="retry")
ADOPTS = replace(FLOW, conflict="adopt:file_id")


def told(
    status: int, body: object, profile: Profile = FLOW, headers: dict[str, str] | None = None
) -> Outcome:
    """Return what an answer to a complete upload means."""
    return decipher(
        status=status,
        headers=headers or {},
        body=json.dumps(body).encode(),
        sent=SentBody(sent_name="a.jsonl", purpose="fine-tune", file_bytes=3, complete=True),
        now_utc_s=0.0,
        profile=profile,
    )


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}},
        {"error": {"message": "no", "type": "insufficient_quota", "code": None}},
        {"code": "storage_limit"},
        {"detail": {"code": "storage_limit"}},
    ],
)
@pytest.mark.parametrize("status", [429, 400, 413])
def test_a_final_code_is_the_accounts(status: int, body: object) -> None:
    """It is waited for by nobody: the run stops, says what a person must do, and keeps the entry."""
    outcome = told(status, body, QUOTA, {"retry-after": "5"})
    assert isinstance(outcome, Refused)
    assert outcome.remedy is not None
    stop = FaultScope().judge(outcome, 1).stop
    assert stop is not None
    assert stop.status is ExitStatus.UNFINISHED
    assert "quota" in stop.reason or "storage_limit" in stop.reason
    assert stop.hint == outcome.remedy


def test_other_profiles_know_no_such_code() -> None:
    """A 429 is waited for unless the profile says that its code is final."""
    assert isinstance(told(429, {"error": {"code": "insufficient_quota"}}), Throttled)
    assert isinstance(told(429, {"error": {"code": "rate_limit_exceeded"}}, QUOTA), Throttled)


def test_a_key_that_is_refused_stays_the_keys_fault() -> None:
    """Whatever code comes with a 401 or 403."""
    outcome = told(403, {"error": {"code": "insufficient_quota"}}, QUOTA, {"x-should-retry": "true"})
    assert isinstance(outcome, Refused)
    assert outcome.remedy is None


@pytest.mark.parametrize(("said", "kind"), [("true", Unavailable), ("false", Rejected), ("", Rejected)])
def test_x_should_retry_is_obeyed(said: str, kind: type[Outcome]) -> None:
    """A 4xx that may pass is tried again; nothing else changes."""
    assert isinstance(told(422, {}, headers={"x-should-retry": said}), kind)
    assert isinstance(told(500, {}, headers={"x-should-retry": said}), InDoubt)
    throttled = told(429, {}, headers={"x-should-retry": said})
    assert isinstance(throttled, Refused if said == "false" else Throttled)


def test_a_conflict_is_what_the_profile_says() -> None:
    """The file's fault, a lock that passes, or a file that is there already."""
    body = {"error": {"message": "exists", "file_id": "file-1"}}
    assert isinstance(told(409, body), Rejected)
    assert isinstance(told(409, body, RETRIES), Unavailable)
    found = told(409, body, ADOPTS)
    assert isinstance(found, InDoubt)
    assert (found.candidate_id, found.is_there_already, found.answered) == ("file-1", True, True)
    assert isinstance(told(409, {"file_id": "../x"}, ADOPTS), Rejected)
    assert isinstance(told(409, {"file_id": 7}, ADOPTS), Rejected)
    assert isinstance(told(409, [], ADOPTS), Rejected)
    assert isinstance(told(422, body, ADOPTS), Rejected)


def test_codes_of_errors() -> None:
    """Codes are texts at known places; anything else is none."""
    assert codes_in({"error": {"code": 7, "type": "a"}, "code": "b", "detail": [{"code": "c"}]}) == {"a", "b"}


def test_ids_behind_a_prefix() -> None:
    """An id with a slash is one where the profile names its prefix, and only so far."""
    profile = replace(FLOW, id_prefix="files/")
    assert told(200, {"id": "files/abc"}, profile).__class__.__name__ == "Accepted"
    for wrong in ("abc", "files/../x", "files/a/b", "files/", "other/abc"):
        assert isinstance(told(200, {"id": wrong}, profile), InDoubt)
    assert isinstance(told(200, {"id": "files/abc"}), InDoubt)


@pytest.mark.parametrize("status", [200, 201])
def test_created_is_a_success(status: int) -> None:
    """Older paths of Azure answer 201."""
    assert told(status, {"id": "file-1", "bytes": 3}).__class__.__name__ == "Accepted"


def named(sameness: Sameness, *, keeps_names: bool = True, **shown: Any) -> Adopt | RuledOut | Doubtful:
    """Judge a file that a 409 named."""
    fields: dict[str, Any] = {"filename": "a.jsonl", "bytes": 3, "purpose": "fine-tune"} | shown
    file = ListedFile(file_id="file-1", **fields)
    compared = Compared(file=file, sameness=sameness, by=ComparedBy.WHOLE, in_time=False)
    return judge_existing(
        compared, sent_name="a.jsonl", file_bytes=3, purpose="fine-tune", keeps_names=keeps_names
    )


def test_what_a_named_file_is() -> None:
    """Its content decides; without it the name and the size; another size, purpose or content is another file."""
    assert isinstance(named(Sameness.SAME), Adopt)
    assert isinstance(named(Sameness.SAME, filename="z.jsonl"), RuledOut)
    assert isinstance(named(Sameness.SAME, filename="z.jsonl", keeps_names=False), Adopt)
    assert isinstance(named(Sameness.UNREADABLE), Adopt)
    assert isinstance(named(Sameness.UNREADABLE, filename="z.jsonl", keeps_names=False), Doubtful)
    assert isinstance(named(Sameness.UNREADABLE, bytes=None), Doubtful)
    assert isinstance(named(Sameness.UNKNOWN), Doubtful)
    assert isinstance(named(Sameness.OTHER), RuledOut)
    assert isinstance(named(Sameness.SAME, bytes=4), RuledOut)
    assert isinstance(named(Sameness.SAME, purpose="batch"), RuledOut)


def test_a_server_that_is_told_no_purpose_contradicts_none() -> None:
    """Its list has the profile's one purpose, whatever an entry was forced to have."""
    profile = replace(FLOW, purpose_field=None, purposes=("file",))
    assert told(200, {"id": "file-1", "purpose": "other"}, profile).__class__.__name__ == "Accepted"
