"""Wall-clock times as text: one form, UTC, that sorts as it reads."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from functools import lru_cache

_NUMBER = re.compile(r"[0-9]{9,20}(\.[0-9]{1,9})?", re.ASCII)
_UNITS_PER_S = (1, 1_000, 1_000_000, 1_000_000_000)
_NUMBERS_S = range(1_000_000_000, 4_102_444_800)
"""What a number can be as a time: 2001 to 2099. In these years no number has two meanings."""

_TO_THE_SECOND = re.compile(r".{8,10}[T ][0-9]{2}:?[0-9]{2}:?[0-9]{2}.*", re.ASCII | re.DOTALL)


@lru_cache(maxsize=16)
def utc_text(utc_s: float) -> str:
    """Return seconds since 1970 as `2026-06-18T09:30:00.123456Z`.

    Cached: one record writes the same time into several rows.
    """
    whole_s = math.floor(utc_s)
    microseconds = round((utc_s - whole_s) * 1_000_000)
    if microseconds == 1_000_000:
        whole_s, microseconds = whole_s + 1, 0
    return f"{_second_text(whole_s)}.{microseconds:06d}Z"


@lru_cache(maxsize=16)
def _second_text(utc_s: int) -> str:
    """Cached: hundreds of records are of the same second, and a datetime takes five times as long as the rest."""
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="seconds").removesuffix("+00:00")


def utc_seconds(text: str | None) -> float | None:
    """Return an ISO 8601 time as seconds since 1970, or None where `text` is not one.

    A time without a zone is read as UTC: the API's schema says `date-time` and shows a `Z`. A date, or a time
    cut to the minute, is rejected: it would seem to be earlier than events within it.
    """
    return None if text is None else _parsed(text)[0]


def time_text(value: object) -> str | None:
    """Return a time from an answer as text, None where it is neither text nor a time.

    A number, also one in quotes, is a Unix time in seconds, milliseconds, microseconds or nanoseconds, whichever lies
    between 2001 and 2099. Other text is returned as it is.
    """
    if isinstance(value, str):
        number = float(value) if _NUMBER.fullmatch(value) else None
        return value if number is None or (text := _unix_time_text(number)) is None else text
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return _unix_time_text(value)


def _unix_time_text(number: float) -> str | None:
    if not 0 < number < 10**20:
        return None
    for per_s in _UNITS_PER_S:
        if _NUMBERS_S.start <= number / per_s < _NUMBERS_S.stop:
            return utc_text(number / per_s)
    return None


def has_zone(text: str | None) -> bool:
    """Whether a time says which zone it is in; one that does not may be hours off."""
    return text is not None and _parsed(text)[1]


@lru_cache(maxsize=16)
def _parsed(text: str) -> tuple[float | None, bool]:
    """Return a time in seconds since 1970, None where it is none, and whether it has a zone.

    Cached: each answer's time is asked for several times.
    """
    plain = text.upper()
    if _TO_THE_SECOND.fullmatch(plain) is None:
        return None, False
    try:
        moment = datetime.fromisoformat(plain)
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC).timestamp(), False
        return moment.timestamp(), True
    except (ValueError, OverflowError):
        return None, False
