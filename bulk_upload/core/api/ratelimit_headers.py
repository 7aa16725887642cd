"""How many more requests a server says it accepts: RateLimit headers, the draft-standard and the X- forms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bulk_upload.core.api.retry_after import http_date_s
from bulk_upload.core.model import RateLimitInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RESET_S_MAX = 3600.0
"""A reset further away is ignored: such a quota is handled by Retry-After and by the run's patience."""

_EPOCH_S_MIN = 1e9
_EPOCH_MS_MIN = 1e12
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
_HEADER_CHARS_MAX = 1000
_NAMES = frozenset(
    {"ratelimit", "ratelimit-remaining", "x-ratelimit-remaining", "x-ratelimit-remaining-requests"}
)
_DURATION = re.compile(
    r"(?:([0-9]{1,4})h)?(?:([0-9]{1,6})m(?!s))?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:([0-9]{1,12}(?:\.[0-9]{1,9})?)ms)?",
    re.ASCII,
)


def allowance(headers: Mapping[str, str], *, now_utc_s: float) -> RateLimitInfo | None:
    """Return the quota that the server states, or None where it states none that is valid. Never raises.

    `headers` has lower-case names. The first valid one of these forms wins:

    - `RateLimit: "policy";r=3;t=12` (draft-ietf-httpapi-ratelimit-headers, from its 8th version on); of several
      policies the one with the least remaining counts
    - `RateLimit: limit=100, remaining=3, reset=12` (its 3rd to 7th version)
    - `RateLimit-Remaining` and `RateLimit-Reset` (before that), in seconds
    - `X-RateLimit-Remaining` and `X-RateLimit-Reset` (no standard), in seconds from now or since 1970; a time
    is compared with the answer's own `Date`, so that a wrong local clock does no harm
    - `X-RateLimit-Remaining-Requests` and `X-RateLimit-Reset-Requests` (OpenAI, Groq), a duration such as `6m0s` or `20ms`
    """
    if headers.keys().isdisjoint(_NAMES):
        return None
    text = headers.get("ratelimit", "")[:_HEADER_CHARS_MAX]
    found = _fewest(_policies(text)) or _pair(_parameters(text.replace(",", ";")), "remaining", "reset")
    if found is not None:
        return found
    found = _pair(headers, "ratelimit-remaining", "ratelimit-reset")
    if found is not None:
        return found
    answered_s = http_date_s(headers.get("date", ""))
    found = _pair(
        headers,
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        epoch_s=now_utc_s if answered_s is None else answered_s,
    )
    return found or _of_requests(headers)


def _of_requests(headers: Mapping[str, str]) -> RateLimitInfo | None:
    remaining = _number(headers.get("x-ratelimit-remaining-requests", ""))
    reset_s = duration_s(headers.get("x-ratelimit-reset-requests", ""))
    if remaining is None or reset_s is None or reset_s > RESET_S_MAX:
        return None
    return RateLimitInfo(int(remaining), reset_s)


def duration_s(text: str) -> float | None:
    """Return a duration such as `1h2m3.5s` or `20ms` in seconds, also a bare number; None where `text` is none."""
    plain = text.strip()
    if (seconds := _number(plain)) is not None:
        return seconds
    found = _DURATION.fullmatch(plain)
    if found is None or not any(found.groups()):
        return None
    hours, minutes, seconds_, milliseconds = (float(one or 0) for one in found.groups())
    return hours * 3600 + minutes * 60 + seconds_ + milliseconds / 1000


def _policies(text: str) -> Iterator[RateLimitInfo]:
    for item in text.split(","):
        found = _pair(_parameters(item), "r", "t")
        if found is not None:
            yield found


def _fewest(found: Iterator[RateLimitInfo]) -> RateLimitInfo | None:
    return min(found, key=lambda one: (one.remaining, -one.reset_s), default=None)


def _parameters(text: str) -> dict[str, str]:
    pairs = (piece.partition("=") for piece in text.split(";"))
    return {name.strip().lower(): value for name, _, value in pairs}


def _pair(
    values: Mapping[str, str], remaining_name: str, reset_name: str, *, epoch_s: float | None = None
) -> RateLimitInfo | None:
    remaining = _number(values.get(remaining_name, ""))
    reset_s = _number(values.get(reset_name, ""))
    if remaining is None or reset_s is None:
        return None
    if epoch_s is not None and reset_s >= _EPOCH_S_MIN:
        moment_s = reset_s / 1000 if reset_s >= _EPOCH_MS_MIN else reset_s
        reset_s = max(0.0, moment_s - epoch_s)
    return RateLimitInfo(int(remaining), reset_s) if reset_s <= RESET_S_MAX else None


def _number(text: str) -> float | None:
    plain = text.strip()
    return float(plain) if _NUMBER.fullmatch(plain) else None
