"""The frame around a file, read back by parsers that share no code with it."""

from __future__ import annotations

import asyncio
import io
import re
from typing import Any, cast

import pytest
from aiohttp import BodyPartReader, MultipartReader, StreamReader
from hypothesis import assume, given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from bulk_upload.core.api.multipart import form_fields, frame
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.manifest.sent_name import sent_name
from bulk_upload.core.model import Entry

BOUNDARY = "bulk-upload-0123456789abcdef"
_QUOTED = rb'"((?:[^"\\]|\\.)*)"'
_DISPOSITION = re.compile(rb"form-data; name=" + _QUOTED + rb"(?:; filename=" + _QUOTED + rb")?", re.DOTALL)

Part = tuple[str, str | None, bytes]
HOSTILE_VALUE = st.text() | st.sampled_from(
    ["", "\r\n", "\r\n--", "--", '"', "a\r\nContent-Type: text/html\r\n\r\nb", "é雪🎉", "\x00\x1b"]
)


class _Stream:
    """What aiohttp's reader needs of a connection."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    async def read(self, size: int = -1) -> bytes:
        return self._data.read(size)

    async def readline(self, **_: object) -> bytes:
        return self._data.readline()

    def at_eof(self) -> bool:
        return self._data.tell() == len(self._data.getbuffer())

    def unread_data(self, data: bytes) -> None:
        self._data = io.BytesIO(data + self._data.read())


def parsed_by_hand(body: bytes, boundary: str = BOUNDARY) -> list[Part]:
    """Return name, file name and content of every part, by the letter of RFC 7578 and RFC 2183."""
    opening, *parts, closing = (b"\r\n" + body).split(f"\r\n--{boundary}".encode())
    assert opening == b""
    assert closing == b"--\r\n"
    found: list[Part] = []
    for part in parts:
        head, separator, content = part.partition(b"\r\n\r\n")
        assert separator
        empty, disposition, *others = head.split(b"\r\n")
        assert empty == b""
        name, _, value = disposition.partition(b": ")
        assert name == b"Content-Disposition"
        match = _DISPOSITION.fullmatch(value)
        assert match is not None
        is_file = match[2] is not None
        assert others == ([b"Content-Type: application/octet-stream"] if is_file else [])
        found.append((_unquoted(match[1]), _unquoted(match[2]) if is_file else None, content))
    return found


async def parsed_by_aiohttp(body: bytes) -> list[Part]:
    """Return name, file name and content of every part, as an aiohttp server sees them."""
    headers = CIMultiDictProxy(CIMultiDict({"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}))
    reader = MultipartReader(headers, cast("StreamReader", _Stream(body)))
    found: list[Part] = []
    while (part := await reader.next()) is not None:
        assert isinstance(part, BodyPartReader)
        found.append((part.name or "", part.filename, bytes(await part.read())))
    return found


def body_of(fields: list[tuple[str, str]], filename: str, content: bytes, **others: Any) -> bytes:
    """Return a whole body, checked against the length that is declared for it."""
    made = frame(fields=fields, file_field="files", filename=filename, boundary=BOUNDARY, **others)
    body = made.prefix + content + made.suffix
    assert made.body_bytes(len(content)) == len(body)
    return body


@pytest.mark.parametrize(
    "path",
    [
        "data.jsonl",
        "my data.jsonl",
        "naïve 雪 🎉.jsonl",
        'q"uote.jsonl',
        "semi;colon.jsonl",
        "100%22.jsonl",
        "equals=sign, comma.jsonl",
        "back\\slash.jsonl",
        "trailing\\",
        "line\r\nContent-Type: evil.jsonl",
        "caf\udce9.jsonl",
        "'quoted'.jsonl",
        " spaces .jsonl ",
    ],
)
def test_a_server_reads_what_was_meant(path: str) -> None:
    """An aiohttp server finds the purpose first, then the file under its sent name, byte for byte."""
    name = sent_name(path)
    for content in (b"", b"x", b"\r\n", b'{"text": "a"}\r\n--\r\n', bytes(range(256)) * 300):
        body = body_of([("purpose", "fine-tune"), ("note", "a\r\nb")], name, content)
        assert asyncio.run(parsed_by_aiohttp(body)) == [
            ("purpose", None, b"fine-tune"),
            ("note", None, b"a\r\nb"),
            ("files", name, content),
        ]


@given(
    st.lists(st.tuples(st.text(min_size=1), HOSTILE_VALUE), max_size=4),
    st.text(st.characters(exclude_categories=())),
    st.binary(max_size=200),
)
def test_hostile_names_and_values(fields: list[tuple[str, str]], path: str, content: bytes) -> None:
    """No name, value or content opens a part of its own, adds a header or loses a byte."""
    name = sent_name(path)
    assume(not any(BOUNDARY in field_name + value for field_name, value in fields))
    expected: list[Part] = [(_one_line(field_name), None, value.encode()) for field_name, value in fields]
    assert parsed_by_hand(body_of(fields, name, content)) == [*expected, ("files", name, content)]


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_frame_never_raises(value: str, filename: str) -> None:
    """A frame is made of any text, even of what cannot be encoded and of names that were not made safe."""
    parts = parsed_by_hand(body_of([("note", value)], filename, b"content"))
    assert [name for name, _, _ in parts] == ["note", "files"]
    assert parts[-1][2] == b"content"


def test_form_fields() -> None:
    """Purpose comes first, the vector database only where there is one, then the entry's own fields."""
    plain = Entry(path="a", purpose="pre-train")
    assert form_fields(plain, FLOW) == [("purpose", "pre-train")]
    full = Entry(path="a", purpose="alignment", vector_database_id="db", fields=(("a", "1"), ("b", "2")))
    assert form_fields(full, FLOW) == [
        ("purpose", "alignment"),
        ("vector_database_id", "db"),
        ("a", "1"),
        ("b", "2"),
    ]


def _one_line(name: str) -> str:
    return name.replace("\r", "%0D").replace("\n", "%0A")


def _unquoted(text: bytes) -> str:
    return re.sub(r"\\(.)", r"\1", text.decode(), flags=re.DOTALL)
