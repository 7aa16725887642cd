"""What the answer to a bundle, or the lack of one, means for each of its members."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.api.responses import lost_answer
from bulk_upload.core.bundle.answer import BundleAnswer, Lesson, answer_bytes_max, decipher_bundle, of_all
from bulk_upload.core.model import (
    Accepted,
    InDoubt,
    NotSent,
    Refused,
    SentBody,
    Throttled,
    Unavailable,
)

NAMES = ("a.jsonl", "b.jsonl", "c.jsonl")


def bundle(*, complete: bool = True) -> list[SentBody]:
    return [
        SentBody(
            sent_name=name, purpose="fine-tune", file_bytes=10 + number, complete=complete, handed_bytes=99
        )
        for number, name in enumerate(NAMES)
    ]


def described(number: int, **other: Any) -> dict[str, Any]:
    sent = bundle()[number]
    return {
        "id": f"file-{number}",
        "filename": sent.sent_name,
        "bytes": sent.file_bytes,
        "purpose": sent.purpose,
    } | other


def answered(
    status: int,
    body: object = b"",
    headers: dict[str, str] | None = None,
    *,
    complete: bool = True,
) -> BundleAnswer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decipher_bundle(
        status=status,
        headers={"x-request-id": "r1"} | (headers or {}),
        body=data,
        sent=bundle(complete=complete),
        now_utc_s=0.0,
    )


def test_each_file_of_the_answer_is_accepted_by_itself() -> None:
    """In any order, each file with a member's name and size is that member's; the request is a success."""
    answer = answered(200, [described(2), described(0), described(1)])
    assert [one.file_id for one in answer.outcomes if isinstance(one, Accepted)] == [
        "file-0",
        "file-1",
        "file-2",
    ]
    assert all(isinstance(one, Accepted) and one.size_confirmed for one in answer.outcomes)
    assert (answer.lesson, answer.is_by_file, answer.strays) == (Lesson.SERVED, True, ())


def test_another_size_is_in_doubt_with_the_id_as_candidate() -> None:
    """A member's name with another size: in doubt, its id a candidate; the others are accepted."""
    answer = answered(200, [described(0, bytes=9), described(1), described(2)])
    first, *others = answer.outcomes
    assert isinstance(first, InDoubt)
    assert first.candidate_id == "file-0"
    assert all(isinstance(one, Accepted) for one in others)


def test_a_size_that_is_not_named_is_in_doubt() -> None:
    """A name alone is not enough among several files: the id is a candidate."""
    first = answered(200, [described(0, bytes=None), described(1), described(2)]).outcomes[0]
    assert isinstance(first, InDoubt)
    assert (first.answered, first.candidate_id) == (True, "file-0")


def test_a_member_that_is_left_out_is_in_doubt() -> None:
    """A member that the answer does not name is in doubt, and answered; the others are accepted."""
    answer = answered(200, [described(2), described(1)])
    first, *others = answer.outcomes
    assert isinstance(first, InDoubt)
    assert (first.answered, first.candidate_id, first.http_status) == (True, None, 200)
    assert all(isinstance(one, Accepted) for one in others)
    assert answer.lesson is Lesson.SERVED


def test_a_file_of_no_member_is_told() -> None:
    """A file under another name is no receipt; where only one member can be meant it is its candidate."""
    answer = answered(
        200,
        [described(0, filename="renamed"), described(1), described(2), described(1, filename="x", id="f")],
    )
    first = answer.outcomes[0]
    assert isinstance(first, InDoubt)
    assert (first.answered, first.candidate_id) == (True, "file-0")
    assert [one.file_id for one in answer.strays] == ["file-0", "f"]


def test_files_without_names() -> None:
    """An answer without names leaves all in doubt, and shows that bundles are of no use here."""
    answer = answered(200, [{"id": f"file-{n}"} for n in range(3)])
    assert all(isinstance(one, InDoubt) and one.answered for one in answer.outcomes)
    assert answer.lesson is Lesson.UNCLEAR


@pytest.mark.parametrize(
    "item", [{"id": "../x"}, {"id": 7}, {"id": None}, {"error": {"message": "no"}}, {"purpose": "other"}]
)
def test_a_file_is_believed_no_more_than_a_single_upload_is(item: dict[str, Any]) -> None:
    """An unusable id, an error or a contradiction makes one member doubtful, as with a single file."""
    answer = answered(200, [described(0, **item), described(1), described(2)])
    assert isinstance(answer.outcomes[0], InDoubt)
    assert isinstance(answer.outcomes[1], Accepted)


@pytest.mark.parametrize("body", [b"", b"<html>", {"data": []}, b"[1,", described(0), b"7"])
def test_a_success_that_is_no_list(body: object) -> None:
    """A 200 that is no list of files leaves all in doubt, not answered."""
    answer = answered(200, body)
    assert all(isinstance(one, InDoubt) and not one.answered for one in answer.outcomes)
    assert answer.lesson is Lesson.UNCLEAR


def test_a_success_that_is_too_long() -> None:
    """A list that is longer than so many files can be is none."""
    padded = [described(0, padding=" " * answer_bytes_max(3)), described(1), described(2)]
    assert answered(200, padded).lesson is Lesson.UNCLEAR


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 425])
def test_server_errors(status: int) -> None:
    """A 5xx to a whole body leaves all in doubt, answered; before the body was complete none can be there."""
    answer = answered(status)
    assert all(isinstance(one, InDoubt) and one.answered for one in answer.outcomes)
    assert answer.lesson is Lesson.LOST
    assert all(isinstance(one, Unavailable) for one in answered(status, complete=False).outcomes)


@pytest.mark.parametrize(
    ("status", "lesson"),
    [(400, Lesson.REFUSED), (409, Lesson.REFUSED), (422, Lesson.REFUSED), (413, Lesson.TOO_LARGE)],
)
def test_refusals(status: int, lesson: Lesson) -> None:
    """Nobody says which file is meant, nor what was stored before it: all in doubt, answered, and none rejected."""
    answer = answered(status, {"detail": "no"})
    assert all(isinstance(one, InDoubt) and one.answered for one in answer.outcomes)
    assert answer.lesson is lesson
    early = answered(status, complete=False)
    assert all(isinstance(one, Unavailable) and one.answered for one in early.outcomes)
    assert early.lesson is lesson


@pytest.mark.parametrize("status", [403, 404, 405, 307])
def test_no_such_call(status: int) -> None:
    """Where the call is not served, or not for this key, none can be there: nothing is in doubt."""
    answer = answered(status, headers={"location": "http://elsewhere.invalid/"})
    assert all(isinstance(one, Unavailable) and one.http_status == status for one in answer.outcomes)
    assert answer.lesson is Lesson.UNSERVED


@pytest.mark.parametrize(
    ("status", "headers"), [(429, {}), (429, {"retry-after": "3"}), (503, {"retry-after": "3"})]
)
def test_throttling(status: int, headers: dict[str, str]) -> None:
    """The server asks for time: none can be there, and nothing is learnt about bundles."""
    answer = answered(status, headers=headers)
    assert all(isinstance(one, Throttled) for one in answer.outcomes)
    assert answer.lesson is Lesson.NONE


def test_credentials() -> None:
    """A key that is refused is refused for all."""
    assert all(isinstance(one, Refused) for one in answered(401).outcomes)


def test_lost_answers() -> None:
    """A body that is incomplete proves that none is there; a complete one leaves all in doubt."""
    for complete, kind in ((False, Unavailable), (True, InDoubt)):
        sent = bundle(complete=complete)
        answer = of_all(lost_answer(sent[0], "the connection was lost", connection_lost=True), sent)
        assert all(isinstance(one, kind) for one in answer.outcomes)
        assert answer.lesson is Lesson.LOST
    assert of_all(NotSent(reason="the run was cancelled"), bundle()).lesson is Lesson.NONE


@given(
    st.integers(100, 599),
    st.one_of(
        st.binary(max_size=60),
        st.lists(st.sampled_from([described(0), described(1), {"id": "x"}, 3]), max_size=5),
    ),
    st.booleans(),
)
def test_any_answer_has_an_outcome_for_every_member(status: int, body: object, complete: bool) -> None:
    """Whatever comes back: one outcome a member, no id twice, and nothing accepted of an incomplete body."""
    answer = answered(status, body, complete=complete)
    assert len(answer.outcomes) == len(NAMES)
    ids = [one.file_id for one in answer.outcomes if isinstance(one, Accepted)]
    assert len(set(ids)) == len(ids)
    assert complete or not ids
