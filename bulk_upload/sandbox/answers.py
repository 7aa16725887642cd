"""The sandbox's answers, honest and broken ones."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bulk_upload.sandbox.faults import FaultKind, Step
from bulk_upload.sandbox.journal import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bulk_upload.sandbox.requests.form import Detail

ELSEWHERE = "http://elsewhere.invalid/v1/flow/files"
"""Where scripted redirects point unless the step says otherwise. `.invalid` never resolves (RFC 2606)."""

HUGE_BYTES = 16 * 1024 * 1024


def refusal(
    status: int, detail: str | None = None, *, retry_after: str | None = None, location: str | None = None
) -> web.Response:
    """Return `{"detail": "..."}`, by default with the status's own phrase."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    if location is not None:
        headers["Location"] = location
    return web.json_response({"detail": detail or _phrase(status)}, status=status, headers=headers)


def unprocessable(details: Sequence[Detail]) -> web.Response:
    """Return FastAPI's 422 answer."""
    return web.json_response({"detail": list(details)}, status=422)


def too_soon(wait_s: float) -> web.Response:
    """Return the 429 of a rate limit, with the time to wait in whole seconds, rounded up."""
    return refusal(429, "rate limit exceeded", retry_after=str(max(1, math.ceil(wait_s))))


def scripted(step: Step, body: object) -> web.Response:
    """Return the answer of a `status` step; `body` is what a success would have said."""
    status = step.status or 500
    if status < 300:
        return web.json_response(body, status=status) if status != 204 else web.Response(status=status)
    location = step.location or (ELSEWHERE if status < 400 else None)
    return refusal(status, retry_after=_retry_after(step.retry_after), location=location)


def _retry_after(text: str | None) -> str | None:
    if text is None or not text.startswith("date+"):
        return text
    try:
        ahead_s = math.ceil(float(text.removeprefix("date+")))
        return format_datetime(utc_now() + timedelta(seconds=ahead_s), usegmt=True)
    except (ValueError, OverflowError):
        return text


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


_CHANGES: dict[FaultKind, Callable[[dict[str, Any]], dict[str, Any]]] = {
    FaultKind.NO_ID: lambda answer: {name: value for name, value in answer.items() if name != "id"},
    FaultKind.BAD_ID: lambda answer: answer | {"id": "../../v1/flow/files/other"},
    FaultKind.WRONG_BYTES: lambda answer: answer | {"bytes": answer["bytes"] + 1},
    FaultKind.HUGE: lambda answer: answer | {"padding": " " * HUGE_BYTES},
}


def stored_answer(step: Step, body: list[dict[str, Any]], *, bulk: bool, taken_id: str) -> web.Response:
    """Return the answer to stored files as the step wants it; `taken_id` is an id that another file has."""
    change = _CHANGES.get(step.kind)
    if step.kind is FaultKind.DUPLICATE_ID:
        body = [answer | {"id": taken_id} for answer in body]
    elif change is not None:
        body = [change(answer) for answer in body]
    value = body if bulk else body[0]
    if step.kind is FaultKind.STATUS:
        return scripted(step, value)
    if step.kind is FaultKind.HTML:
        return web.Response(text="<html><body>200 OK</body></html>", content_type="text/html")
    text = "" if step.kind is FaultKind.EMPTY else json.dumps(value)
    if step.kind is FaultKind.TRUNCATED:
        text = text[: len(text) // 2]
    return web.Response(text=text, content_type="application/json")


def raw_answer(step: Step, body: bytes) -> bytes | None:
    """Return the bytes of an answer that is no HTTP, or whose body is cut; None for every other step."""
    if step.kind is FaultKind.GARBAGE:
        return b"\x16\x03\x01 this is no HTTP\r\n\r\n"
    if step.kind is FaultKind.CUT_ANSWER:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode("ascii") + body[: len(body) // 2]
    return None
