"""Interprets Files API answers: what one, or the lack of one, means for the entry that was sent."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from bulk_upload.core.api.paging import ListedPage, next_page_in
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.api.ratelimit_headers import allowance
from bulk_upload.core.api.refusal.special import special_refusal
from bulk_upload.core.api.retry_after import retry_after_s
from bulk_upload.core.api.tls_trouble import USE_HTTPS, answers_in_tls
from bulk_upload.core.model import (
    Accepted,
    Altered,
    AlteredField,
    InDoubt,
    ListedFile,
    Misdirected,
    Outcome,
    RateLimitInfo,
    Refused,
    Rejected,
    SentBody,
    Throttled,
    Unavailable,
)
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.timestamps import time_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.core.api.profile import Profile

ANSWER_BYTES_MAX = 64 * 1024
"""A FileResponse is well under 1 KiB; anything longer is not one."""

REASON_CHARS_MAX = 300
LISTED_BYTES_MAX = 2 * 1024
"""What one file of a list may take: a FileResponse has about 400 bytes."""

_FILE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)
_TAG = re.compile(r"<[^>]{0,200}>")
_REQUEST_ID_HEADERS = ("cf-ray", "x-request-id", "request-id", "apim-request-id")


MISSING_ID = "missing"
NUMBER_ID = "a number"
UNUSABLE_TEXT = "a text that cannot be part of an address"


def is_file_id(value: object, prefix: str = "") -> bool:
    """Whether `value` can be used in a URL path as a file id: no slashes, no escapes, not only dots.

    An id of a server whose ids begin with a `prefix` may have the slashes of that.
    """
    if not isinstance(value, str) or not value.startswith(prefix):
        return False
    plain = value[len(prefix) :] if prefix else value
    return _FILE_ID.fullmatch(plain) is not None and plain.strip(".") != ""


def decipher(
    *,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    sent: SentBody,
    now_utc_s: float,
    profile: Profile = FLOW,
) -> Outcome:
    """Return what a complete, well-formed HTTP answer means.

    `headers` has lower-case names; `body` is cut at `ANSWER_BYTES_MAX`. The profile says where things are in an answer;
    where it does not keep names, another name than was sent is no contradiction. Never raises, whatever the server sends.
    """
    request_id = request_id_in(headers)
    if 200 <= status < 300:
        quota = allowance(headers, now_utc_s=now_utc_s)
        return _success(status, body, sent, request_id=request_id, quota=quota, profile=profile)
    if 300 <= status < 400:
        return Misdirected(http_status=status, location_host=_location_host(headers), request_id=request_id)
    reason = reason_of(status, body)
    if status == 400 and answers_in_tls(reason):
        return Unavailable(reason=reason, http_status=status, request_id=request_id, remedy=USE_HTTPS)
    if status in (401, 403):
        return Refused(http_status=status, reason=reason, request_id=request_id)
    special = special_refusal(
        status,
        headers,
        _json_object(body) or {},
        reason=reason,
        request_id=request_id,
        profile=profile,
        is_file_id=partial(is_file_id, prefix=profile.id_prefix),
    )
    if special is not None:
        return special
    wait_s = retry_after_s(headers, now_utc_s=now_utc_s)
    if status == 429 or (status == 503 and wait_s is not None):
        return Throttled(
            http_status=status,
            retry_after_s=wait_s,
            reason=reason,
            request_id=request_id,
            allowance=allowance(headers, now_utc_s=now_utc_s),
        )
    if status in (408, 425) or 500 <= status < 600:
        if sent.complete:
            return InDoubt(reason=reason, answered=True, http_status=status, request_id=request_id)
        return Unavailable(reason=reason, http_status=status, request_id=request_id)
    if 400 <= status < 500:
        return Rejected(http_status=status, reason=reason, request_id=request_id)
    return lost_answer(sent, f"the server answered with the unknown status {status}")


def lost_answer(sent: SentBody, reason: str, *, connection_lost: bool = False) -> Outcome:
    """Return the outcome of an attempt that ended without a usable answer."""
    if sent.complete:
        return InDoubt(reason=reason, answered=False)
    return Unavailable(reason=reason, cut_off=connection_lost and sent.handed_bytes > 0)


def _success(
    status: int,
    body: bytes,
    sent: SentBody,
    *,
    request_id: str | None,
    quota: RateLimitInfo | None,
    profile: Profile,
) -> Outcome:
    def doubt(reason: str) -> InDoubt:
        return InDoubt(reason=reason, answered=False, http_status=status, request_id=request_id)

    if len(body) > ANSWER_BYTES_MAX:
        return doubt(f"the answer is longer than {ANSWER_BYTES_MAX} bytes")
    answer = _json_object(body)
    if answer is None:
        return doubt("the success answer is not a JSON object")
    return judge_success(answer, sent, status=status, request_id=request_id, quota=quota, profile=profile)


def judge_success(
    answer: dict[str, Any],
    sent: SentBody,
    *,
    status: int,
    request_id: str | None,
    quota: RateLimitInfo | None,
    profile: Profile,
) -> Accepted | InDoubt:
    """Return what a success means that describes the file like this: nothing in it may contradict what was sent."""
    described = _described(answer, profile.id_field)
    id_name = _id_name(profile.id_field)
    file_id = described.get(id_name)
    if not isinstance(file_id, str) or not is_file_id(file_id, profile.id_prefix):
        kind = _id_kind(described, id_name)
        words = " ".join(_words(answer).split()) or f"it is {kind}"
        return InDoubt(
            reason=_line(f"the success answer has no usable file id: {words}"),
            answered=False,
            http_status=status,
            request_id=request_id,
            id_kind=None if _names_error(answer) else kind,
        )
    listed = listed_file(described, file_id, profile)
    return judge_described(
        answer, listed, sent, status=status, request_id=request_id, quota=quota, profile=profile
    )


def judge_described(
    answer: dict[str, Any],
    listed: ListedFile,
    sent: SentBody,
    *,
    status: int,
    request_id: str | None,
    quota: RateLimitInfo | None,
    profile: Profile,
) -> Accepted | InDoubt:
    """Return what a success means that describes a file with a usable id: `listed`, as `file_in` reads the answer."""
    file_id = listed.file_id

    def doubt(reason: str) -> InDoubt:
        return InDoubt(
            reason=reason, answered=False, http_status=status, candidate_id=file_id, request_id=request_id
        )

    if not sent.complete:
        return doubt("the server reported success before the body was complete")
    if answer.get("error"):
        return doubt(_line(f"the success answer names an error: {' '.join(_words(answer).split())}"))
    if listed.bytes is not None and listed.bytes != sent.file_bytes:
        return doubt(_line(f"the server reports {listed.bytes} bytes, {sent.file_bytes} were sent"))
    sha256 = _sha256(_described(answer, profile.id_field).get("sha256"))
    if sha256 is not None and sent.sha256 not in (None, sha256):
        return doubt(f"the server reports the sha256 {sha256}, {sent.sha256} was sent")
    # A server that is told no purpose shows none.
    purpose = sent.purpose if profile.purpose_field is not None else str(listed.purpose)
    altered = altered_fields(listed, name=sent.sent_name, purpose=purpose)
    accepted = Accepted(
        file_id=file_id,
        http_status=status,
        size_confirmed=listed.bytes is not None,
        created_at=listed.created_at,
        request_id=request_id,
        warnings=tuple(map(str, altered)),
        altered=altered,
        allowance=quota,
    )
    if altered and any(profile.keeps_names or one.field is not AlteredField.NAME for one in altered):
        return replace(doubt("; ".join(accepted.warnings)), at_its_word=accepted)
    return accepted


def altered_fields(listed: ListedFile, *, name: str, purpose: str) -> tuple[Altered, ...]:
    """Return which of the name and purpose that were sent a server reports otherwise; absent fields are not."""
    if listed.filename in (None, name) and listed.purpose in (None, purpose):
        return ()
    fields = (
        (AlteredField.NAME, name, listed.filename),
        (AlteredField.PURPOSE, purpose, listed.purpose),
    )
    return tuple(
        Altered(field=field, sent=_line(sent), stored=_line(stored))
        for field, sent, stored in fields
        if stored is not None and stored != sent
    )


def _sha256(value: object) -> str | None:
    found = _SHA256.fullmatch(value) if isinstance(value, str) else None
    return None if found is None else found[1].lower()


def _id_kind(described: Mapping[str, Any], name: str) -> str:
    """Return of which kind an id is that cannot be used."""
    value = described.get(name)
    if name not in described:
        return MISSING_ID
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return NUMBER_ID
    if isinstance(value, str):
        return UNUSABLE_TEXT
    return "an object" if isinstance(value, dict) else "a list"


def listed_file(value: Mapping[str, Any], file_id: str, profile: Profile = FLOW) -> ListedFile:
    """Return a FileResponse, read leniently: only the id is required, fields of a wrong type count as absent."""
    size = value.get(profile.size_field or "bytes")
    if size is None and profile.size_field is None:
        size = value.get("size_bytes")
    return ListedFile(
        file_id=file_id,
        filename=_text(value.get(profile.name_field)),
        bytes=size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
        purpose=profile.listed_purpose or _text(value.get("purpose")),
        created_at=time_text(value.get("created_at")),
    )


def listed_page(body: bytes, profile: Profile = FLOW) -> ListedPage | None:
    """Return one page of a list, or None where it is not one.

    Members without a usable id are kept without one: nothing can be adopted from them, and nothing is absent that they
    may be.
    """
    answer = _json_object(body)
    data = answer.get("data") if answer is not None else None
    if answer is None or not isinstance(data, list):
        return None
    return ListedPage([_member(one, profile) for one in data], next_page_in(answer))


def file_in(answer: dict[str, Any], profile: Profile) -> ListedFile:
    """Return the file that the answer to an upload describes, whatever it lacks."""
    return _member(_described(answer, profile.id_field), profile)


def _member(value: object, profile: Profile) -> ListedFile:
    """Return one member of a list, whatever it is."""
    described = value if isinstance(value, dict) else {}
    file_id = described.get(_id_name(profile.id_field))
    if isinstance(file_id, str) and is_file_id(file_id, profile.id_prefix):
        return listed_file(described, file_id, profile)
    shown = value if file_id is None and not described else file_id
    # Only plain values: turning anything deeper into text could exhaust the stack.
    words = _line(str(shown)) if isinstance(shown, str | int | float) else "no id"
    return replace(listed_file(described, words, profile), has_id=False)


def looked_up_file(body: bytes, profile: Profile = FLOW) -> ListedFile | None:
    """Return the file of one look-up answer, or None where it is not one."""
    answer = _json_object(body)
    described = {} if answer is None else _described(answer, profile.id_field)
    file_id = described.get(_id_name(profile.id_field))
    if not isinstance(file_id, str) or not is_file_id(file_id, profile.id_prefix):
        return None
    return listed_file(described, file_id, profile)


def is_plausible_success(body: bytes) -> bool:
    """Whether the body of a success that needs none is credible: empty, or an object that names no error."""
    answer = _json_object(body)
    return not body.strip() if answer is None else not _names_error(answer)


def _described(answer: dict[str, Any], id_field: str) -> dict[str, Any]:
    """Return the object in an answer that describes the file: the one with its id."""
    for name in id_field.split(".")[:-1] if "." in id_field else ():
        inner = answer.get(name)
        if not isinstance(inner, dict):
            return {}
        answer = inner
    return answer


def _id_name(id_field: str) -> str:
    return id_field.rpartition(".")[2]


def reason_of(status: int, body: bytes) -> str:
    """Return the server's message about a refusal, as one printable line that begins with the status."""
    words = _words(_json_object(body)) or _TAG.sub(" ", body[:4096].decode("utf-8", "replace"))
    line = _line(" ".join(words.split()))
    return f"HTTP {status}: {line}" if line else f"HTTP {status}"


def _line(text: str) -> str:
    line = printable(text)
    return line if len(line) <= REASON_CHARS_MAX else line[: REASON_CHARS_MAX - 1] + "…"


def _words(answer: dict[str, Any] | None) -> str:
    """FastAPI sends `detail` (a text or a list of located messages), OpenAI-like servers `error.message`."""
    if answer is None:
        return ""
    detail = answer.get("detail", answer.get("error", answer.get("message", "")))
    if isinstance(detail, dict):
        detail = detail.get("message", "")
    if isinstance(detail, list):
        return "; ".join(_located(one) for one in detail[:5] if isinstance(one, dict))
    return detail if isinstance(detail, str) else ""


def _names_error(answer: dict[str, Any]) -> bool:
    """Whether a success says that it is none, as gateways in front of model servers do."""
    return bool(answer.get("error") or answer.get("detail"))


def _located(error: dict[str, Any]) -> str:
    location = error.get("loc")
    # Only what FastAPI sends: turning anything deeper into text could exhaust the stack.
    steps = location if isinstance(location, list) else []
    place = ".".join(str(step) for step in steps if isinstance(step, str | int))
    message = _text(error.get("msg")) or ""
    return f"{place}: {message}" if place else message


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def request_id_in(headers: Mapping[str, str]) -> str | None:
    """Return the server's name for a request, None where an answer has none."""
    for name in _REQUEST_ID_HEADERS:
        if value := headers.get(name):
            return printable(value[:100])
    return None


def _location_host(headers: Mapping[str, str]) -> str:
    try:
        host = urlsplit(headers.get("location", "")).netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    return printable(host[:200]) or "an address it did not name"
