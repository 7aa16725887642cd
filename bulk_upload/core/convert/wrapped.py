"""Takes the records out of a file that is one object around their array: `{"data": [{...}, {...}]}`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

WRAPPERS = frozenset(
    {"data", "dataset", "rows", "records", "examples", "items", "instances", "samples", "entries"}
)
"""Keys under which exports keep their records. None of them holds the messages or answers of one record in any shape that is
known."""

_SPACE = b" \t\r\n"
_BEGINNING = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"([a-z]+)"[ \t\r\n]*:[ \t\r\n]*(?=\[[ \t\r\n]*\{)')


def wrapper_of(text: bytes, fields: Container[str] = ()) -> str | None:
    """Return the key of the array of objects that a text begins with, None where it begins otherwise.

    `fields` are keys that a record itself may have.
    """
    found = _BEGINNING.match(text)
    if found is None:
        return None
    name = found[1].decode()
    return name if name in WRAPPERS and name not in fields else None


class Unwrapped:
    """The pieces of the array alone.

    What follows the array in its object stays in the pieces.

    Attributes:
        has_end: after all pieces, whether the object ended.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.has_end = False

    def __iter__(self) -> Iterator[bytes]:
        pieces = iter(self._pieces)
        head = next(pieces, b"")
        begins = _BEGINNING.match(head)
        piece = head if begins is None else head[begins.end() :]
        # The end of the text so far, as far as it may be that of the object.
        held = b""
        last = b""
        while True:
            text = held + piece
            ended = text.rstrip(_SPACE)
            cut = len(ended) - 1 if ended.endswith(b"}") else len(text)
            if cut:
                last = text[:cut].rstrip(_SPACE)[-1:] or last
                yield text[:cut]
            held = text[cut:]
            try:
                piece = next(pieces)
            except StopIteration:
                break
        self.has_end = bool(held)
        if held and last != b"]":
            yield held
