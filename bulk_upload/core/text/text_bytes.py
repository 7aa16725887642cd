"""Small text files as people's editors write them: UTF-8, with a byte order mark or without."""

from __future__ import annotations

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


BOM = b"\xef\xbb\xbf"


_JSON_BEGINS = frozenset(b'{["')
_WIDE_UNITS_SEEN = 2


def wide_json(head: bytes) -> str | None:
    """Return the encoding of UTF-16 without a mark whose text begins as JSON does; None for anything else.

    By the zero bytes among the first, as in section 3 of RFC 4627: JSON begins with two characters of ASCII.
    """
    first = head[: 2 * _WIDE_UNITS_SEEN]
    if len(first) < 2 * _WIDE_UNITS_SEEN:
        return None
    for encoding, zeros, characters in (
        ("utf-16-le", first[1::2], first[::2]),
        ("utf-16-be", first[::2], first[1::2]),
    ):
        if not any(zeros) and all(characters) and characters[0] in _JSON_BEGINS:
            return encoding
    return None


def text_in(data: bytes) -> str:
    """Return the text in a file's bytes, without a byte order mark.

    Raises ValueError, whose message follows `it is`, for bytes that are no such text.
    """
    if data.startswith(_UTF_16_MARKS):
        raise ValueError("UTF-16 text; save it as UTF-8")
    try:
        return data.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 text") from None
