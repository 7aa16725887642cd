"""Which success is a receipt: a usable id, and nothing that contradicts what was sent."""

from __future__ import annotations

from typing import Any

import pytest

from bulk_upload.core.api.responses import (
    ANSWER_BYTES_MAX,
    MISSING_ID,
    REASON_CHARS_MAX,
    UNUSABLE_TEXT,
    is_file_id,
)
from bulk_upload.core.model import (
    Accepted,
    AlteredField,
    InDoubt,
)
from tests.core.api.answers import FILE_ID, INSANE_IDS, answered, nested


def test_accepted() -> None:
    """A success with a sane id and our size is a receipt, with the server's time and request id kept."""
    answer = {
        "id": FILE_ID,
        "object": "file",
        "created_at": "2026-06-18T09:30:00Z",
        "type": "jsonl",
        "purpose": "fine-tune",
        "filename": "data.jsonl",
        "bytes": 3,
        "created_by": "user",
    }
    assert answered(200, answer, {"cf-ray": "8a-FRA", "x-request-id": "other"}) == Accepted(
        file_id=FILE_ID,
        http_status=200,
        size_confirmed=True,
        created_at="2026-06-18T09:30:00Z",
        request_id="8a-FRA",
    )


@pytest.mark.parametrize(
    "extra", [{}, {"bytes": None}, {"bytes": "3"}, {"bytes": True}, {"bytes": -1}, {"bytes": 3.0}]
)
def test_size_not_confirmed(extra: dict[str, Any]) -> None:
    """Only the id is required; a size that is absent or no size leaves the receipt unconfirmed."""
    outcome = answered(201, {"id": FILE_ID} | extra)
    assert outcome == Accepted(file_id=FILE_ID, http_status=201, size_confirmed=False)


@pytest.mark.parametrize("extra", [{"size_bytes": 3}, {"bytes": None, "size_bytes": 3}])
def test_size_under_its_other_name(extra: dict[str, Any]) -> None:
    """A server may call the size `size_bytes`."""
    outcome = answered(200, {"id": FILE_ID} | extra)
    assert isinstance(outcome, Accepted)
    assert outcome.size_confirmed


@pytest.mark.parametrize("size", [0, 2, 4, 10**18])
def test_another_size_is_in_doubt(size: int) -> None:
    """A success whose size is not ours is no success; its id is kept as a candidate."""
    outcome = answered(200, {"id": FILE_ID, "bytes": size})
    assert isinstance(outcome, InDoubt)
    assert (outcome.candidate_id, outcome.http_status, outcome.answered) == (FILE_ID, 200, False)
    assert str(size) in outcome.reason


def test_another_name_or_purpose_is_in_doubt() -> None:
    """Another name or purpose than was sent contradicts the receipt: told in printable words, the id is a candidate."""
    outcome = answered(200, {"id": FILE_ID, "bytes": 3, "filename": "x\x1b[31m", "purpose": "pre-train"})
    assert isinstance(outcome, InDoubt)
    assert (outcome.candidate_id, outcome.answered) == (FILE_ID, False)
    assert outcome.reason.isprintable()
    assert "pre-train" in outcome.reason
    at_its_word = outcome.at_its_word
    assert isinstance(at_its_word, Accepted)
    assert at_its_word.file_id == FILE_ID
    assert [one.field for one in at_its_word.altered] == [AlteredField.NAME, AlteredField.PURPOSE]
    assert all(one.isprintable() for one in at_its_word.warnings)


@pytest.mark.parametrize("extra", [{"filename": "y"}, {"filename": "DATA.jsonl"}])
def test_a_name_is_no_evidence_where_the_profile_says_so(extra: dict[str, Any]) -> None:
    """A server that is known to change names is believed with another one, and never with another purpose or size."""
    outcome = answered(200, {"id": FILE_ID, "bytes": 3} | extra, keeps_names=False)
    assert isinstance(outcome, Accepted)
    assert "the server named it" in outcome.warnings[0]
    for wrong in ({"purpose": "pre-train"}, {"bytes": 4}):
        doubtful = answered(200, {"id": FILE_ID, "bytes": 3} | extra | wrong, keeps_names=False)
        assert isinstance(doubtful, InDoubt)
        assert doubtful.candidate_id == FILE_ID


@pytest.mark.parametrize("prefix", ["", "sha256:"])
def test_a_reported_hash_counts(prefix: str) -> None:
    """A hash of other bytes than were sent contradicts the receipt; one of another kind says nothing."""
    ours, other = "a" * 64, "b" * 64
    assert isinstance(answered(200, {"id": FILE_ID, "sha256": prefix + ours.upper()}, sha256=ours), Accepted)
    assert isinstance(answered(200, {"id": FILE_ID, "sha256": "crc:1"}, sha256=ours), Accepted)
    assert isinstance(answered(200, {"id": FILE_ID, "sha256": prefix + other}), Accepted)
    outcome = answered(200, {"id": FILE_ID, "sha256": prefix + other}, sha256=ours)
    assert isinstance(outcome, InDoubt)
    assert outcome.candidate_id == FILE_ID


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": {"message": "invalid  file", "type": "invalid_request_error"}}, "invalid file"),
        ({"detail": "no such purpose"}, "no such purpose"),
        ({"detail": [{"loc": ["body"], "msg": "too long"}]}, "body: too long"),
        ({"error": "bad"}, "bad"),
        ({"id": FILE_ID, "bytes": 3, "error": {"message": "half of it"}}, "half of it"),
    ],
)
def test_the_words_of_a_success_that_is_none(answer: dict[str, Any], words: str) -> None:
    """A success that names an error is in doubt, with the server's words as for a 400; it says nothing of its ids."""
    outcome = answered(200, answer)
    assert isinstance(outcome, InDoubt)
    assert words in outcome.reason
    assert outcome.id_kind is None
    assert outcome.candidate_id == answer.get("id")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"id": 7}, "a number"),
        ({"id": 7.5}, "a number"),
        ({"id": True}, "true or false"),
        ({"id": None}, "null"),
        ({"id": {"a": 1}}, "an object"),
        ({"id": []}, "a list"),
        ({"id": "a/b"}, UNUSABLE_TEXT),
        ({"status": "ok"}, MISSING_ID),
    ],
)
def test_the_kind_of_an_id_that_cannot_be_used(answer: dict[str, Any], kind: str) -> None:
    """A success whose id cannot be used says of which kind it is."""
    outcome = answered(200, {"filename": "data.jsonl"} | answer)
    assert isinstance(outcome, InDoubt)
    assert (outcome.candidate_id, outcome.id_kind) == (None, kind)


@pytest.mark.parametrize(
    "file_id",
    ["a", "file-123", "FILE_1.2:3-4", "0", ".hidden", "..a", "a" * 128],
)
def test_sane_ids(file_id: str) -> None:
    """An id is letters, digits and `._:-`, at most 128 of them."""
    assert is_file_id(file_id)
    assert isinstance(answered(200, {"id": file_id}), Accepted)


@pytest.mark.parametrize("file_id", INSANE_IDS)
def test_insane_ids(file_id: object) -> None:
    """What could change a URL, a terminal or a table is no id: the entry is in doubt, without a candidate."""
    assert not is_file_id(file_id)
    outcome = answered(200, {"id": file_id, "bytes": 3})
    assert isinstance(outcome, InDoubt)
    assert outcome.candidate_id is None
    assert not outcome.answered


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"<html>welcome</html>",
        b"null",
        b"[]",
        b'"file-1"',
        b'[{"id": "file-1"}]',
        b'{"id": "file-1"',
        b'{"id": "file-1"}{"id": "file-2"}',
        b'{"data": {"id": "file-1"}}',
        b'{"id": "file-\xff"}',
        b'\xff\xfe{"id": "file-1"}',
        b'{"id": "file-1", "bytes": 1e400}',
        b'{"id": "file-1", "bytes": NaN}',
        b'{"id": "file-1", "bytes": ' + b"9" * 5000 + b"}",
        b'{"id": "file-1", "x": ' + nested(30000) + b"}",
        b'{"id": "file-1"}' + b" " * ANSWER_BYTES_MAX,
    ],
)
def test_unusable_success(body: bytes) -> None:
    """A success that is cut, garbled, too long, too deep or something else leaves the entry in doubt."""
    outcome = answered(200, body)
    assert isinstance(outcome, InDoubt)
    assert not outcome.answered


def test_success_before_the_body_was_complete() -> None:
    """A server that says yes before it has the file is not believed; its id is kept as a candidate."""
    outcome = answered(200, {"id": FILE_ID, "bytes": 3}, complete=False)
    assert isinstance(outcome, InDoubt)
    assert outcome.candidate_id == FILE_ID


def test_long_fields_are_cut() -> None:
    """A success with an absurd name or size does not put it all into the ledger."""
    sized = answered(200, b'{"id": "file-1", "bytes": ' + b"9" * 4000 + b"}")
    assert isinstance(sized, InDoubt)
    assert len(sized.reason) <= REASON_CHARS_MAX
    named = answered(200, {"id": FILE_ID, "bytes": 3, "filename": "n" * 50_000, "purpose": "\x1b" * 1_000})
    assert isinstance(named, InDoubt)
    assert len(named.reason) <= 4 * REASON_CHARS_MAX
    assert named.at_its_word is not None
    assert all(len(one) <= 2 * REASON_CHARS_MAX for one in named.at_its_word.warnings)
