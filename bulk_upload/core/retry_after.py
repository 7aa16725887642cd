"""How long a server asks us to wait: Retry-After in both forms (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)


def retry_after_s(headers: Mapping[str, str], *, now_utc_s: float) -> float | None:
    """Return the wait the server asked for in seconds, or None where it asked for none that makes sense.

    `headers` has lower-case names. `retry-after-ms` (the official SDK looks for it) wins over `retry-after`.
    A date is measured against the answer's own `Date`, so that a wrong local clock does no harm; a date in
    the past means now. Signs, exponents, NaN and digits of other scripts are not numbers here.
    """
    milliseconds = headers.get("retry-after-ms")
    if milliseconds is not None and _SECONDS.fullmatch(milliseconds.strip()):
        return float(milliseconds) / 1000
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    until_s = http_date_s(text)
    if until_s is None:
        return None
    answered_s = http_date_s(headers.get("date", ""))
    return max(0.0, until_s - (now_utc_s if answered_s is None else answered_s))


def http_date_s(text: str) -> float | None:
    """Return an HTTP-date as seconds since 1970, or None where `text` is not one."""
    if not text or not text.isascii():
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
