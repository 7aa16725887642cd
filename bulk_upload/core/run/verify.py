"""Whether receipts are still true: what the ledger says about a file, compared with what the server says now."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.run.reconcile import CLOCK_TOLERANCE_S, LATE_S
from bulk_upload.core.text.timestamps import has_zone, utc_seconds
from bulk_upload.core.text.wording import quoted

if TYPE_CHECKING:
    from bulk_upload.core.model import ListedFile


class DifferenceKind(StrEnum):
    """What can be wrong with a receipt, or with a file that no receipt is for.

    A `duplicate` looks like an entry that has a receipt for another file, an `orphan` like one that has none.
    """

    MISSING = "missing"
    RENAMED = "renamed"
    RESIZED = "resized"
    REPURPOSED = "repurposed"
    CONTENT = "content"
    DUPLICATE = "duplicate"
    ORPHAN = "orphan"


class HeldReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt as the ledger holds it, of a file that no `undo` has deleted."""

    receipt_id: int
    entry_id: int
    path: str
    file_id: str
    sent_name: str
    purpose: str
    file_bytes: int
    sha256: str | None
    superseded: bool


class LookAlike(msgspec.Struct, frozen=True, kw_only=True):
    """A file at the server that no receipt is for, beside an attempt that sent its name and purpose.

    `has_receipt` says whether the attempt's entry has a receipt, which then is for another file. Times are ours;
    `ended_at_utc_s` is None for an attempt whose end was not recorded. `sha256` is what the attempt, or another
    of the same version of the file, is known to have sent.
    """

    file: ListedFile
    entry_id: int
    path: str
    file_bytes: int
    has_receipt: bool
    sent_at_utc_s: float
    ended_at_utc_s: float | None
    sha256: str | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as the ledger says. `path` is the entry's, of a stranger that of its look-alike."""

    kind: DifferenceKind
    path: str
    file_id: str
    detail: str


def differences(receipt: HeldReceipt, found: ListedFile | None) -> list[Difference]:
    """Return how the server's file differs from its receipt; a field the server leaves out cannot differ.

    `found` is None when the server does not know the id any more.
    """

    def difference(kind: DifferenceKind, detail: str) -> Difference:
        return Difference(kind=kind, path=receipt.path, file_id=receipt.file_id, detail=detail)

    if found is None:
        return [difference(DifferenceKind.MISSING, "the server no longer has it")]
    wrong = []
    if found.filename not in (None, receipt.sent_name):
        detail = f"sent as {quoted(receipt.sent_name)}, now {quoted(str(found.filename))}"
        wrong.append(difference(DifferenceKind.RENAMED, detail))
    if found.bytes not in (None, receipt.file_bytes):
        detail = f"{receipt.file_bytes} bytes were sent, the server has {found.bytes}"
        wrong.append(difference(DifferenceKind.RESIZED, detail))
    if found.purpose not in (None, receipt.purpose):
        detail = f"sent for {receipt.purpose}, now {quoted(str(found.purpose))}"
        wrong.append(difference(DifferenceKind.REPURPOSED, detail))
    return wrong


def content_difference(receipt: HeldReceipt, sha256: str | None) -> Difference | None:
    """Return the difference between what was sent and what the server gives back, by hash.

    `sha256` is None where the server gives nothing back though it shows the file.
    """
    if sha256 == receipt.sha256:
        return None
    sent = f"sha256 {receipt.sha256} was sent"
    given = "its content cannot be downloaded" if sha256 is None else f"the server returned sha256 {sha256}"
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
        clock_offset_s: the server's clock minus ours, None where it is unknown.

    A file of another size is only taken for a broken upload when it was made in the time of the attempt. One
    without a creation time cannot be ruled out, nor one of the same size while the offset is unknown.
    """
    made_at_s = _ours_s(one.file, clock_offset_s)
    if made_at_s is not None and made_at_s < job_began_utc_s - CLOCK_TOLERANCE_S:
        return None
    detail = ""
    if one.file.bytes != one.file_bytes:
        if not made_by_attempt(one, clock_offset_s=clock_offset_s):
            return None
        detail = f"; it has {one.file.bytes} bytes, {one.file_bytes} were sent"
    kind = DifferenceKind.DUPLICATE if one.has_receipt else DifferenceKind.ORPHAN
    words = (
        "a second copy; the receipt is for another file"
        if one.has_receipt
        else "matches this entry, which has no receipt"
    )
    return Difference(kind=kind, path=one.path, file_id=one.file.file_id, detail=words + detail)


def made_by_attempt(one: LookAlike, *, clock_offset_s: float | None) -> bool:
    """Whether a file was created in the time of the attempt, so that it can be what the attempt left.

    Nothing is said to be so while the offset of the clocks is unknown: what is may be deleted.
    """
    made_at_s = _ours_s(one.file, clock_offset_s)
    if made_at_s is None or not has_zone(one.file.created_at):
        return False
    # A second of slack: `created_at` may have whole seconds.
    earliest_s = one.sent_at_utc_s - CLOCK_TOLERANCE_S - 1.0
    latest_s = float("inf") if one.ended_at_utc_s is None else one.ended_at_utc_s + LATE_S
    return earliest_s <= made_at_s <= latest_s


def _ours_s(file: ListedFile, clock_offset_s: float | None) -> float | None:
    made_at_s = utc_seconds(file.created_at)
    return None if made_at_s is None or clock_offset_s is None else made_at_s - clock_offset_s
