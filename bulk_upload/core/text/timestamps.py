"""Wall-clock times as text: one form, UTC, that sorts as it reads."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_TO_THE_SECOND = re.compile(r".{8,10}[T ][0-9]{2}:?[0-9]{2}:?[0-9]{2}.*", re.ASCII | re.DOTALL)


@lru_cache(maxsize=16)
def utc_text(utc_s: float) -> str:
    """Return seconds since 1970 as `2026-06-18T09:30:00.123456Z`.

    Cached: one record writes the same time into several rows.
    """
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def utc_seconds(text: str | None) -> float | None:
    """Return an ISO 8601 time as seconds since 1970, or None where `text` is not one.

    A time without a zone is read as UTC: the API's schema says `date-time` and shows a `Z`. A date, or a time
    cut to the minute, is rejected: it would seem to be earlier than events within it.
    """
    if text is None or _TO_THE_SECOND.fullmatch(text.upper()) is None:
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def has_zone(text: str | None) -> bool:
    """Whether a time says which zone it is in; one that does not may be hours off."""
    if utc_seconds(text) is None or text is None:
        return False
    return datetime.fromisoformat(text.upper()).tzinfo is not None
