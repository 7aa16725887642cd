"""What an answer, or the lack of one, means for the entry that was sent."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.api.paging import ListedPage
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.api.responses import (
    ANSWER_BYTES_MAX,
    MISSING_ID,
    REASON_CHARS_MAX,
    UNUSABLE_TEXT,
    decipher,
    is_file_id,
    is_plausible_success,
    listed_file,
    listed_page,
    looked_up_file,
    lost_answer,
    reason_of,
)
from bulk_upload.core.model import (
    Accepted,
    AlteredField,
    InDoubt,
    ListedFile,
    Misdirected,
    Outcome,
    Refused,
    Rejected,
    SentBody,
    Throttled,
    Unavailable,
)

FILE_ID = "file-d0d318cb-b7d9-493a-bd70-1cfe089d3815"


def sent(*, complete: bool = True, file_bytes: int = 3) -> SentBody:
    """Return what an attempt of `data.jsonl` for fine-tune put on the wire."""
    return SentBody(sent_name="data.jsonl", purpose="fine-tune", file_bytes=file_bytes, complete=complete)


def answered(
    status: int,
    body: object = b"",
    headers: dict[str, str] | None = None,
    *,
    complete: bool = True,
    sha256: str | None = None,
    keeps_names: bool = True,
) -> Outcome:
    """Return what an answer means; a body that is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decipher(
        status=status,
        headers=headers or {},
        body=data,
        sent=replace(sent(complete=complete), sha256=sha256),
        now_utc_s=0.0,
        profile=replace(FLOW, keeps_names=keeps_names),
    )


def nested(depth: int) -> bytes:
    """Return an array of arrays, `depth` deep."""
    return b"[" * depth + b"]" * depth


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


INSANE_IDS: list[object] = [
    None, 7, True, [], {}, "", ".", "..", "....", "a/b", "../../x", "%2e%2e", "a b", "a\n", "\na", "a?b", "a#b",
    "a\\b", "é", "٣", "a" * 129, "a\x00", "file\u202e", ["file-1"],
]  # fmt: skip


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


@pytest.mark.parametrize(
    ("status", "headers", "when_complete", "when_not"),
    [
        (100, {}, InDoubt, Unavailable),
        (204, {}, InDoubt, InDoubt),
        (300, {}, Misdirected, Misdirected),
        (304, {}, Misdirected, Misdirected),
        (307, {"location": "https://b/"}, Misdirected, Misdirected),
        (400, {}, Rejected, Rejected),
        (400, {"retry-after": "1"}, Rejected, Rejected),
        (401, {}, Refused, Refused),
        (402, {}, Rejected, Rejected),
        (403, {}, Refused, Refused),
        (404, {}, Rejected, Rejected),
        (405, {}, Rejected, Rejected),
        (408, {}, InDoubt, Unavailable),
        (409, {}, Rejected, Rejected),
        (413, {}, Rejected, Rejected),
        (413, {"retry-after": "1"}, Rejected, Rejected),
        (415, {}, Rejected, Rejected),
        (422, {}, Rejected, Rejected),
        (425, {}, InDoubt, Unavailable),
        (429, {}, Throttled, Throttled),
        (429, {"retry-after": "5"}, Throttled, Throttled),
        (429, {"retry-after": "NaN"}, Throttled, Throttled),
        (499, {}, Rejected, Rejected),
        (500, {}, InDoubt, Unavailable),
        (500, {"retry-after": "5"}, InDoubt, Unavailable),
        (502, {}, InDoubt, Unavailable),
        (503, {}, InDoubt, Unavailable),
        (503, {"retry-after": "5"}, Throttled, Throttled),
        (503, {"retry-after": "-5"}, InDoubt, Unavailable),
        (503, {"retry-after-ms": "5"}, Throttled, Throttled),
        (504, {}, InDoubt, Unavailable),
        (599, {}, InDoubt, Unavailable),
        (600, {}, InDoubt, Unavailable),
        (999, {}, InDoubt, Unavailable),
    ],
)
def test_statuses(
    status: int, headers: dict[str, str], when_complete: type[Outcome], when_not: type[Outcome]
) -> None:
    """The status says what is next; where it says nothing of the file, a complete body leaves a doubt."""
    assert type(answered(status, headers=headers)) is when_complete
    assert type(answered(status, headers=headers, complete=False)) is when_not


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [({}, None), ({"retry-after": "7"}, 7.0), ({"retry-after": "1e400"}, None), ({"retry-after": "0"}, 0.0)],
)
def test_throttled_wait(headers: dict[str, str], wait_s: float | None) -> None:
    """A throttled outcome carries the wait the server named, or that it named none."""
    outcome = answered(429, {"detail": "slow down"}, headers | {"x-request-id": "r1"})
    assert outcome == Throttled(
        http_status=429, retry_after_s=wait_s, reason="HTTP 429: slow down", request_id="r1"
    )


@pytest.mark.parametrize("status", [408, 425, 500, 502, 504])
def test_answered_doubt(status: int) -> None:
    """A doubt after a well-formed refusal settles sooner than one after silence: `answered` tells them apart."""
    outcome = answered(status)
    assert isinstance(outcome, InDoubt)
    assert outcome.answered
    assert outcome.http_status == status


def test_lost_answer() -> None:
    """Without an answer, only a body that was never complete proves that the server has no file."""
    assert lost_answer(sent(), "silence") == InDoubt(reason="silence", answered=False)
    assert lost_answer(sent(complete=False), "silence") == Unavailable(reason="silence")


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("https://evil.example/v1/flow/files", "evil.example"),
        ("https://evil.example:8443/x", "evil.example:8443"),
        ("https://user:password@evil.example/x", "evil.example"),
        ("//evil.example/x", "evil.example"),
        ("/login", "an address it did not name"),
        ("", "an address it did not name"),
        ("https://[::1/", "an address it did not name"),
        ("https://a\x1b7b/", "a\\x1b7b"),
    ],
)
def test_redirect_names_the_host(location: str, host: str) -> None:
    """A redirect is followed by nobody; the person is told where it led, without what steers a terminal."""
    outcome = answered(302, headers={"location": location})
    assert isinstance(outcome, Misdirected)
    assert outcome.location_host == host


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "HTTP 400"),
        (b" \r\n ", "HTTP 400"),
        (b'{"detail": "no such purpose"}', "HTTP 400: no such purpose"),
        (b'{"error": {"message": "bad key", "type": "auth"}}', "HTTP 400: bad key"),
        (b'{"error": "bad"}', "HTTP 400: bad"),
        (b'{"message": "bad"}', "HTTP 400: bad"),
        (
            b'{"detail": [{"loc": ["body", "files", 0], "msg": "Field required", "type": "missing"}]}',
            "HTTP 400: body.files.0: Field required",
        ),
        (b'{"detail": [{"msg": "a"}, {"loc": "x", "msg": "b"}, 7]}', "HTTP 400: a; b"),
        (b'{"detail": []}', 'HTTP 400: {"detail": []}'),
        (b"<html><h1>413</h1> <b>Too\r\nLarge</b></html>", "HTTP 400: 413 Too Large"),
        (b"a\x1b[31mb\x00", "HTTP 400: a\\x1b[31mb\\x00"),
        (b"\xff\xfe", "HTTP 400: \ufffd\ufffd"),
        (b'{"detail": "two\\nlines \\u202e"}', "HTTP 400: two lines \\u202e"),
    ],
)
def test_reason(body: bytes, reason: str) -> None:
    """The server's own words are told in one printable line, whatever form they came in."""
    assert reason_of(400, body) == reason


def test_reason_of_a_deep_answer() -> None:
    """An answer that is nested as deep as can just be read is still only a reason."""
    for depth in (1, 100, *range(900, 1010), 30000):
        deep = nested(depth)
        for body in (
            b'{"detail":[{"loc":[' + deep + b'],"msg":"x"}]}',
            b'{"detail":[{"msg":' + deep + b"}]}",
        ):
            assert reason_of(400, body).startswith("HTTP 400: ")


@given(st.binary(max_size=200), st.integers(1, 1000))
def test_reason_is_short(part: bytes, times: int) -> None:
    """However long a refusal is, the ledger keeps a line of it."""
    reason = reason_of(400, (part * times)[:ANSWER_BYTES_MAX])
    assert len(reason) <= REASON_CHARS_MAX + len("HTTP 400: ")
    assert reason.isprintable()


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


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(INSANE_IDS[:14]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "id",
    "bytes",
    "size_bytes",
    "filename",
    "purpose",
    "created_at",
    "detail",
    "error",
    "message",
    "data",
]
JSON_ANSWERS = st.dictionaries(
    st.sampled_from(FIELDS), JSON_VALUES | st.just(3) | st.just(FILE_ID), max_size=6
)
BODIES = st.binary(max_size=200) | st.builds(
    lambda value: json.dumps(value).encode(), JSON_ANSWERS | JSON_VALUES
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "date", "location", "cf-ray", "x-request-id"]),
    st.text(st.characters(exclude_categories=()), max_size=50)
    | st.sampled_from(["5", "-5", "https://[", "https://a:b@c", "Sun, 06 Nov 1994 08:49:37 GMT"]),
)
STATUSES = st.integers(-10, 1200) | st.sampled_from([200, 201, 204, 302, 401, 403, 429, 500, 503])


@given(STATUSES, HEADERS, BODIES, st.booleans())
@example(400, {}, b'{"detail":[{"loc":[' + nested(980) + b'],"msg":"x"}]}', True)
@example(200, {}, b'{"id":"a","bytes":' + b"9" * 4000 + b"}", True)
def test_decipher_never_raises(status: int, headers: dict[str, str], body: bytes, complete: bool) -> None:
    """Every answer means an outcome, and an outcome claims no more than the body sent allows."""
    outcome = decipher(
        status=status, headers=headers, body=body, sent=sent(complete=complete), now_utc_s=784111777.0
    )
    assert isinstance(outcome, get_args(Outcome))
    success = 200 <= status < 300
    if isinstance(outcome, Accepted):
        assert success
        assert complete
        answer = json.loads(body)
        assert is_file_id(answer["id"])
        assert answer["id"] == outcome.file_id
        assert outcome.size_confirmed <= (3 in (answer.get("bytes"), answer.get("size_bytes")))
    if isinstance(outcome, InDoubt):
        assert complete or success
        assert outcome.candidate_id is None or is_file_id(outcome.candidate_id)
        assert outcome.answered <= (400 <= status < 600)
    if isinstance(outcome, Unavailable):
        assert not complete
    if success:
        assert isinstance(outcome, Accepted | InDoubt)


@given(BODIES)
def test_lists_never_raise(body: bytes) -> None:
    """Any body is a list of files, each with a sane id or none, a single such file, or not an answer."""
    assert all(is_file_id(one.file_id) for one in (listed_page(body) or ListedPage()).files if one.has_id)
    looked_up = looked_up_file(body)
    assert looked_up is None or is_file_id(looked_up.file_id)


def test_listed_files() -> None:
    """A list keeps every member with what the server tells of it; one without a usable id has none, and stays."""
    body = json.dumps(
        {
            "object": "list",
            "data": [
                {
                    "id": "file-1",
                    "filename": "a",
                    "bytes": 1,
                    "purpose": "p",
                    "created_at": "2026-06-18T09:30:00Z",
                },
                {"id": "../x", "filename": "b"},
                {"id": 1003, "filename": "c", "bytes": 2},
                {"filename": "d"},
                7,
                None,
                {"id": "file-2", "filename": 1, "bytes": "1", "purpose": [], "created_at": []},
            ],
        }
    ).encode()
    page = listed_page(body)
    assert page is not None
    assert page.files == [
        ListedFile(file_id="file-1", filename="a", bytes=1, purpose="p", created_at="2026-06-18T09:30:00Z"),
        ListedFile(file_id="../x", has_id=False, filename="b"),
        ListedFile(file_id="1003", has_id=False, filename="c", bytes=2),
        ListedFile(file_id="no id", has_id=False, filename="d"),
        ListedFile(file_id="7", has_id=False),
        ListedFile(file_id="no id", has_id=False),
        ListedFile(file_id="file-2"),
    ]
    assert listed_page(b'{"object": "list", "data": [], "next_page": "abc"}') == ListedPage([], "abc")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"data": null}', b'{"data": {}}', b"<html>", b'{"data": [}']
)
def test_not_a_list(body: bytes) -> None:
    """What is not a list answer is told apart from an empty list, for absence is a decision."""
    assert listed_page(body) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", True),
        (b" \n", True),
        (b"{}", True),
        (b'{"id": "file-1", "deleted": true}', True),
        (b'{"error": {"message": "no"}}', False),
        (b'{"detail": "no"}', False),
        (b"{chaos", False),
        (b"<html>", False),
        (b"[]", False),
    ],
)
def test_what_a_deletion_may_answer(body: bytes, expected: bool) -> None:
    """A gateway's page, or half an answer, is no success: the deletion is asked for again, and finds nothing then."""
    assert is_plausible_success(body) is expected


def test_looked_up_file() -> None:
    """A look-up gives the file, or that it was no usable answer."""
    assert looked_up_file(b'{"id": "file-1", "bytes": 0}') == ListedFile(file_id="file-1", bytes=0)
    assert looked_up_file(b'{"id": ".."}') is None
    assert looked_up_file(b"[]") is None


def test_size_field_names_in_order() -> None:
    """`bytes` is Flow's word; `size_bytes` counts where it is absent or null."""
    assert listed_file({"bytes": 1, "size_bytes": 2}, "file-1").bytes == 1
    assert listed_file({"bytes": None, "size_bytes": 2}, "file-1").bytes == 2
