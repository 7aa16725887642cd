"""An API key that does not leak by being printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


CHARS_BY_CHANCE_MAX = 15
"""A key of up to so many characters may be part of a name or an id by chance; a longer one was put there."""

_CUT_CHARS_MIN = 4


class Secret:
    """Holds a secret; `repr` and `str` never show it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself: for the one header it is meant for."""
        return self._value

    def redact(self, text: str) -> str:
        """Return `text` with every occurrence of the secret replaced, also where a `…` cuts one off."""
        if not self._value:
            return text
        text = text.replace(self._value, "[key]")
        if "…" in text:
            for length in range(len(self._value) - 1, _CUT_CHARS_MIN - 1, -1):
                text = text.replace(f"{self._value[:length]}…", "[key]…")
        return text

    def redact_bytes(self, data: bytes) -> bytes:
        """Return `data`, which nobody has read yet, without a secret that cannot be in it by chance."""
        if len(self._value) <= CHARS_BY_CHANCE_MAX:
            return data
        return data.replace(self._value.encode("ascii", "replace"), b"[key]")

    def betrayed_by(self, text: str) -> bool:
        """Whether `text` shows the secret and cannot do so by chance."""
        return len(self._value) > CHARS_BY_CHANCE_MAX and self._value in text

    def __repr__(self) -> str:
        return "Secret(…)"


def key_and_source(api_key: str | Callable[[], str]) -> tuple[Secret, Callable[[], Secret] | None]:
    """Return a key, and how to read it again where it came from a callable. Raises UsageError."""
    if isinstance(api_key, str):
        return usable_key(api_key), None
    source = api_key
    return usable_key(source()), lambda: usable_key(source())


def usable_key(api_key: str) -> Secret:
    """Return a key as a secret. Raises UsageError for what cannot be one; the words never repeat it."""
    key = api_key.strip()
    if not key:
        raise UsageError("the API key is empty", hint="set SEEKR_API_KEY, or pass --api-key-file FILE")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(
            "the API key contains characters no key has",
            hint="copy it anew: one line, no quotes, no spaces, no `Bearer` in front",
        )
    return Secret(key)
