"""What the answer to a bundle, or the lack of one, means for each of its members."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.api.ratelimit_headers import allowance
from bulk_upload.core.api.responses import (
    LISTED_BYTES_MAX,
    decipher,
    judge_described,
    judge_success,
    request_id_in,
)
from bulk_upload.core.bundle.matching import match
from bulk_upload.core.model import (
    Accepted,
    InDoubt,
    ListedFile,
    Misdirected,
    Outcome,
    Refused,
    Rejected,
    Unavailable,
)
from bulk_upload.core.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.model import SentBody

_TOO_SOON = "the server reported success before the body was complete"


class Lesson(StrEnum):
    """What the end of one bundle shows about sending bundles to this server."""

    SERVED = "served"
    """Files were accepted."""

    UNSERVED = "unserved"
    """The server has no such call, or not for this key."""

    TOO_LARGE = "too large"
    """413: fewer files at once may pass."""

    UNCLEAR = "unclear"
    """A success that shows of no member whether it was stored."""

    REFUSED = "refused"
    """Another 4xx: one of the files may be meant."""

    LOST = "lost"
    """A 5xx or no answer at all, which may have had other causes."""

    NONE = "none"
    """The server asked to wait, or this machine did not send it."""


class BundleAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How a bundle ended: the outcome of each member, in order.

    `whole` is what the end of the request says about the server's load, and what one outcome stands for all where
    `is_by_file` is not set. `strays` are files in the answer that are no member's.
    """

    outcomes: tuple[Outcome, ...]
    whole: Outcome
    lesson: Lesson
    is_by_file: bool = False
    strays: tuple[ListedFile, ...] = ()


def answer_bytes_max(file_count: int) -> int:
    """Return how long an answer about so many files may be."""
    return file_count * LISTED_BYTES_MAX


def decipher_bundle(
    *,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    sent: Sequence[SentBody],
    now_utc_s: float,
    profile: Profile = FLOW,
) -> BundleAnswer:
    """Return what a complete, well-formed HTTP answer to a bundle means, for each member.

    Like `decipher`, which says what it would mean for a single file. Never raises, whatever the server sends.
    """
    if not 200 <= status < 300:
        whole = decipher(
            status=status, headers=headers, body=body, sent=sent[0], now_utc_s=now_utc_s, profile=profile
        )
        return of_all(whole, sent)
    files = _json_array(body) if len(body) <= answer_bytes_max(len(sent)) else None
    if files is None or not sent[0].complete:
        reason = "the success answer is not a list of files" if files is None else _TOO_SOON
        lost = InDoubt(reason=reason, answered=False, http_status=status, request_id=request_id_in(headers))
        return of_all(lost, sent)
    return _by_file(files, sent, status=status, headers=headers, now_utc_s=now_utc_s, profile=profile)


def of_all(whole: Outcome, sent: Sequence[SentBody]) -> BundleAnswer:
    """Return what an end of the whole request means, which says nothing of any file alone.

    A refusal does not say which file is meant, nor whether others were stored before it: the members are in doubt, and
    each that is not there is then sent by itself. Where there is no such call, nothing can have been stored.
    """
    lesson = Lesson.NONE
    outcome = whole
    count = f"one request with {len(sent)} files"
    match whole:
        case Rejected(http_status=404 | 405) | Refused(http_status=403, remedy=None) | Misdirected():
            lesson = Lesson.UNSERVED
            reason = (
                f"redirected to {whole.location_host}" if isinstance(whole, Misdirected) else whole.reason
            )
            outcome = Unavailable(
                reason=f"{count}: {reason}", http_status=whole.http_status, request_id=whole.request_id
            )
        case Rejected():
            lesson = Lesson.TOO_LARGE if whole.http_status == 413 else Lesson.REFUSED
            outcome = _refused_together(whole, f"{count}: {whole.reason}", is_complete=sent[0].complete)
        case InDoubt():
            is_success = whole.http_status is not None and 200 <= whole.http_status < 300
            lesson = Lesson.UNCLEAR if is_success else Lesson.LOST
            # An id, if there is one, is not of any file in particular.
            outcome = replace(
                whole, candidate_id=None, at_its_word=None, is_there_already=False, id_kind=None
            )
        case Unavailable():
            lesson = Lesson.LOST
    return BundleAnswer(outcomes=(outcome,) * len(sent), whole=whole, lesson=lesson)


def _refused_together(whole: Rejected, reason: str, *, is_complete: bool) -> Outcome:
    if not is_complete:
        return Unavailable(reason=reason, http_status=whole.http_status, request_id=whole.request_id)
    return InDoubt(reason=reason, answered=True, http_status=whole.http_status, request_id=whole.request_id)


def _by_file(
    files: list[object],
    sent: Sequence[SentBody],
    *,
    status: int,
    headers: Mapping[str, str],
    now_utc_s: float,
    profile: Profile,
) -> BundleAnswer:
    matches = match(files, sent, profile)
    quota = allowance(headers, now_utc_s=now_utc_s)
    request_id = request_id_in(headers)
    outcomes: list[Outcome] = []
    for number, (member, found) in enumerate(zip(sent, matches.items, strict=True)):
        if found is None:
            outcomes.append(
                _not_named(matches.likely.get(number), len(sent), status=status, request_id=request_id)
            )
            continue
        item, listed = found
        judge = partial(judge_described, item, listed) if listed.has_id else partial(judge_success, item)
        judged = judge(member, status=status, request_id=request_id, quota=quota, profile=profile)
        outcomes.append(_with_size(judged))
    accepted = [one for one in outcomes if isinstance(one, Accepted)]
    return BundleAnswer(
        outcomes=tuple(outcomes),
        whole=accepted[0] if accepted else outcomes[0],
        lesson=Lesson.SERVED if accepted else Lesson.UNCLEAR,
        is_by_file=True,
        strays=matches.strays,
    )


def _not_named(likely: ListedFile | None, file_count: int, *, status: int, request_id: str | None) -> InDoubt:
    """Return the outcome of a member that the answer does not name; `likely` is a file that can only be it."""
    reason = f"the answer to {file_count} files has not one of this name"
    if likely is not None:
        reason += f", and a file named {printable(str(likely.filename))!r} of its size"
    return InDoubt(
        reason=reason,
        answered=True,
        http_status=status,
        candidate_id=None if likely is None else likely.file_id,
        request_id=request_id,
    )


def _with_size(judged: Accepted | InDoubt) -> Outcome:
    """Return a judgement, in doubt where the name alone would tell which file an id is of."""
    if isinstance(judged, InDoubt) or judged.size_confirmed:
        return judged
    return InDoubt(
        reason="the answer names no size: in a request with several files the name alone proves too little",
        answered=True,
        http_status=judged.http_status,
        candidate_id=judged.file_id,
        request_id=judged.request_id,
    )


def _json_array(body: bytes) -> list[Any] | None:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, list) else None
