"""Decides whether a file in the server's list may become a receipt, once its content was compared.

A listed file with the right name, size and purpose may be another's: of a second ledger on the account, or of another
program. Its content shows that, unless the other sent the same bytes at the same time.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from bulk_upload.core.content_hash import function_of, functions_of
from bulk_upload.core.doubt.content import ComparedBy
from bulk_upload.core.text.timestamps import has_zone, utc_seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bulk_upload.core.doubt.content import ReadBack
    from bulk_upload.core.model import Altered, ListedFile

EARLY_S = 6.0
"""How far `created_at` may lie before an attempt: `Date` and `created_at` may have whole seconds, and the smallest
offset seen is used."""

LATE_S = 2.0
"""How far it may lie after the attempt's end, for the same reason."""

ALONE_S = 3.0
"""A file counts as the only candidate in a list that was read this long after the attempt: one that was stored at the
same moment may appear a little later, and so do other files of whoever stored it."""

NEARBY_S = 60.0
NEARBY_ATTEMPTS = 3
"""Copies of our other files show that another job is at work if they were made this long before a match, or as long as so
many attempts take, or later."""

CANDIDATES_MAX = 8
"""More files that look alike are not read back; a person decides."""


class Sameness(StrEnum):
    """How the content of a file at the server compares with what was sent."""

    SAME = "same"
    OTHER = "other"
    UNREADABLE = "unreadable"
    UNKNOWN = "unknown"


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate and what its content shows; `reason` says why nothing could be seen.

    `in_time` says whether the server made the file during the attempt, None where times cannot tell. `unproven` is what
    it shows otherwise than it was sent, and is not known to be its habit: only an equal content makes such a file ours.
    `unlike_listed` says that the content that came back has another length than the server shows of the file.
    """

    file: ListedFile
    sameness: Sameness
    by: ComparedBy = ComparedBy.NONE
    reason: str = ""
    in_time: bool | None = None
    unproven: tuple[Altered, ...] = ()
    unlike_listed: bool = False


class Adopt(msgspec.Struct, frozen=True, kw_only=True):
    """The file is what was sent; `by` says how it was compared."""

    file: ListedFile
    by: ComparedBy
    reason: str = ""

    @property
    def detail(self) -> str:
        """How it was compared, as the ledger records it."""
        match self.by:
            case ComparedBy.WHOLE:
                return "content compared whole"
            case ComparedBy.RANGES:
                return "content compared by ranges"
            case ComparedBy.NONE:
                return f"content not compared: {self.reason}" if self.reason else "content not compared"


class RuledOut(msgspec.Struct, frozen=True):
    """None of the candidates is what was sent."""

    file_ids: frozenset[str]


class Doubtful(msgspec.Struct, frozen=True):
    """It cannot be decided; `reason` says why, for a person.

    `lacks_own_file` says that it could be once this job has a receipt whose file shows how the server returns content,
    `by_time` that it could be once the server's time is known.
    """

    reason: str
    lacks_own_file: bool = False
    by_time: bool = False


def sameness_of(back: ReadBack, *, file_bytes: int, content_hash: str) -> Sameness:
    """Return how what came back compares with what was sent; `content_hash` is of the same bytes of it.

    Unknown where what came back was hashed with other functions alone.
    """
    if back.total_bytes is not None and back.total_bytes != file_bytes:
        return Sameness.OTHER
    if not back.hashes:
        return Sameness.UNREADABLE
    if content_hash in back.hashes:
        return Sameness.SAME
    return Sameness.OTHER if function_of(content_hash) in functions_of(back.hashes) else Sameness.UNKNOWN


def made_during(
    file: ListedFile, *, began_utc_s: float, ended_utc_s: float, clock_offset_s: float | None
) -> bool | None:
    """Whether the server made a file during an attempt, None where times cannot tell.

    `clock_offset_s` is the server's clock minus ours, None while it is unknown.
    """
    made_s = utc_seconds(file.created_at)
    if made_s is None or not has_zone(file.created_at) or clock_offset_s is None or ended_utc_s < began_utc_s:
        return None
    ours_s = made_s - clock_offset_s
    return began_utc_s - EARLY_S <= ours_s <= ended_utc_s + LATE_S


def made_nearby(file: ListedFile, match: ListedFile, *, attempt_s: float) -> bool:
    """Whether a file may be of a job that was at work when a match was made; unknown times count as such.

    Both times are the server's, so that no clock of ours matters. The attempt lasted `attempt_s`: a job that sends the
    same files takes about as long for each.
    """
    made_s, matched_s = utc_seconds(file.created_at), utc_seconds(match.created_at)
    if made_s is None or matched_s is None or has_zone(file.created_at) != has_zone(match.created_at):
        return True
    return made_s >= matched_s - max(NEARBY_S, NEARBY_ATTEMPTS * attempt_s)


def decide(
    compared: Sequence[Compared],
    *,
    candidate_id: str | None,
    is_faithful: bool | None,
    candidate_is_older: bool = False,
) -> Adopt | RuledOut | Doubtful:
    """Return what the contents of all candidates say together.

    Args:
        compared: every file that could be what was sent.
        candidate_id: the id that came with the attempt's own answer.
        is_faithful: whether the server returned one of our own files as it was sent. Only then is another content
            evidence; where it is False, contents are no evidence at all. None where that is not known.
        candidate_is_older: whether an earlier version of the entry has a receipt for that id, which explains another content.
    """
    if is_faithful is False and not any(one.sameness is Sameness.SAME for one in compared):
        compared = [unfaithful(one) for one in compared]
    if is_faithful:
        compared = [contradictory(one) for one in compared]
    unknown = [one for one in compared if one.sameness is Sameness.UNKNOWN]
    if unknown:
        return Doubtful(f"{unknown[0].file.file_id} matches, but {unknown[0].reason}")
    possible = [one for one in compared if one.sameness is not Sameness.OTHER]
    others = [one for one in compared if one.sameness is Sameness.OTHER]
    is_found = candidate_is_older and any(one.sameness is Sameness.SAME for one in compared)
    if candidate_id in {one.file.file_id for one in others} and not is_found:
        return Doubtful(f"{candidate_id} came with the answer, but its content is not what was sent")
    if is_faithful is None and needs_own_file(compared):
        return Doubtful(
            f"{_named(others)} has the same name, size and purpose, but other content than what was sent, and no file of "
            "this job shows that the server returns content unchanged",
            lacks_own_file=True,
        )
    if not possible:
        return RuledOut(frozenset(one.file.file_id for one in compared))
    if len(possible) == 1:
        return _only(possible[0], is_candidate=possible[0].file.file_id == candidate_id)
    return _several(possible)


def needs_own_file(compared: Sequence[Compared]) -> bool:
    """Whether the decision depends on how the server returns a file of our own."""
    return all(one.sameness in (Sameness.OTHER, Sameness.UNREADABLE) for one in compared) and any(
        one.sameness is Sameness.OTHER for one in compared
    )


def unfaithful(one: Compared) -> Compared:
    """Return a comparison as it counts where the server does not return contents as they were sent."""
    if one.sameness is not Sameness.OTHER:
        return one
    reason = "the server does not return content as it was sent"
    return replace(one, sameness=Sameness.UNREADABLE, by=ComparedBy.NONE, reason=reason)


def contradictory(one: Compared) -> Compared:
    """Return a comparison as it counts where the server returns contents as they were sent: of another length than it
    shows of the file, what came back is not the file's content."""
    if one.sameness is not Sameness.OTHER or not one.unlike_listed:
        return one
    reason = "what the server returns as its content has another length than the server shows"
    return replace(one, sameness=Sameness.UNKNOWN, by=ComparedBy.NONE, reason=reason)


def equal_elsewhere(adopted: Adopt, stranger: ListedFile, path: str) -> Doubtful:
    """Return the doubt about a match while another job sends the same bytes: `stranger` is its copy of `path`."""
    return Doubtful(
        f"{adopted.file.file_id} matches, but another job seems to send the same files at the same time "
        f"({stranger.file_id} is a second copy of {path}): it cannot be told whose this one is"
    )


def _only(one: Compared, *, is_candidate: bool) -> Adopt | Doubtful:
    file_id, made = one.file.file_id, one.file.created_at
    if one.sameness is Sameness.SAME:
        if one.in_time is False and not is_candidate:
            return Doubtful(
                f"{file_id} has the content that was sent, but was created at {made}, not during the attempt: another job "
                "may have sent it",
                by_time=True,
            )
        return Adopt(file=one.file, by=one.by)
    if one.unproven:
        came = " came with the answer and" if is_candidate else ""
        return Doubtful(
            f"{file_id}{came} may be it, but {'; '.join(map(str, one.unproven))}, and its content cannot be compared "
            f"({one.reason}): check it, then adopt it with `bulk-upload resolve`"
        )
    if one.in_time or is_candidate:
        return Adopt(file=one.file, by=ComparedBy.NONE, reason=one.reason)
    return Doubtful(
        f"{file_id} matches, but its content cannot be compared ({one.reason}), and its time, {made}, does not show "
        "that the attempt made it",
        by_time=True,
    )


def _several(possible: Collection[Compared]) -> Doubtful:
    named = _named(possible)
    if all(one.sameness is Sameness.SAME for one in possible):
        return Doubtful(
            f"{len(possible)} files on the server have the content that was sent: {named}; another job may have sent the "
            "same bytes at the same time"
        )
    reason = next(one.reason for one in possible if one.sameness is Sameness.UNREADABLE)
    return Doubtful(
        f"{len(possible)} files on the server match: {named}; their content cannot be compared ({reason})"
    )


def _named(compared: Collection[Compared]) -> str:
    return ", ".join(one.file.file_id for one in list(compared)[:5])
