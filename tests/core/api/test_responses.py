"""What an answer, or the lack of one, means for the entry that was sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.api.responses import (
    ANSWER_BYTES_MAX,
    REASON_CHARS_MAX,
    lost_answer,
    reason_of,
)
from bulk_upload.core.model import (
    InDoubt,
    Misdirected,
    Outcome,
    Refused,
    Rejected,
    Throttled,
    Unavailable,
)
from tests.core.api.answers import answered, nested, sent


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
