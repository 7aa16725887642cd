"""An incremental multipart/form-data parser (RFC 7578) that keeps names literally as they were sent.

aiohttp's own reader strips leading slashes and dots from file names and percent-decodes extended forms; a test
server must show what really was on the wire.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEADER_BYTES_MAX = 16_384

_DISPOSITION = re.compile(rb"content-disposition:[ \t]*form-data[ \t]*(;.*)?", re.IGNORECASE | re.DOTALL)
_PARAMETER = re.compile(
    rb';[ \t]*([A-Za-z0-9*]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^;"\s]*))[ \t]*', re.DOTALL
)
_BOUNDARY = re.compile(r'multipart/form-data[^"]*?;\s*boundary=(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)


class MultipartError(ValueError):
    """The body is not a well-formed form; the message says where it breaks."""


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part starts. `filename` is None for a plain field."""

    name: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class PartData:
    """Bytes of the part that is open."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The open part is complete."""


PartEvent = PartBegin | PartData | PartEnd


def boundary_of(content_type: str) -> bytes | None:
    """Return the boundary a Content-Type announces, or None where it announces no form."""
    match = _BOUNDARY.match(content_type)
    return (match[1] or match[2]).encode() if match is not None else None


class MultipartParser:
    """Turns the pieces of a body into part events; where the pieces are cut never matters."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        # The first boundary needs no line break before it; this one stands for it.
        self._buffer = b"\r\n"
        self._step: Callable[[], tuple[list[PartEvent], bool]] = self._preamble
        self._complete = False

    def feed(self, data: bytes) -> Iterator[PartEvent]:
        """Yield the events that `data` completes.

        Raises:
            MultipartError: not a form.
        """
        self._buffer += data
        while True:
            events, more = self._step()
            yield from events
            if not more:
                return

    def close(self) -> None:
        """State that the body is over.

        Raises:
            MultipartError: the closing boundary has not been seen.
        """
        if not self._complete:
            raise MultipartError("the body ends without its closing boundary")

    def _preamble(self) -> tuple[list[PartEvent], bool]:
        at = self._buffer.find(self._delimiter)
        if at < 0:
            self._buffer = self._buffer[-len(self._delimiter) + 1 :]
            return [], False
        self._buffer = self._buffer[at + len(self._delimiter) :]
        self._step = self._boundary_end
        return [], True

    def _boundary_end(self) -> tuple[list[PartEvent], bool]:
        rest = self._buffer.lstrip(b" \t")
        if len(rest) < 2:
            return [], False
        if rest.startswith(b"--"):
            self._complete = True
            self._buffer = b""
            self._step = self._epilogue
            return [], False
        if not rest.startswith(b"\r\n"):
            raise MultipartError("a boundary is followed by other bytes than a line break")
        self._buffer = rest
        self._step = self._headers
        return [], True

    def _headers(self) -> tuple[list[PartEvent], bool]:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEADER_BYTES_MAX:
                raise MultipartError(f"the headers of a part exceed {HEADER_BYTES_MAX} bytes")
            return [], False
        begin = _part_begin(self._buffer[:end])
        self._buffer = self._buffer[end + 4 :]
        self._step = self._data
        return [begin], True

    def _data(self) -> tuple[list[PartEvent], bool]:
        at = self._buffer.find(self._delimiter)
        if at >= 0:
            data, self._buffer = self._buffer[:at], self._buffer[at + len(self._delimiter) :]
            self._step = self._boundary_end
            return [PartData(data), PartEnd()] if data else [PartEnd()], True
        keep = len(self._delimiter) - 1
        data, self._buffer = self._buffer[:-keep], self._buffer[-keep:]
        return [PartData(data)] if data else [], False

    def _epilogue(self) -> tuple[list[PartEvent], bool]:
        self._buffer = b""
        return [], False


def _part_begin(block: bytes) -> PartBegin:
    for line in block.split(b"\r\n"):
        match = _DISPOSITION.fullmatch(line)
        if match is not None:
            return _named(match[1] or b"")
    raise MultipartError("a part has no Content-Disposition: form-data")


def _named(parameters: bytes) -> PartBegin:
    values: dict[bytes, str] = {}
    at = 0
    while at < len(parameters):
        match = _PARAMETER.match(parameters, at)
        if match is None:
            raise MultipartError(f"unreadable Content-Disposition: {_text(parameters)!r}")
        key = match[1].lower()
        values[key] = _text(match[3]) if match[2] is None else _unquoted(match[2])
        at = match.end()
    if b"name" not in values:
        raise MultipartError("a part has no name")
    extended = values.get(b"filename*")
    return PartBegin(values[b"name"], values.get(b"filename", _extended(extended) if extended else None))


def _unquoted(quoted: bytes) -> str:
    # Only quote and backslash are ever escaped by clients; any other backslash is part of the name.
    return _text(re.sub(rb'\\(["\\])', rb"\1", quoted))


def _extended(value: str) -> str:
    charset, _, rest = value.partition("'")
    try:
        return unquote(rest.partition("'")[2], encoding=charset or "utf-8")
    except LookupError:
        return value


def _text(data: bytes) -> str:
    # As Starlette reads names: UTF-8, else Latin-1, which never fails.
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
