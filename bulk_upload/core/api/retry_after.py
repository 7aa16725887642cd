"""How long a server asks us to wait: Retry-After in both forms (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import math
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


def retry_after_s(headers: Mapping[str, str], *, now_utc_s: float) -> float | None:
    """Return the wait the server asked for in seconds, or None where it named no valid one.

    `headers` has lower-case names. `retry-after-ms` (the official SDK looks for it) wins over `retry-after`.
    A date is compared with the answer's own `Date`, so that a wrong local clock does no harm; a date in
    the past means now. Signs, exponents, NaN and digits of other scripts are not numbers here.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "").strip()
    seconds = _number(text)
    if seconds is not None:
        return seconds
    until_s = http_date_s(text)
    if until_s is None:
        return None
    answered_s = http_date_s(headers.get("date", ""))
    return max(0.0, until_s - (now_utc_s if answered_s is None else answered_s))


@lru_cache(maxsize=16)
def http_date_s(text: str) -> float | None:
    """Return an HTTP-date as seconds since 1970, or None where `text` is not one.

    The oldest of its forms (`Sun Nov  6 08:49:37 1994`) names no zone and is UTC as well.
    """
    if not text or not text.isascii():
        return None
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _number(text: str) -> float | None:
    plain = text.strip()
    value = float(plain) if _SECONDS.fullmatch(plain) else math.inf
    return value if math.isfinite(value) else None
