"""Characters that nobody sees at the start of a line: copying from a web page or an editor leaves them there."""

from __future__ import annotations

import re

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]+")
_ENCODED = re.compile(rb"(?:\xc2\xad|\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xa4]|\xef\xbb\xbf)+")


def is_invisible(character: str) -> bool:
    """Whether a character has no width and is no white space."""
    return _INVISIBLE.fullmatch(character) is not None


def without_invisible(text: bytes) -> bytes:
    """Return UTF-8 text without the invisible characters that it starts with."""
    found = _ENCODED.match(text)
    return text if found is None else text[found.end() :].lstrip()
