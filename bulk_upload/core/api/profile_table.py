"""Reads a custom profile from a table of names and values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bulk_upload.core.api.profile import (
    FLOW,
    Answered5xx,
    Complete,
    NameAlphabet,
    Paging,
    Profile,
    UploadBodyKind,
)
from bulk_upload.core.text.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from enum import StrEnum

    from bulk_upload.core.api.profile import Pairs

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)
_FIELD_NAME = re.compile(r"[^\x00-\x1f\x7f\"]{1,64}")
_PATH = re.compile(r"(/[A-Za-z0-9._~%:+-]+)+", re.ASCII)
_ID_FIELD = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}", re.ASCII)
_FIELD = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_CONFLICT = re.compile(rf"reject|retry|adopt:{_ID_FIELD.pattern}", re.ASCII)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z-]{0,15} )?", re.ASCII)
# Capitals only: a key that is entered here by mistake is refused, not looked up.
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_ID_PREFIX = re.compile(r"([A-Za-z0-9_-]{1,32}/){0,3}", re.ASCII)
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,254}[\x21-\x7e])?", re.ASCII)
_QUERY_TEXT = re.compile(r"[A-Za-z0-9._~-]{1,128}", re.ASCII)
_FORM_VALUE = re.compile(r"[^\x00-\x1f\x7f]{1,256}")
# What a request has anyway: a second one would contradict it.
_OWN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "te",
    }
    | {"transfer-encoding", "upgrade", "user-agent"}
)
PAGE_MAX = 10_000
FILES_MAX = 10_000
"""More files in one request than any run sends."""


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


def _whether_or_purposes(value: Any) -> bool | tuple[str, ...]:  # noqa: ANN401
    if isinstance(value, bool):
        return value
    try:
        return _words(value)
    except ValueError:
        raise ValueError('must be true, false, or a list of purposes such as ["batch"]') from None


def _count(most: int, *, least: int = 1) -> Callable[[Any], int]:
    def take(value: Any) -> int:  # noqa: ANN401
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return value

    return take


def _pairs(name: re.Pattern[str], text: re.Pattern[str], example: str) -> Callable[[Any], Pairs]:
    def take(value: Any) -> Pairs:  # noqa: ANN401
        given = value.items() if isinstance(value, dict) else ()
        usable = [
            (one, said)
            for one, said in given
            if isinstance(said, str) and name.fullmatch(one) and text.fullmatch(said)
        ]
        if not usable or len(usable) < len(value):
            raise ValueError(f"must be a table of strings such as {example}")
        return tuple(usable)

    return take


def _fixed_headers(value: Any) -> Pairs:  # noqa: ANN401
    found = _pairs(_TOKEN, _HEADER_VALUE, '{ "api-version" = "2" }')(value)
    for name, _ in found:
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"must be without {name}, which every request has anyway")
    return found


def _words(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    words = value if isinstance(value, list) else []
    if not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError('must be a list of strings such as ["assistants"]')
    return tuple(words)


def _codes(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    codes = value if isinstance(value, list) else []
    if not codes or not all(isinstance(one, str) and _CODE.fullmatch(one) for one in codes):
        raise ValueError('must be a list of codes such as ["insufficient_quota"]')
    return tuple(codes)


def _conflict(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str) or not _CONFLICT.fullmatch(value):
        meant = (
            did_you_mean(value, ("reject", "retry", "adopt:FIELD")).strip() if isinstance(value, str) else ""
        )
        raise ValueError(f'must be "reject", "retry" or "adopt:FIELD"{". " * bool(meant)}{meant}')
    return value


def _method(value: Any) -> str:  # noqa: ANN401
    if value not in ("PUT", "POST"):
        raise ValueError('must be "PUT" or "POST"')
    return str(value)


def _address(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise ValueError("must be an address such as 'https://files.example.com'")
    return value


_TAKEN: dict[str, Callable[[Any], object]] = {
    "base-url": _address,
    "method": _method,
    "files-path": _like(_PATH, "/v1/files"),
    "upload-path": _like(_PATH, "/v1/files/upload"),
    "body": _one_of(UploadBodyKind),
    "file-field": _like(_FIELD_NAME, "file"),
    "purpose-field": _like(_FIELD_NAME, "purpose"),
    "purposes": _words,
    "form": _pairs(_FIELD_NAME, _FORM_VALUE, '{ visibility = "user" }'),
    "headers": _fixed_headers,
    "query": _pairs(_QUERY_TEXT, _QUERY_TEXT, '{ api-version = "v1" }'),
    "id-field": _like(_ID_FIELD, "id"),
    "id-prefix": _like(_ID_PREFIX, "files/"),
    "name-field": _like(_FIELD, "filename"),
    "size-field": _like(_FIELD, "bytes"),
    "auth-header": _like(_TOKEN, "Authorization"),
    "auth-prefix": _like(_SCHEME, "Bearer "),
    "team-header": _like(_TOKEN, "x-team-id"),
    "can-list": _whether,
    "paging": _one_of(Paging),
    "first-page": _count(1, least=0),
    "newest-first": _whether,
    "complete": _one_of(Complete),
    "keeps-names": _whether,
    "name-alphabet": _one_of(NameAlphabet),
    "can-read-back": _whether_or_purposes,
    "content-path": _like(_PATH, "/content"),
    "conflict": _conflict,
    "final-codes": _codes,
    "answered-5xx": _one_of(Answered5xx),
    "list-page": _count(PAGE_MAX),
    "bulk-path": _like(_PATH, "/v1/bulk_files"),
    "bulk-field": _like(_FIELD_NAME, "files"),
    "bulk-max": _count(FILES_MAX, least=2),
    "size-limit-bytes": _count(2**63 - 1),
    "key-variable": _like(_VARIABLE, "ARCHIVE_API_KEY"),
    "base-url-variable": _like(_VARIABLE, "ARCHIVE_BASE_URL"),
    "team-variable": _like(_VARIABLE, "ARCHIVE_TEAM_ID"),
}
"""Each key of a profile, and the function that reads its value."""

# No defaults where a wrong guess would duplicate or misplace files.
_DEFAULTS: dict[str, object] = {
    "upload-path": None,
    "body": UploadBodyKind.FORM,
    "purpose-field": None,
    "form": (),
    "headers": (),
    "query": (),
    "id-field": "id",
    "id-prefix": "",
    "name-field": "filename",
    "size-field": None,
    "auth-header": "Authorization",
    "auth-prefix": "Bearer ",
    "team-header": None,
    "can-list": False,
    "paging": Paging.OFFSET,
    "first-page": 0,
    "newest-first": True,
    "complete": Complete.WALK,
    "keeps-names": False,
    "name-alphabet": NameAlphabet.ANY,
    # A server that returns no content says so.
    "can-read-back": True,
    "content-path": "/content",
    "conflict": "reject",
    "final-codes": (),
    "answered-5xx": Answered5xx.IN_DOUBT,
    "list-page": 100,
    "bulk-path": None,
    "bulk-field": None,
    "bulk-max": None,
    "size-limit-bytes": None,
    "key-variable": None,
    "base-url-variable": None,
    "team-variable": None,
}
PROFILE_KEYS = tuple(_TAKEN)


def profile_of(name: str, table: Mapping[str, Any], *, built_in: Collection[str] = (FLOW.name,)) -> Profile:
    """Return the profile that a table describes. Raises ProfileFlaw for the first thing that is wrong.

    `built_in` are names that it cannot have.
    """
    if name in built_in:
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
    profile = Profile(name=name, **fields)
    _check_together(profile)
    return profile


def _check_together(profile: Profile) -> None:
    """Raise ProfileFlaw for keys that contradict each other."""
    if profile.purpose_field is None and len(profile.purposes) > 1:
        raise ProfileFlaw(
            "without purpose-field the server knows no purposes, so that purposes must be a list of one",
            "purposes",
        )
    _check_bundles(profile)
    if not isinstance(profile.can_read_back, bool):
        for purpose in profile.can_read_back:
            if purpose not in profile.purposes:
                meant = did_you_mean(purpose, profile.purposes)
                raise ProfileFlaw(
                    f"can-read-back names {purpose!r}, which is none of purposes. {meant}", "can-read-back"
                )
    _check_names(profile)


def _check_names(profile: Profile) -> None:
    """Raise ProfileFlaw for headers, fields and parameters that are named twice."""
    taken = {profile.auth_header.lower(), *((profile.team_header.lower(),) if profile.team_header else ())}
    for name, _ in profile.headers:
        if name.lower() in taken:
            raise ProfileFlaw(f"headers has {name}, which is the header of the key or the team", "headers")
    for name, _ in profile.form:
        if name in (profile.file_field, profile.purpose_field):
            raise ProfileFlaw(f"form has {name}, which is the field of the file or the purpose", "form")
    told = {profile.file_field, profile.purpose_field, *(name for name, _ in profile.form)}
    for name, _ in profile.query:
        if profile.body is UploadBodyKind.RAW and name in told:
            raise ProfileFlaw(f"query has {name}, which tells of the file where body is raw", "query")


def _check_bundles(profile: Profile) -> None:
    if profile.bulk_path is None:
        for key, value in (("bulk-field", profile.bulk_field), ("bulk-max", profile.bulk_max)):
            if value is not None:
                raise ProfileFlaw(f"{key} means nothing without bulk-path", key)
    elif not profile.takes_bundles:
        raise ProfileFlaw(
            'bulk-path needs can-list, keeps-names and complete = "walk": a lost answer leaves all its files in doubt, '
            "and only the list can settle that",
            "bulk-path",
        )
