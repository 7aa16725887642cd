"""An API key that does not leak by being printed."""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote

from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


CHARS_BY_CHANCE_MAX = 15
"""A key of up to this many characters may be part of a name or an id by chance; a longer one cannot."""

_CUT_CHARS_MIN = 4

_BASE64_CHARS_MIN = 8
"""Fewer characters of base64 may be part of a word by chance."""

REDACTED = "[key]"
"""Stands for the secret in every text that showed it."""

_ESCAPE_MARKS = ("%", "\\", "&#")
"""The prefixes of escaped characters: in a URL, in JSON, in HTML."""


class Secret:
    """Holds a secret; `repr` and `str` never show it.

    It is found in any form in which a server may echo it: unchanged, in base64 (alone, or with
    anything before and after it, such as `user:KEY`), and with any of its characters escaped as in a URL, in JSON or
    in HTML.
    """

    __slots__ = ("_forms", "_pattern", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._forms = (value, *_encoded(value)) if value else ()
        self._pattern: re.Pattern[str] | None = None

    def reveal(self) -> str:
        """Return the secret itself: for the one header it is meant for."""
        return self._value

    def redact(self, text: str) -> str:
        """Return `text` with every occurrence of the secret replaced, also where a `…` cuts one off."""
        text = self._replaced(text)
        if "…" in text:
            for form in self._forms:
                least = _CUT_CHARS_MIN if form is self._value else _BASE64_CHARS_MIN
                for length in range(len(form) - 1, least - 1, -1):
                    text = text.replace(f"{form[:length]}…", "[key]…")
        return text

    def redact_bytes(self, data: bytes) -> bytes:
        """Return `data`, not parsed yet, without a secret that cannot be in it by chance."""
        if len(self._value) <= CHARS_BY_CHANCE_MAX:
            return data
        # As Latin-1 every byte is a character and comes back as the same byte.
        return self._replaced(data.decode("latin-1")).encode("latin-1")

    def betrayed_by(self, text: str) -> bool:
        """Whether `text` shows the secret and cannot do so by chance."""
        if len(self._value) <= CHARS_BY_CHANCE_MAX:
            return False
        return self._is_plain_in(text) or self._is_escaped_in(text)

    def _replaced(self, text: str) -> str:
        if self._is_plain_in(text):
            for form in self._forms:
                text = text.replace(form, REDACTED)
        return self._escaped().sub(REDACTED, text) if self._is_escaped_in(text) else text

    def _is_plain_in(self, text: str) -> bool:
        # A loop, here and below: every answer is searched, and a generator would cost more than the search.
        for form in self._forms:  # noqa: SIM110
            if form in text:
                return True
        return False

    def _is_escaped_in(self, text: str) -> bool:
        if len(self._value) < _CUT_CHARS_MIN:
            return False
        for mark in _ESCAPE_MARKS:
            if mark in text:
                return self._escaped().search(text) is not None
        return False

    def _escaped(self) -> re.Pattern[str]:
        """Return the pattern that matches the secret with any of its characters escaped; compiled on first use."""
        if self._pattern is None:
            self._pattern = re.compile("".join(map(_any_escape, self._value)))
        return self._pattern

    def __repr__(self) -> str:
        return "Secret(…)"


def _encoded(value: str) -> list[str]:
    """Return the base64 of a secret as it appears in the base64 of any text that contains it."""
    data = value.encode("utf-8", "surrogatepass")
    forms = []
    for encode in (b64encode, urlsafe_b64encode):
        # Three bytes become four characters: the secret's offset decides which ones depend on it alone.
        for before_bytes in range(3):
            text = encode(bytes(before_bytes) + data).decode("ascii")
            first, end = -(-before_bytes * 8 // 6), (before_bytes + len(data)) * 8 // 6
            forms.append(text[first:end])
    percent = quote(value, safe="", errors="surrogatepass")
    return [
        *dict.fromkeys(form for form in forms if len(form) >= _BASE64_CHARS_MIN),
        *([percent] if percent != value else []),
    ]


def _any_escape(character: str) -> str:
    code = ord(character)
    digits = "".join(
        f"[{digit.upper()}{digit.lower()}]" if digit.isalpha() else digit for digit in f"{code:02x}"
    )
    ways = [re.escape(character), f"%(?:25)*{digits}", f"&#(?:0*{code}|[xX]0*{digits});"]
    ways.append(rf"\\+(?:u00{digits}|x{digits}|{re.escape(character)})")
    return f"(?:{'|'.join(ways)})"


def key_and_source(api_key: object) -> tuple[Secret, Callable[[], Secret] | None]:
    """Return a key, and how to read it again where it came from a callable.

    Raises UsageError for a value that is neither text nor callable, and for one that cannot be a key.
    """
    if not callable(api_key):
        return usable_key(api_key), None
    source = api_key
    return usable_key(source()), lambda: usable_key(source())


_NO_KEY_HINT = (
    "pass api_key as a text, or as a function that returns it; is the variable set that it should come from?"
)


def usable_key(api_key: object) -> Secret:
    """Return a key as a secret. Raises UsageError for a value that cannot be one; the message never repeats it."""
    if api_key is None:
        raise UsageError("there is no API key: api_key is None", hint=_NO_KEY_HINT)
    if not isinstance(api_key, str):
        raise UsageError(
            f"the API key is of the type {type(api_key).__name__}, and must be a text",
            hint="pass a str; bytes become one with .decode().strip()",
        )
    key = api_key.strip()
    if not key:
        raise UsageError("there is no API key: api_key is empty", hint=_NO_KEY_HINT)
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(
            "the API key contains invalid characters",
            hint="copy it again: one line, no quotes, no spaces, no leading `Bearer`",
        )
    return Secret(key)
