"""The closing check of a run: decides whether the server's list contradicts its receipts.

A receipt rests on one answer. An answer may name another file, and a server may lose what it accepted; the list is the
second witness. A list may also write names, sizes or purposes in a way of its own: where it shows no file of the run as
it was sent, that is its habit and no evidence.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bulk_upload.core.api.secret import REDACTED
from bulk_upload.core.doubt.adoption import Sameness
from bulk_upload.core.run.reconcile import CLOCK_TOLERANCE_S
from bulk_upload.core.run.verify import DifferenceKind, differences
from bulk_upload.core.text.name_forms import same_letters, twin_form
from bulk_upload.core.text.timestamps import has_zone, utc_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bulk_upload.core.model import ListedFile
    from bulk_upload.core.run.verify import HeldReceipt

REQUESTS_MIN = 10
"""A check may make as many requests, and one more for each hundred that the run made."""

LOOK_UPS_MIN = 4
"""How many of these the list leaves for look-ups of single files."""

FILES_MIN = 3
"""Fewer files show no habit of a list."""

FILES_MAX = 1000
"""Of so many files that all differ the habit of a list is known: the others need not be kept."""


class Verdict(StrEnum):
    """What the list says about one receipt."""

    AGREES = "agrees"
    CONTRADICTS = "contradicts"
    OPEN = "open"


class Mismatch(NamedTuple):
    """A field that the list shows otherwise than it was sent; `purpose` is what the file was sent for."""

    kind: DifferenceKind
    purpose: str
    shown: object
    detail: str


class Sample(NamedTuple):
    """A receipt whose file was read back; `is_anothers` says that another entry sent that content."""

    receipt: HeldReceipt
    sameness: Sameness
    is_anothers: bool


class _Field(msgspec.Struct):
    """How one field was shown so far; values are kept only while no file was shown as it was sent.

    `others` are values of entries in doubt: an answer may have named the file of one of them.
    """

    agreed_count: int = 0
    differed: set[int] = msgspec.field(default_factory=set)
    sent: set[object] = msgspec.field(default_factory=set)
    shown: set[object] = msgspec.field(default_factory=set)
    others: set[object] = msgspec.field(default_factory=set)

    @property
    def differed_count(self) -> int:
        return len(self.differed)

    def agree(self) -> None:
        self.agreed_count += 1
        self.sent.clear()
        self.shown.clear()

    def differ(self, receipt_id: int, sent: object, shown: object) -> None:
        if self.differed_count >= FILES_MAX:
            return
        self.differed.add(receipt_id)
        if not self.agreed_count:
            self.sent.add(sent)
            self.shown.add(shown)

    @property
    def is_decided(self) -> bool:
        return self.agreed_count > 0 or self.differed_count >= FILES_MAX

    @property
    def is_habit(self) -> bool:
        """Whether the server writes this field in its own way: it shows no file as sent, nor as another one of ours."""
        if self.agreed_count or self.differed_count < FILES_MIN:
            return False
        return 2 * len(self.shown & (self.sent | self.others)) < len(self.shown)


class ListEvidence:
    """What the list has shown of a run's files so far.

    Args:
        keeps_names: whether the server is known to keep names; otherwise they are no evidence.
        in_doubt: the name and size of what the run sent for entries in doubt.
    """

    def __init__(self, *, keeps_names: bool, in_doubt: Sequence[tuple[str, int]] = ()) -> None:
        self._keeps_names = keeps_names
        self._respells_names = False
        self._names = _Field(others={twin_form(name) for name, _ in in_doubt})
        self._sizes = _Field(others={file_bytes for _, file_bytes in in_doubt})
        self._purposes: dict[str, _Field] = {}

    def compare(self, receipt: HeldReceipt, file: ListedFile) -> tuple[Mismatch, ...]:
        """Return where a file differs from its receipt, and count how the fields were shown."""
        details = {one.kind: one.detail for one in differences(receipt, file)}
        purposes = self._purposes.setdefault(receipt.purpose, _Field())
        mismatches = []
        for kind, field, sent, shown in (
            (DifferenceKind.RENAMED, self._names, receipt.sent_name, file.filename),
            (DifferenceKind.RESIZED, self._sizes, receipt.file_bytes, file.bytes),
            (DifferenceKind.REPURPOSED, purposes, receipt.purpose, file.purpose),
        ):
            if shown is None or (kind is DifferenceKind.RENAMED and not self._keeps_names):
                continue
            if REDACTED in str(shown):
                continue  # What the server shows there is not known.
            if kind in details and kind is DifferenceKind.RENAMED and same_letters(str(sent), str(shown)):
                self._respells_names = True
                field.agree()
                continue
            if kind not in details:
                field.agree()
            else:
                is_name = kind is DifferenceKind.RENAMED
                values = ((twin_form(str(one)) if is_name else one) for one in (sent, shown))
                field.differ(receipt.receipt_id, *values)
                mismatches.append(Mismatch(kind, receipt.purpose, shown, details[kind]))
        return tuple(mismatches)

    def judge(self, mismatches: Iterable[Mismatch], *, is_last: bool) -> Verdict:
        """Return what mismatches say about a receipt: open while the habits of the list are not known.

        Args:
            mismatches: what `compare` returned for it.
            is_last: nothing more is going to be compared.
        """
        verdicts = {self._judge(one, is_last=is_last) for one in mismatches}
        for verdict in (Verdict.CONTRADICTS, Verdict.OPEN):
            if verdict in verdicts:
                return verdict
        return Verdict.AGREES

    def habits(self) -> list[str]:
        """Return which fields the list writes in its own way, in words."""
        habits = ["names"] if self._respells_names or self._names.is_habit else []
        if self._sizes.is_habit:
            habits.append("sizes")
        if any(one.differed_count and not one.agreed_count for one in self._purposes.values()):
            habits.append("purposes")
        return habits

    @property
    def shows_names(self) -> bool:
        """Whether the list shows the files of the run by their names."""
        return self._keeps_names and not self._names.is_habit

    def _judge(self, one: Mismatch, *, is_last: bool) -> Verdict:
        if one.kind is DifferenceKind.REPURPOSED:
            # The file may be the right one, taken for something else; that of another upload is not.
            if one.shown in self._purposes:
                return Verdict.CONTRADICTS
            return Verdict.AGREES if is_last else Verdict.OPEN
        field = self._names if one.kind is DifferenceKind.RENAMED else self._sizes
        if not (is_last or field.is_decided):
            return Verdict.OPEN
        return Verdict.AGREES if field.is_habit else Verdict.CONTRADICTS


def false_samples(samples: Sequence[Sample]) -> list[Sample]:
    """Return the receipts that contents show to be false.

    A content that no other entry sent says something only if the server returned another file as it was sent.
    """
    is_faithful = any(one.sameness is Sameness.SAME for one in samples)
    return [one for one in samples if one.sameness is Sameness.OTHER and (one.is_anothers or is_faithful)]


def requests_max(attempt_count: int) -> int:
    """Return how many requests the closing check of a run may make that made `attempt_count` requests."""
    return REQUESTS_MIN + attempt_count // 100


def is_passing(mismatches: Sequence[Mismatch]) -> bool:
    """Whether mismatches may be gone later: some servers show a size only once they have processed a file."""
    return all(one.kind is DifferenceKind.RESIZED for one in mismatches)


class Reach(msgspec.Struct):
    """Back to which server time the pages of a list reach, newest first; unknown where their times do not descend."""

    _reached_s: float = float("inf")
    _is_known: bool = True

    @property
    def reached_s(self) -> float | None:
        """The time of the oldest file, None where it is unknown."""
        return self._reached_s if self._is_known and self._reached_s != float("inf") else None

    def read(self, page: Iterable[ListedFile]) -> None:
        """Go on with the next page."""
        for file in page:
            created_s = utc_seconds(file.created_at)
            if created_s is None or not has_zone(file.created_at):
                self._is_known = False
                return
            self._is_known = self._is_known and created_s <= self._reached_s + CLOCK_TOLERANCE_S
            self._reached_s = min(self._reached_s, created_s)

    def should_show(self, sent_at_utc_s: float, *, clock_offset_s: float | None) -> bool:
        """Whether the list, as far as it was read, should show a file that was sent then, by our clock."""
        reached_s = self.reached_s
        if reached_s is None or clock_offset_s is None:
            return False
        return sent_at_utc_s + clock_offset_s > reached_s + CLOCK_TOLERANCE_S
