"""Whether receipts still hold: what the ledger says about a file beside what the server says now."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bulk_upload.core.display import printable

if TYPE_CHECKING:
    from bulk_upload.core.model import ListedFile


class DifferenceKind(StrEnum):
    """What can be wrong with a receipt, or with a file that no receipt is for."""

    MISSING = "missing"
    RENAMED = "renamed"
    RESIZED = "resized"
    REPURPOSED = "repurposed"
    CONTENT = "content"
    DUPLICATE = "duplicate"
    ORPHAN = "orphan"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldReceipt:
    """A receipt as the ledger holds it."""

    receipt_id: int
    entry_id: int
    path: str
    file_id: str
    sent_name: str
    purpose: str
    file_bytes: int
    sha256: str | None
    superseded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as the ledger says. `path` is the entry's, of a stranger that of its look-alike."""

    kind: DifferenceKind
    path: str
    file_id: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind.value:<10}  {self.file_id}  {printable(self.path)}  {printable(self.detail)}"


def differences(receipt: HeldReceipt, found: ListedFile | None) -> list[Difference]:
    """Return how the server's file differs from its receipt; a field the server leaves out cannot differ.

    `found` is None when the server does not know the id any more.
    """

    def difference(kind: DifferenceKind, detail: str) -> Difference:
        return Difference(kind=kind, path=receipt.path, file_id=receipt.file_id, detail=detail)

    if found is None:
        return [difference(DifferenceKind.MISSING, "the server does not have it any more")]
    wrong = []
    if found.filename is not None and found.filename != receipt.sent_name:
        wrong.append(
            difference(DifferenceKind.RENAMED, f"sent as {receipt.sent_name!r}, now {found.filename!r}")
        )
    if found.bytes is not None and found.bytes != receipt.file_bytes:
        wrong.append(
            difference(DifferenceKind.RESIZED, f"{receipt.file_bytes} bytes were sent, now {found.bytes}")
        )
    if found.purpose is not None and found.purpose != receipt.purpose:
        wrong.append(
            difference(DifferenceKind.REPURPOSED, f"sent for {receipt.purpose}, now {found.purpose!r}")
        )
    return wrong


def content_difference(receipt: HeldReceipt, sha256: str) -> list[Difference]:
    """Return the difference between what was sent and what the server gives back, by hash."""
    if receipt.sha256 is None or receipt.sha256 == sha256:
        return []
    return [
        Difference(
            kind=DifferenceKind.CONTENT,
            path=receipt.path,
            file_id=receipt.file_id,
            detail=f"sha256 {receipt.sha256} was sent, the server gives {sha256}",
        )
    ]


def stranger(file: ListedFile, path: str, *, has_receipt: bool) -> Difference:
    """Return the difference that a file without a receipt is, which looks like the entry at `path`.

    Args:
        file: what the server lists.
        path: the entry that sent a file of this name, size and purpose at that time.
        has_receipt: whether that entry has a receipt for another file.
    """
    if has_receipt:
        return Difference(
            kind=DifferenceKind.DUPLICATE,
            path=path,
            file_id=file.file_id,
            detail="a second copy: the entry's receipt is for another file",
        )
    return Difference(
        kind=DifferenceKind.ORPHAN,
        path=path,
        file_id=file.file_id,
        detail="looks like this entry, which has no receipt",
    )
