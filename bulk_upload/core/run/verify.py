"""Whether receipts are still true: what the ledger says about a file, compared with what the server says now.

A second copy may also be the receipt of another ledger that sent the same file. Two rules keep two such ledgers from
deleting each other's files: a copy is left alone unless a lost answer of this ledger explains it, and it is deleted
only while a newer copy, the file of a receipt, is there. The newest copy is then never deleted, whoever runs when.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.api.server_clock import AGREES_S, MEASURED_S_MAX
from bulk_upload.core.content_hash import named
from bulk_upload.core.run.reconcile import CLOCK_TOLERANCE_S, LATE_S
from bulk_upload.core.text.timestamps import has_zone, utc_seconds
from bulk_upload.core.text.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from bulk_upload.core.doubt.content import ReadBack
    from bulk_upload.core.model import ListedFile

UNEXPLAINED = "no lost answer of this job explains it, it may belong to another job; give its ID to delete it"
TOO_MANY = "there are more copies than lost answers, one may belong to another job; give its ID to delete it"
NEWER = "it is newer than the file of the receipt, another job may rely on it; give its ID to delete it"
NO_NEWER = "the newer version was not found as it was sent, this may be the last copy"
LAST = "the file of the receipt was not found as it was sent, this may be the last copy"


class DifferenceKind(StrEnum):
    """What can be wrong with a receipt, or with a file without a receipt.

    A `duplicate` looks like an entry that has a receipt for another file, an `orphan` like one that has none.
    """

    MISSING = "missing"
    RENAMED = "renamed"
    RESIZED = "resized"
    REPURPOSED = "repurposed"
    CONTENT = "content"
    DUPLICATE = "duplicate"
    ORPHAN = "orphan"


class Standing(StrEnum):
    """What a receipt is to its entry: `current`, also of one that the manifest no longer has (`dropped`), of an older
    version (`superseded`), or `open`, where the entry is no longer accepted."""

    CURRENT = "current"
    DROPPED = "dropped"
    SUPERSEDED = "superseded"
    OPEN = "open"

    @property
    def withdrawable(self) -> bool:
        """Whether the receipt is withdrawn where the server does not have its file."""
        return self in (Standing.CURRENT, Standing.DROPPED)


class HeldReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt from the ledger, of a file that no `undo` has deleted.

    `adopted` says that its id did not come with the answer to the upload: it was found in a list, or named by a person.
    `standing` is what it is to its entry.
    """

    receipt_id: int
    entry_id: int
    path: str
    file_id: str
    sent_name: str
    purpose: str
    file_bytes: int
    content_hash: str | None
    superseded: bool
    adopted: bool = False
    standing: Standing = Standing.CURRENT


class LookAlike(msgspec.Struct, frozen=True, kw_only=True):
    """A file at the server without a receipt, with an attempt that sent its name and purpose.

    `has_receipt` says whether the attempt's entry has a receipt, which then is for another file. `unanswered` says
    that the attempt's answer was lost and no receipt came of it: only such an attempt can have left a file. Times
    are by our clock as it was then, and `clock_offset_s` is the server's minus it, None where nothing in the ledger shows
    it; `ended_at_utc_s` is None for an attempt whose end was not recorded. `content_hash` is what the attempt, or another of
    the same version of the file, is known to have sent.
    """

    file: ListedFile
    attempt_id: int
    unanswered: bool
    entry_id: int
    path: str
    file_bytes: int
    has_receipt: bool
    sent_at_utc_s: float
    ended_at_utc_s: float | None
    content_hash: str | None
    clock_offset_s: float | None = None


class AnsweredUpload(msgspec.Struct, frozen=True):
    """When an upload began and was answered, by our clock, and when the server says that it made the file."""

    began_utc_s: float
    ended_utc_s: float
    created_utc_s: float


class SecondCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A file as large as what an entry with a receipt sent, with no receipt of its own.

    `attempt_ids` are the attempts without an answer that can have left it. `content_hash` is what was sent.
    """

    file: ListedFile
    entry_id: int
    path: str
    file_bytes: int
    content_hash: str | None
    attempt_ids: frozenset[int]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as the ledger says. `path` is the entry's, of a stranger that of its look-alike.

    `of_this_job` is False for a duplicate that no lost answer of this job explains: it may belong to another job.
    `standing` is that of the receipt, None of a stranger.
    """

    kind: DifferenceKind
    path: str
    file_id: str
    detail: str
    of_this_job: bool = True
    standing: Standing | None = None


def differences(
    receipt: HeldReceipt, found: ListedFile | None, *, keeps_names: bool = True
) -> list[Difference]:
    """Return how the server's file differs from its receipt; a field the server leaves out cannot differ.

    `found` is None when the server no longer knows the id. `keeps_names` is the profile's: where it is False, another
    name is no difference.
    """

    def difference(kind: DifferenceKind, detail: str) -> Difference:
        return Difference(
            kind=kind,
            path=receipt.path,
            file_id=receipt.file_id,
            detail=detail,
            standing=receipt.standing,
        )

    if found is None:
        return [difference(DifferenceKind.MISSING, "the server no longer has it")]
    wrong = []
    if keeps_names and found.filename not in (None, receipt.sent_name):
        detail = f"sent as {quoted(receipt.sent_name)}, now {quoted(str(found.filename))}"
        wrong.append(difference(DifferenceKind.RENAMED, detail))
    if found.bytes not in (None, receipt.file_bytes):
        detail = f"{receipt.file_bytes} bytes were sent, the server has {found.bytes}"
        wrong.append(difference(DifferenceKind.RESIZED, detail))
    if found.purpose not in (None, receipt.purpose):
        detail = f"sent for {receipt.purpose}, now {quoted(str(found.purpose))}"
        wrong.append(difference(DifferenceKind.REPURPOSED, detail))
    return wrong


def content_difference(receipt: HeldReceipt, back: ReadBack) -> Difference | None:
    """Return the difference between the content sent and the content the server returns, by hash or by length."""
    if receipt.content_hash is None or receipt.content_hash in back.hashes:
        return None
    sent = f"{named(receipt.content_hash)} was sent"
    if back.hashes:
        given = f"the server returned {' and '.join(map(named, back.hashes))}"
    elif back.total_bytes is not None:
        sent, given = f"{receipt.file_bytes} bytes were sent", f"the server returned {back.total_bytes}"
    else:
        given = back.reason or "the server returns no content"
    return Difference(
        kind=DifferenceKind.CONTENT,
        path=receipt.path,
        file_id=receipt.file_id,
        detail=f"{sent}, {given}",
    )


def stranger(one: LookAlike, *, job_began_utc_s: float, clock_offset_s: float | None) -> Difference | None:
    """Return the difference that a file like an attempt's makes, None where it has nothing to do with this job.

    Args:
        one: the file and an attempt that sent its name and purpose.
        job_began_utc_s: a file that is older cannot be this job's.
        clock_offset_s: the server's clock minus ours now, for attempts without an own one; None where it is unknown.

    A file of another size is only taken for a broken upload when it was made in the time of the attempt, and that had no
    answer where its entry has a receipt: jobs that share an account may send files of the same name. One
    without a creation time cannot be ruled out, nor one of the same size while the offset is unknown.
    """
    made_at_s = _ours_s(one, clock_offset_s)
    # An attempt that seems to be older than its job was made after our clock was set back.
    is_comparable = one.sent_at_utc_s >= job_began_utc_s - CLOCK_TOLERANCE_S
    if is_comparable and made_at_s is not None and made_at_s < job_began_utc_s - CLOCK_TOLERANCE_S:
        return None
    detail = ""
    if one.file.bytes != one.file_bytes:
        may_be_broken = one.unanswered or not one.has_receipt
        if not may_be_broken or not made_by_attempt(one, clock_offset_s=clock_offset_s):
            return None
        detail = f"; it has {one.file.bytes} bytes, {one.file_bytes} were sent"
    if not one.has_receipt:
        return Difference(
            kind=DifferenceKind.ORPHAN,
            path=one.path,
            file_id=one.file.file_id,
            detail=f"matches this entry, which has no receipt{detail}",
        )
    of_this_job = one.unanswered and made_by_attempt(one, clock_offset_s=clock_offset_s)
    whose = "" if of_this_job else "; no lost answer explains it, it may belong to another job"
    return Difference(
        kind=DifferenceKind.DUPLICATE,
        path=one.path,
        file_id=one.file.file_id,
        detail=f"a second copy; the receipt is for another file{detail}{whose}",
        of_this_job=of_this_job,
    )


def stranger_of(
    alike: Sequence[LookAlike], *, job_began_utc_s: float, clock_offset_s: float | None
) -> Difference | None:
    """Return the difference that a file makes by the attempt that explains it best, None where it makes none.

    `alike` holds the attempts that sent the name and purpose of one file. Those that sent its size come first.
    """
    of_size = [one for one in alike if one.file.bytes == one.file_bytes]
    found = [
        difference
        for one in of_size or alike
        if (difference := stranger(one, job_began_utc_s=job_began_utc_s, clock_offset_s=clock_offset_s))
    ]
    explained = [one for one in found if one.of_this_job]
    return next(iter(explained or found), None)


def second_copy(
    alike: Sequence[LookAlike], *, job_began_utc_s: float, clock_offset_s: float | None
) -> SecondCopy | None:
    """Return a file as a second copy; None for one that is none, or is not as large as what was sent.

    `alike` is that of `stranger_of`.
    """
    of_size = [one for one in alike if one.has_receipt and one.file.bytes == one.file_bytes]
    left_by = [
        one for one in of_size if one.unanswered and made_by_attempt(one, clock_offset_s=clock_offset_s)
    ]
    best = (left_by or of_size)[:1]
    if not best or not stranger(best[0], job_began_utc_s=job_began_utc_s, clock_offset_s=clock_offset_s):
        return None
    return SecondCopy(
        file=best[0].file,
        entry_id=best[0].entry_id,
        path=best[0].path,
        file_bytes=best[0].file_bytes,
        content_hash=best[0].content_hash,
        attempt_ids=frozenset(one.attempt_id for one in left_by),
    )


def too_many(copies: Collection[SecondCopy]) -> set[str]:
    """Return the ids of copies that are more than their attempts can have left: one attempt leaves one file."""
    surplus = set()
    for one in copies:
        rivals = sum(other.attempt_ids <= one.attempt_ids for other in copies)
        if rivals > len(one.attempt_ids):
            surplus.add(one.file.file_id)
    return surplus


def newer(copy: ListedFile, own: ListedFile) -> bool:
    """Whether a copy is not surely older than the file of the receipt; equal times are ordered by the id.

    Every ledger comes to the same order, since both times are the server's.
    """
    made_s, own_made_s = utc_seconds(copy.created_at), utc_seconds(own.created_at)
    if made_s is None or own_made_s is None:
        return True
    return (made_s, copy.file_id) > (own_made_s, own.file_id)


def made_by_attempt(one: LookAlike, *, clock_offset_s: float | None) -> bool:
    """Whether a file was created in the time of the attempt, so that it can be what the attempt left.

    Nothing is said to be so while the offset of the clocks is unknown: what is may be deleted.
    """
    made_at_s = _ours_s(one, clock_offset_s)
    if made_at_s is None or not has_zone(one.file.created_at):
        return False
    # A second of slack: `created_at` may have whole seconds.
    earliest_s = one.sent_at_utc_s - CLOCK_TOLERANCE_S - 1.0
    latest_s = float("inf") if one.ended_at_utc_s is None else one.ended_at_utc_s + LATE_S
    return earliest_s <= made_at_s <= latest_s


def offset_by_uploads(uploads: Iterable[AnsweredUpload]) -> float | None:
    """Return the server's clock minus ours as the uploads of one run show it, None where they do not.

    They do not where no single offset explains all of them: our clock was set during the run.
    """
    offset_s, common = None, (float("-inf"), float("inf"))
    for one in uploads:
        least_s, most_s = one.created_utc_s - one.ended_utc_s, one.created_utc_s - one.began_utc_s
        common = max(common[0], least_s), min(common[1], most_s)
        if most_s - least_s <= MEASURED_S_MAX:
            offset_s = least_s if offset_s is None else min(offset_s, least_s)
    return offset_s if common[0] <= common[1] + AGREES_S else None


def _ours_s(one: LookAlike, clock_offset_s: float | None) -> float | None:
    made_at_s = utc_seconds(one.file.created_at)
    clock_offset_s = clock_offset_s if one.clock_offset_s is None else one.clock_offset_s
    return None if made_at_s is None or clock_offset_s is None else made_at_s - clock_offset_s
