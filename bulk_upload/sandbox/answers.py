"""The sandbox's answers in its dialect, honest and broken ones."""

from __future__ import annotations

import json
import math
import uuid
from datetime import timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bulk_upload.sandbox.dialects.dialect import Problem
from bulk_upload.sandbox.faults import FaultKind, Step
from bulk_upload.sandbox.journal import utc_now

if TYPE_CHECKING:
    from bulk_upload.sandbox.dialects.dialect import Dialect

ELSEWHERE = "http://elsewhere.invalid/v1/flow/files"
"""Where scripted redirects point unless the step says otherwise. `.invalid` never resolves (RFC 2606)."""

HUGE_BYTES = 16 * 1024 * 1024


class Answers:
    """Makes the answers of one dialect. Every one has a request id."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def json(self, body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
        """Return a JSON answer."""
        return web.json_response(body, status=status, headers=self._headers(uuid.uuid4().hex, headers))

    def problem(self, problem: Problem, headers: dict[str, str] | None = None) -> web.Response:
        """Return a refusal in the dialect's own words."""
        request_id = uuid.uuid4().hex
        body = self._dialect.error_body(problem, request_id)
        return web.json_response(body, status=problem.status, headers=self._headers(request_id, headers))

    def refusal(
        self,
        status: int,
        message: str | None = None,
        *,
        retry_after: str | None = None,
        location: str | None = None,
        code: str | None = None,
    ) -> web.Response:
        """Return a refusal, by default with the status's own phrase."""
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        if location is not None:
            headers["Location"] = location
        return self.problem(Problem(status=status, message=message or _phrase(status), code=code), headers)

    def too_soon(self, wait_s: float) -> web.Response:
        """Return the 429 of a rate limit, with the time to wait in whole seconds, rounded up."""
        headers = {"Retry-After": str(max(1, math.ceil(wait_s)))} | self._dialect.wait_headers(wait_s)
        return self.problem(Problem(status=429, message="rate limit exceeded"), headers)

    def scripted(self, step: Step, body: object) -> web.Response:
        """Return the answer of a step that refuses; `body` is what a success would have said."""
        if step.kind is FaultKind.NO_QUOTA:
            return self.refusal(429, "You exceeded your current quota", code="insufficient_quota")
        status = step.status or 500
        if status < 300:
            return self.json(body, status=status) if status != 204 else web.Response(status=status)
        location = step.location or (ELSEWHERE if status < 400 else None)
        return self.refusal(status, retry_after=_retry_after(step.retry_after), location=location)

    def stored(
        self, step: Step, body: list[dict[str, Any]], *, status: int, bulk: bool, taken_id: str
    ) -> web.Response:
        """Return the answer to stored files as the step wants it; `taken_id` is an id that another file has."""
        if step.kind is FaultKind.DUPLICATE_ID:
            body = [answer | {"id": taken_id} for answer in body]
        else:
            body = [self._changed(step.kind, answer) for answer in _arranged(step.kind, body)]
        value = body if bulk else body[0]
        if step.kind is FaultKind.STATUS:
            return self.scripted(step, value)
        if step.kind is FaultKind.HTML:
            return web.Response(text="<html><body>200 OK</body></html>", content_type="text/html")
        text = "" if step.kind is FaultKind.EMPTY else json.dumps(value)
        if step.kind is FaultKind.TRUNCATED:
            text = text[: len(text) // 2]
        headers = self._headers(uuid.uuid4().hex)
        return web.Response(text=text, status=status, content_type="application/json", headers=headers)

    def _changed(self, kind: FaultKind, answer: dict[str, Any]) -> dict[str, Any]:
        if kind is FaultKind.NO_ID:
            return {name: value for name, value in answer.items() if name != "id"}
        if kind is FaultKind.BAD_ID:
            return answer | {"id": "../../v1/flow/files/other"}
        if kind is FaultKind.WRONG_BYTES:
            return answer | {self._dialect.size_member: answer[self._dialect.size_member] + 1}
        return answer | {"padding": " " * HUGE_BYTES} if kind is FaultKind.HUGE else answer

    def _headers(self, request_id: str, further: dict[str, str] | None = None) -> dict[str, str]:
        return {self._dialect.request_id_header: request_id} | (further or {})


def _arranged(kind: FaultKind, body: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the files of an answer in the order, and as complete, as the step wants them; never none of them."""
    if kind is FaultKind.LEFT_OUT and len(body) > 1:
        return body[1:]
    return body[::-1] if kind is FaultKind.REVERSED else body


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


def raw_answer(step: Step, body: bytes) -> bytes | None:
    """Return the bytes of an answer that is no HTTP, or whose body is cut; None for every other step."""
    if step.kind is FaultKind.GARBAGE:
        return b"\x16\x03\x01 this is no HTTP\r\n\r\n"
    if step.kind is FaultKind.CUT_ANSWER:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode("ascii") + body[: len(body) // 2]
    return None
