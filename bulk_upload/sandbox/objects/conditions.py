"""What a request for an object asks by its headers: only if it is (not) this version, and which bytes of it."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_ETAG = re.compile(r'(?:W/)?"[^"]*"|\*')
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)", re.ASCII)


class Unsatisfiable(Exception):
    """No byte of the wanted range exists."""


def failed_condition(headers: Mapping[str, str], *, etag: str | None, modified: datetime) -> int | None:
    """Return the status of a condition that does not hold: 412 or 304 (RFC 9110, section 13.2.2); None if all hold."""
    if "If-Match" in headers:
        # A strong comparison: a weak etag equals nothing.
        wanted = _ETAG.findall(headers["If-Match"])
        if "*" not in wanted and (etag is None or etag.startswith("W/") or etag not in wanted):
            return 412
    elif _is_after(modified, headers.get("If-Unmodified-Since")):
        return 412
    if "If-None-Match" in headers:
        named = {one.removeprefix("W/") for one in _ETAG.findall(headers["If-None-Match"])}
        if "*" in named or (etag is not None and etag.removeprefix("W/") in named):
            return 304
    elif "If-Modified-Since" in headers and not _is_after(modified, headers["If-Modified-Since"]):
        return 304
    return None


def wanted_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first wanted byte and the one after the last; None for the whole object.

    A header that cannot be read stands for the whole, as do several ranges (RFC 9110, section 14.2).

    Raises:
        Unsatisfiable: the range begins after the end.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise Unsatisfiable
    return start, end


def _is_after(modified: datetime, header: str | None) -> bool:
    if header is None:
        return False
    try:
        since = parsedate_to_datetime(header)
    except ValueError:
        return False
    # A date of HTTP has whole seconds.
    return since.tzinfo is not None and modified.replace(microsecond=0) > since
