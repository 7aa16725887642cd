from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_upload.sandbox.requests.multipart import (
    HEADER_BYTES_MAX,
    MultipartError,
    MultipartParser,
    PartBegin,
    PartData,
    boundary_of,
)
from tests.sandbox.client import BOUNDARY, field_part, file_part, form

Part = tuple[str, str | None, bytes]

BODIES = {
    "purpose first": form(field_part("purpose", "fine-tune"), file_part("a.jsonl", b'{"a": 1}\n')),
    "file first": form(file_part("a.jsonl", b"data"), field_part("purpose", "pre-train")),
    "empty file": form(file_part("empty.jsonl", b"")),
    "looks like a boundary": form(file_part("b", b"\r\n--x-boundary\r\n--\r\n--x-boundary-\r\n")),
    "line breaks at the end": form(file_part("c", b"text\r\n\r\n\r\n")),
    "preamble and epilogue": b"preamble\r\n" + form(file_part("d", b"x" * 300)) + b"epilogue",
}


def parse(body: bytes, *cuts: int) -> list[Part]:
    parser = MultipartParser(BOUNDARY.encode())
    parts: list[Part] = []
    edges = [0, *cuts, len(body)]
    for start, end in pairwise(edges):
        for event in parser.feed(body[start:end]):
            if isinstance(event, PartBegin):
                parts.append((event.name, event.filename, b""))
            elif isinstance(event, PartData):
                name, filename, data = parts[-1]
                parts[-1] = (name, filename, data + event.data)
    parser.close()
    return parts


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_cuts_do_not_matter(body: bytes) -> None:
    """A body parses the same whole, cut anywhere in two, and byte by byte."""
    whole = parse(body)
    assert parse(body, *range(1, len(body))) == whole
    for cut in range(1, len(body)):
        assert parse(body, cut) == whole


def test_content_is_literal() -> None:
    """Fields and files come out with exactly the bytes between their boundaries."""
    assert parse(BODIES["purpose first"]) == [
        ("purpose", None, b"fine-tune"),
        ("files", "a.jsonl", b'{"a": 1}\n'),
    ]
    assert parse(BODIES["looks like a boundary"])[0][2] == b"\r\n--x-boundary\r\n--\r\n--x-boundary-\r\n"
    assert parse(BODIES["line breaks at the end"])[0][2] == b"text\r\n\r\n\r\n"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(0, 400), max_size=4))
def test_any_content_survives(data: bytes, cuts: list[int]) -> None:
    """Any file content that does not hold the boundary comes out unchanged, however the body is cut."""
    body = form(field_part("purpose", "p"), file_part("f", data))
    inside = sorted(cut for cut in cuts if cut < len(body))
    assert parse(body, *inside) == [("purpose", None, b"p"), ("files", "f", data)]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("my data.jsonl", "my data.jsonl"),
        ("my%20data.jsonl", "my%20data.jsonl"),
        ("naïve 雪 😀.jsonl", "naïve 雪 😀.jsonl"),
        ('q\\"uo;te.jsonl', 'q"uo;te.jsonl'),
        ("100%.jsonl", "100%.jsonl"),
        ("a%22b.jsonl", "a%22b.jsonl"),
        ("/etc/../x.jsonl", "/etc/../x.jsonl"),
        ("C:\\dir\\a.jsonl", "C:\\dir\\a.jsonl"),
        ("a\\\\b", "a\\b"),
        ("a=b; name=c", "a=b; name=c"),
        ("", ""),
    ],
)
def test_names_are_literal(sent: str, kept: str) -> None:
    """A file name is kept as sent: only escaped quotes and backslashes are undone."""
    assert parse(form(file_part(sent, b"x")))[0][1] == kept


def test_odd_name_bytes_and_forms() -> None:
    """A name that is not UTF-8 is read as Latin-1, a bare token is a name, and `filename*` is decoded."""
    boundary = BOUNDARY.encode()

    def name_of(disposition: bytes) -> str | None:
        return parse(b"--" + boundary + b"\r\n" + disposition + b"\r\n\r\nx\r\n--" + boundary + b"--")[0][1]

    start = b"Content-Disposition: form-data; name=files; "
    assert name_of(start + b'filename="caf\xe9"') == "café"
    assert name_of(start + b"filename=plain.jsonl") == "plain.jsonl"
    assert name_of(start + b"filename*=UTF-8''na%C3%AFve.jsonl") == "naïve.jsonl"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (form(file_part("a", b"x"))[:-4], "without its closing boundary"),
        (b"no form at all", "without its closing boundary"),
        (b"", "without its closing boundary"),
        (f"--{BOUNDARY}junk".encode(), "followed by other bytes"),
        (f"--{BOUNDARY}\r\nContent-Type: text/plain\r\n\r\nx".encode(), "no Content-Disposition"),
        (f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx".encode(), "no name"),
        (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a\r\n\r\nx'.encode(), "unreadable"),
        (f"--{BOUNDARY}\r\n".encode() + b"x" * (HEADER_BYTES_MAX + 1), "exceed"),
    ],
)
def test_broken_forms_are_refused(body: bytes, complaint: str) -> None:
    """A body that is no whole form is an error that says where it breaks."""
    with pytest.raises(MultipartError, match=complaint):
        parse(body)


def test_boundary_of() -> None:
    """The boundary is found bare or quoted, and only in multipart/form-data."""
    assert boundary_of("multipart/form-data; boundary=abc") == b"abc"
    assert boundary_of('Multipart/Form-Data; charset=utf-8; boundary="a b"') == b"a b"
    assert boundary_of("application/json") is None
    assert boundary_of("multipart/form-data") is None
