"""What a server does to names, purposes, sizes and times, as the answers of one run show it.

What was only seen keeps a file from being absent; what was proven, because the content was read back, lets an answer
be believed.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.model import AlteredField, InDoubt, ListedFile
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.text.name_forms import Likeness, likeness, respellings, twin_form
from bulk_upload.core.text.timestamps import has_zone, utc_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from bulk_upload.core.model import Altered, Outcome

OWN_FILES_MAX = 64
"""How many accepted files are remembered: enough to see whether a list shows them."""

TIME_TOLERANCE_S = 10.0
"""How far the list's time of an own file may lie outside its request, aligned clocks given."""


class OwnFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the server accepted in this run.

    Its request began at `began_utc_s` by our wall clock as it was then, `began_at` by the monotonic one, and took
    `lasted_s`. `accepted_at_s` is monotonic, too.
    """

    file_id: str
    name: str
    purpose: str
    file_bytes: int
    began_utc_s: float
    began_at: float
    lasted_s: float
    accepted_at_s: float


class ServerHabits:
    """Learns from every accepted answer, and from own files in the server's list.

    Args:
        purposes: what the server knows. A listed purpose that is none of them may be a respelling of ours.
    """

    def __init__(self, purposes: Collection[str] = tuple(PURPOSES)) -> None:
        self._known_purposes = frozenset(purposes)
        self._own: deque[OwnFile] = deque(maxlen=OWN_FILES_MAX)
        self._kept_purposes: set[str] = set()
        self._seen_purposes: set[tuple[str, str]] = set()
        self._proven: set[object] = set()
        self._sent_as: dict[str, str] = {}
        self._ambiguous: set[str] = set()
        # Ids of listed files whose receipts say what was sent.
        self._kept_names, self._other_names = set[str](), set[str]()
        self._unlike_candidates = set[str]()
        self._kept_sizes, self._other_sizes = set[str](), set[str]()
        self.respells_names = False
        """Whether a name was seen that differs from the one that was sent, and is like it."""

        self.cuts_names = False
        """Whether a name was seen that is a part of the one that was sent, or contains it."""

        self.shifts_times = False
        """Whether the list was seen to show a time at which the file was not made."""

    @property
    def respells(self) -> bool:
        """Whether a name or a purpose was seen in another form than it was sent."""
        return self.respells_names or bool(self._seen_purposes)

    @property
    def may_cut_names(self) -> bool:
        """Whether a part of a name may be all that is left of it: until a listed name was seen to be kept."""
        return self.cuts_names or not self._kept_names

    @property
    def alters_names(self) -> bool:
        """Whether listed names say nothing of those that were sent. A few may as well be wrong receipts."""
        return len(self._other_names) + len(self._unlike_candidates) > len(self._kept_names)

    @property
    def alters_sizes(self) -> bool:
        """Whether listed sizes say nothing of those that were sent."""
        return len(self._other_sizes) > len(self._kept_sizes)

    def read(self, outcome: Outcome) -> Outcome:
        """Learn from an outcome, and return it: as accepted where all that contradicts it is a proven habit."""
        if not isinstance(outcome, InDoubt) or outcome.at_its_word is None:
            return outcome
        altered = outcome.at_its_word.altered
        for one in altered:
            if one.field is AlteredField.PURPOSE:
                self._seen_purposes.add((one.sent, one.stored))
            else:
                # Not an unlike name: it may be another file's.
                self._see_name(likeness(one.sent, one.stored))
        return outcome.at_its_word if self.are_proven(altered) else outcome

    @property
    def accepted_at_s(self) -> float | None:
        """When the server last accepted a file of this run, None where it has none."""
        return self._own[-1].accepted_at_s if self._own else None

    def note_accepted(self, own: OwnFile, *, is_as_sent: bool) -> None:
        """Remember a file that the ledger has a receipt for by now; `is_as_sent` unless the answer had other values."""
        self._own.append(own)
        if is_as_sent:
            self._kept_purposes.add(own.purpose)

    def prove(self, altered: Iterable[Altered]) -> None:
        """Record that a file with these changes is ours: its content was read back."""
        for one in altered:
            if one.field is AlteredField.NAME:
                if likeness(one.sent, one.stored) is Likeness.RESPELT:
                    self._proven |= respellings(one.sent, one.stored)
            elif self._sent_as.setdefault(one.stored, one.sent) != one.sent:
                self._ambiguous.add(one.stored)
            else:
                self._proven.add((one.sent, one.stored))

    def are_proven(self, altered: Iterable[Altered]) -> bool:
        """Whether the server is known to make all of these changes, and no two sent values are one then."""
        return all(self._is_proven(one) for one in altered)

    def _is_proven(self, one: Altered) -> bool:
        if one.field is AlteredField.NAME:
            if likeness(one.sent, one.stored) is not Likeness.RESPELT:
                return False
            return respellings(one.sent, one.stored) <= self._proven
        unique = one.stored not in self._ambiguous and one.stored not in self._kept_purposes
        return unique and (one.sent, one.stored) in self._proven

    def _see_name(self, found: Likeness) -> None:
        self.respells_names = self.respells_names or found is Likeness.RESPELT
        self.cuts_names = self.cuts_names or found is Likeness.CUT

    def see_listed(self, file: ListedFile, *, name: str, purpose: str, file_bytes: int) -> None:
        """Learn from a file in the list that is, by its receipt, the one that was sent with these values."""
        if file.filename is not None:
            found = likeness(name, file.filename)
            self._see_name(found)
            _note(file.file_id, found >= Likeness.RESPELT, self._kept_names, self._other_names)
        if file.purpose is not None and file.purpose != purpose:
            self._seen_purposes.add((purpose, file.purpose))
        if file.bytes is not None:
            _note(file.file_id, file.bytes == file_bytes, self._kept_sizes, self._other_sizes)

    def see_candidate(self, file: ListedFile, *, name: str, purpose: str) -> None:
        """Learn from a file whose id came with the answer to what was sent with these values.

        An unlike name says nothing: the answer may be another file's.
        """
        if file.filename is not None:
            self._see_name(likeness(name, file.filename))
        if file.purpose is not None and file.purpose != purpose:
            self._seen_purposes.add((purpose, file.purpose))

    def see_unlike_candidate(self, file_id: str) -> None:
        """Learn from a file whose id came with an answer, and whose name is unlike any that this ledger sent."""
        if len(self._unlike_candidates) < OWN_FILES_MAX:
            self._unlike_candidates.add(file_id)

    def see_own(self, files: Iterable[ListedFile], *, offset_s_of: Callable[[OwnFile], float | None]) -> None:
        """Learn from a listing: what it says of files that this run had accepted, and when it says they were made.

        `offset_s_of` returns the server's clock minus ours at the time of a file's request, None where it is unknown.
        """
        own = {one.file_id: one for one in self._own}
        for file in files:
            sent = own.get(file.file_id) if file.has_id else None
            if sent is None:
                continue
            self.see_listed(file, name=sent.name, purpose=sent.purpose, file_bytes=sent.file_bytes)
            created_s = utc_seconds(file.created_at)
            offset_s = offset_s_of(sent)
            if created_s is None or offset_s is None or not has_zone(file.created_at):
                continue
            after_s = created_s - offset_s - sent.began_utc_s
            if not -TIME_TOLERANCE_S <= after_s <= sent.lasted_s + TIME_TOLERANCE_S:
                self.shifts_times = True

    def not_shown(
        self, shown_ids: Collection[str], *, should_show: Callable[[OwnFile], bool], before_s: float
    ) -> list[OwnFile]:
        """Return the accepted files that a listing should show and does not.

        Args:
            shown_ids: the ids in the listing.
            should_show: whether the listing goes back to before a file.
            before_s: monotonic; files accepted later may still be missing.
        """
        return [
            one
            for one in self._own
            if one.file_id not in shown_ids and one.accepted_at_s <= before_s and should_show(one)
        ]

    def could_be(self, file: ListedFile, *, name: str, purpose: str, file_bytes: int) -> bool:
        """Whether a listed file may be one that was sent with these values. What the list leaves out rules nothing out."""
        if file.bytes not in (None, file_bytes) and not self.alters_sizes:
            return False
        if file.purpose not in (None, purpose) and not self._may_store(purpose, str(file.purpose)):
            return False
        if file.filename in (None, name):
            return True
        if self.alters_names:
            return file.bytes in (None, file_bytes)
        return likeness(name, str(file.filename)) >= (
            Likeness.CUT if self.may_cut_names else Likeness.RESPELT
        )

    def _may_store(self, sent: str, stored: str) -> bool:
        return (
            (sent, stored) in self._seen_purposes
            or stored not in self._known_purposes
            or twin_form(sent) == twin_form(stored)
        )


def _note(file_id: str, is_kept: bool, kept: set[str], other: set[str]) -> None:
    seen = kept if is_kept else other
    if len(seen) < OWN_FILES_MAX:
        seen.add(file_id)
