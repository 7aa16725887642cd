"""Reads a custom profile from a table of names and values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bulk_upload.core.api.profile import PROFILES, Answered5xx, Profile
from bulk_upload.core.text.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from enum import StrEnum

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)
_FIELD_NAME = re.compile(r"[^\x00-\x1f\x7f\"]{1,64}")
_PATH = re.compile(r"(/[A-Za-z0-9._~%:+-]+)+", re.ASCII)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z-]{0,15} )?", re.ASCII)
_ID_FIELD = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}", re.ASCII)
# Capitals only: a key that is entered here by mistake is refused, not looked up.
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
PAGE_MAX = 1000


class ProfileFlaw(Exception):
    """One key of a profile's table is wrong; the message says how, `key` which, None for the whole table."""

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


def _like(pattern: re.Pattern[str], example: str) -> Callable[[Any], str]:
    def take(value: Any) -> str:  # noqa: ANN401
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"must be a string such as {example!r}")
        return value

    return take


def _one_of(words: type[StrEnum]) -> Callable[[Any], StrEnum]:
    known = tuple(one.value for one in words)

    def take(value: Any) -> StrEnum:  # noqa: ANN401
        if not isinstance(value, str) or value not in known:
            meant = did_you_mean(value, known).strip() if isinstance(value, str) else ""
            choice = " or ".join(f'"{one}"' for one in known)
            raise ValueError(f"must be {choice}" + (f". {meant}" if meant else ""))
        return words(value)

    return take


def _whether(value: Any) -> bool:  # noqa: ANN401
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _count(most: int) -> Callable[[Any], int]:
    def take(value: Any) -> int:  # noqa: ANN401
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise ValueError(f"must be a whole number from 1 to {most}")
        return value

    return take


def _words(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    words = value if isinstance(value, list) else []
    if not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError('must be a list of strings such as ["assistants"]')
    return tuple(words)


def _address(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise ValueError("must be an address such as 'https://files.example.com'")
    return value


_TAKEN: dict[str, Callable[[Any], object]] = {
    "base-url": _address,
    "method": _like(re.compile(r"PUT|POST"), "POST"),
    "files-path": _like(_PATH, "/v1/files"),
    "file-field": _like(_FIELD_NAME, "file"),
    "purpose-field": _like(_FIELD_NAME, "purpose"),
    "purposes": _words,
    "id-field": _like(_ID_FIELD, "id"),
    "auth-header": _like(_TOKEN, "Authorization"),
    "auth-prefix": _like(_SCHEME, "Bearer "),
    "team-header": _like(_TOKEN, "x-team-id"),
    "can-list": _whether,
    "keeps-names": _whether,
    "can-read-back": _whether,
    "content-path": _like(_PATH, "/content"),
    "answered-5xx": _one_of(Answered5xx),
    "list-page": _count(PAGE_MAX),
    "size-limit-bytes": _count(2**63 - 1),
    "key-variable": _like(_VARIABLE, "ARCHIVE_API_KEY"),
    "base-url-variable": _like(_VARIABLE, "ARCHIVE_BASE_URL"),
    "team-variable": _like(_VARIABLE, "ARCHIVE_TEAM_ID"),
}
"""Each key of a profile, and the function that reads its value."""

# No defaults where a wrong guess would duplicate or misplace files.
_DEFAULTS: dict[str, object] = {
    "id-field": "id",
    "auth-header": "Authorization",
    "auth-prefix": "Bearer ",
    "team-header": None,
    "can-list": False,
    "keeps-names": False,
    # A server that returns no content says so.
    "can-read-back": True,
    "content-path": "/content",
    "answered-5xx": Answered5xx.IN_DOUBT,
    "list-page": 100,
    "size-limit-bytes": None,
    "key-variable": None,
    "base-url-variable": None,
    "team-variable": None,
}
PROFILE_KEYS = tuple(_TAKEN)


def profile_of(name: str, table: Mapping[str, Any]) -> Profile:
    """Return the profile that a table describes. Raises ProfileFlaw for the first thing that is wrong."""
    if name in PROFILES:
        raise ProfileFlaw(f"the profile {name!r} is built in; give yours another name")
    if not _NAME.fullmatch(name):
        raise ProfileFlaw("the name of a profile has lower-case letters, digits and dashes, 32 at most")
    values = dict(_DEFAULTS)
    for key, value in table.items():
        if key not in _TAKEN:
            raise ProfileFlaw(f"a profile has no {key!r}. {did_you_mean(key, PROFILE_KEYS)}".rstrip(), key)
        try:
            values[key] = _TAKEN[key](value)
        except ValueError as error:
            raise ProfileFlaw(f"{key} {error}", key) from None
    missing = [key for key in PROFILE_KEYS if key not in values]
    if missing:
        raise ProfileFlaw(f"the profile lacks {', '.join(missing)}")
    fields: dict[str, Any] = {key.replace("-", "_"): value for key, value in values.items()}
    return Profile(name=name, **fields)
