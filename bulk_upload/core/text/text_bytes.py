"""Small text files as people's editors write them: UTF-8, with a byte order mark or without."""

from __future__ import annotations

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


BOM = b"\xef\xbb\xbf"


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
