"""An API key that does not leak by being printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


class Secret:
    """Holds a secret; `repr` and `str` never show it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself: for the one header it is meant for."""
        return self._value

    def redact(self, text: str) -> str:
        """Return `text` with every occurrence of the secret replaced."""
        return text.replace(self._value, "[key]") if self._value else text

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
