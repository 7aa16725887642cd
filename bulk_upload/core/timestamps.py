"""Wall-clock times as text: one form, UTC, that sorts as it reads."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_text(utc_s: float) -> str:
    """Return seconds since 1970 as `2026-06-18T09:30:00.123456Z`."""
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def utc_seconds(text: str | None) -> float | None:
    """Return an ISO 8601 time as seconds since 1970, or None where `text` is not one.

    A time without a zone is taken for UTC: the API's schema says `date-time` and shows a `Z`.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
