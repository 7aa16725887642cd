"""How long a server asks us to wait: Retry-After in both forms (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import math
import re
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")

UNIX_TIME_MIN = 1e9
"""Smaller numbers are never read as a Unix time: this one was in 2001."""

NEAR_NOW_S = 86_400.0
"""A Unix time further from now than a day is not taken for one."""


def retry_after_s(headers: Mapping[str, str], *, now_utc_s: float) -> float | None:
    """Return the wait the server asked for in seconds, or None where it named no valid one.

    `headers` has lower-case names. `retry-after-ms` (the official SDK looks for it) wins over `retry-after`.
    A date is measured against the answer's own `Date`, so that a wrong local clock does no harm; a date in
    the past means now. A number that is a Unix time within a day of now, in seconds or milliseconds, is that moment: some
    gateways send it, and as a wait it would be decades. Signs, exponents, NaN and digits of other scripts are not
    numbers here.
    """
    answered_s = http_date_s(headers.get("date", ""))
    answered_s = now_utc_s if answered_s is None else answered_s
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        until_s = _near_unix_time_s(milliseconds, answered_s)
        return milliseconds / 1000 if until_s is None else max(0.0, until_s - answered_s)
    text = headers.get("retry-after", "").strip()
    seconds = _number(text)
    until_s = http_date_s(text) if seconds is None else _near_unix_time_s(seconds, answered_s)
    return seconds if until_s is None else max(0.0, until_s - answered_s)


def _near_unix_time_s(number: float, answered_s: float) -> float | None:
    for moment_s in (number, number / 1000):
        if moment_s >= UNIX_TIME_MIN and abs(moment_s - answered_s) <= NEAR_NOW_S:
            return moment_s
    return None


@lru_cache(maxsize=16)
def http_date_s(text: str) -> float | None:
    """Return an HTTP-date as seconds since 1970, or None where `text` is not one.

    The oldest of its forms (`Sun Nov  6 08:49:37 1994`) names no zone and is UTC as well.
    """
    if not text or not text.isascii():
        return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - what reads a ledger needs none of it

    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _number(text: str) -> float | None:
    plain = text.strip()
    value = float(plain) if _SECONDS.fullmatch(plain) else math.inf
    return value if math.isfinite(value) else None
