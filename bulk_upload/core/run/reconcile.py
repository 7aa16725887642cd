"""Resolves entries in doubt from the server's own list.

PUT is not idempotent here: each accepted request makes a new file. Where an answer was lost, the list is the
only evidence, and it may lag, show several matches, or show a file in another form than it was sent. So exactly one
unclaimed match is believed, absence only after a settle time and of a list that shows our other files, and anything
else is left to a person.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.api.profile import Complete
from bulk_upload.core.api.responses import altered_fields
from bulk_upload.core.api.server_habits import ServerHabits
from bulk_upload.core.model import AlteredField
from bulk_upload.core.text.name_forms import Likeness, likeness
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.timestamps import has_zone, utc_seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.model import Altered, ListedFile

LATE_S = 60.0
"""A file that appears this long after absence could be believed is not attributed to the attempt without asking."""

CLOCK_TOLERANCE_S = 5.0
"""How far the server's `created_at` may lie before our intent once clocks are aligned: `Date` and
`created_at` may have whole seconds."""


_NAME_CHARS_MAX = 100


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt whose result must be found in the server's list.

    `sent_at_utc_s` is when the request began, or its intent was recorded; `settles_at_utc_s` is when absence may be
    believed. Both are by our clock as it was then; `clock_offset_s` is the server's minus it, None where that is
    unknown. `candidate_withdrawn` says that the entry had a receipt for `candidate_id`, which turned out to be false.

    An attempt of this run has `began_at`, which is `sent_at_utc_s` on the monotonic clock. `settle_s` is the whole settle
    time; `clock_was_set` says that our clock was set during the attempt or its run, so that its end is not known.
    """

    entry_id: int
    attempt_id: int
    sent_name: str
    file_bytes: int
    purpose: str
    sent_at_utc_s: float
    settles_at_utc_s: float
    candidate_id: str | None = None
    candidate_withdrawn: bool = False
    clock_offset_s: float | None = None
    began_at: float | None = None
    settle_s: float | None = None
    clock_was_set: bool = False

    def left_s(self, *, utc_s: float, clock_offset_s: float | None) -> float:
        """Return how long to wait, in seconds, until absence may be believed.

        `clock_offset_s` is the server's clock minus ours now, at least; None where it is unknown. All of the settle time
        is waited unless the server's time shows that some of it has passed: our clock may have been set since the
        attempt.
        """
        if self.settle_s is None:
            return max(0.0, self.settles_at_utc_s - utc_s)
        if self.began_at is not None or self.clock_was_set:
            return self.settle_s
        if self.clock_offset_s is None or clock_offset_s is None:
            return self.settle_s
        left_s = self.settles_at_utc_s + self.clock_offset_s - (utc_s + clock_offset_s)
        return min(self.settle_s, max(0.0, left_s))


class Found(msgspec.Struct, frozen=True):
    """Exactly one unclaimed file matches: it may be adopted once a look-up confirms it.

    `altered` is what the server shows otherwise than it was sent. Where that is not known to be its habit, `is_guess`
    says that only an equal content makes the file ours.
    """

    file: ListedFile
    altered: tuple[Altered, ...] = ()
    is_guess: bool = False


class Absent(msgspec.Struct, frozen=True):
    """The settle time has passed and no unclaimed file matches: the entry may be sent again."""


class NotYet(msgspec.Struct, frozen=True):
    """Nothing matches so far, but the list may lag: ask again."""


class Undecided(msgspec.Struct, frozen=True):
    """The list does not decide; `reason` names the candidates. A person must decide, or the content of `alike`: files of
    which each could be the one. `has_vague` says that rows which are not understood could be it, too: then only an equal
    content decides. `by_time` says that only the time of a match speaks against it: by the server's time it may fit."""

    reason: str
    alike: tuple[ListedFile, ...] = ()
    has_vague: bool = False
    by_time: bool = False


Reconciliation = Found | Absent | NotYet | Undecided


def suspects(
    doubt: Doubt,
    listing: Iterable[ListedFile],
    *,
    clock_offset_s: float | None,
    habits: ServerHabits | None = None,
) -> list[ListedFile]:
    """Return the listed files that could be the doubtful upload, also in a form that the server may give it.

    A field the server leaves out cannot rule a file out, nor can a creation time without a zone: it may be hours
    off. `clock_offset_s` is the server's clock minus ours; while that is unknown (None) no time rules a file out.
    """
    habits = habits or ServerHabits()
    not_before_s = window_start_utc_s([doubt], clock_offset_s=clock_offset_s)
    return [
        one
        for one in listing
        if _is_candidate(doubt, one)
        or (
            habits.could_be(one, name=doubt.sent_name, purpose=doubt.purpose, file_bytes=doubt.file_bytes)
            and not (not_before_s is not None and _older(one, not_before_s))
        )
    ]


def judge(
    doubt: Doubt,
    suspected: list[ListedFile],
    *,
    claimed_ids: Collection[str],
    settled: bool,
    clock_offset_s: float | None,
    disputed_ids: Collection[str] = (),
    habits: ServerHabits | None = None,
) -> Reconciliation:
    """Return what the list shows about one doubt.

    Args:
        doubt: the attempt in question.
        suspected: what `suspects` returned for a complete listing, with the same offset and habits.
        claimed_ids: ids among them that are another upload's, by the ledger: some row owns them, or another attempt
            sent what the list shows.
        settled: whether the listing began after the settle time, so that absence may be believed.
        clock_offset_s: the server's clock minus ours at the attempt, or now where nothing shows how it was then; None where
            it is unknown. A file is then adopted only if its time fits as it stands. It rules no file out.
        disputed_ids: the claimed ids whose owner sent something else than the list shows.
        habits: what the server is known to change.
    """
    habits = habits or ServerHabits()
    free = [one for one in suspected if not (one.has_id and one.file_id in claimed_ids)]
    free = _without_withdrawn(doubt, free)
    if any(_is_exact(doubt, one) for one in free):
        # Beside a file as it was sent, one in another form is another file.
        free = [one for one in free if not _is_other_form(doubt, one)]
    if not free:
        disputed = [one for one in suspected if one.file_id in disputed_ids]
        if disputed:
            return Undecided(f"{disputed[0].file_id} matches, but came with the answer to another entry")
        return Absent() if settled else NotYet()
    if len(free) > 1:
        named = ", ".join(map(_shown_id, free[:5]))
        clear = tuple(one for one in free if _is_clear(doubt, one))
        reason = f"{len(free)} files on the server match: {named}"
        return Undecided(reason, alike=clear, has_vague=len(clear) < len(free))
    return _judge_only(doubt, free[0], clock_offset_s=clock_offset_s, habits=habits)


def _judge_only(
    doubt: Doubt, only: ListedFile, *, clock_offset_s: float | None, habits: ServerHabits
) -> Found | Undecided:
    """Return what the list shows about a doubt that one free file is left for."""
    if not only.has_id:
        return Undecided(
            f"the server's list shows {_look(only)}, which may be it, without an id that can be used"
        )
    missing = _missing_fields(only)
    if missing:
        return Undecided(f"{only.file_id} may match, but the server does not report its {missing}")
    if only.bytes != doubt.file_bytes:
        came = "came with the answer, but it" if _is_candidate(doubt, only) else "may match, but it"
        return Undecided(f"{only.file_id} {came} differs from what was sent: {_look(only)}")
    if doubt.candidate_withdrawn and _is_candidate(doubt, only):
        return Undecided(withdrawn_reason(only))
    if not _of_its_time(doubt, only, clock_offset_s):
        unknown = ", as far as one can tell without the server's time" if clock_offset_s is None else ""
        return Undecided(
            f"{only.file_id} matches, but was created at {only.created_at}, not during the attempt{unknown}",
            by_time=True,
        )
    altered = altered_in_file(doubt, only)
    if any(one.field is AlteredField.NAME and _is_unlike(doubt, only) for one in altered):
        came = "came with the answer, but it" if _is_candidate(doubt, only) else "may match, but it"
        return Undecided(
            f"{only.file_id} {came} differs from what was sent: {_look(only)}; if the server changes names, its profile "
            "must say keeps-names = false"
        )
    return Found(only, altered, bool(altered) and not habits.are_proven(altered))


def unproven_absence(profile: Profile, *, page_count: int) -> Undecided | None:
    """Return why a list that lacks a file proves nothing by its profile, None where it may."""
    match profile.complete:
        case Complete.NEVER:
            return Undecided(
                f"the list does not show it, which proves nothing: by the profile {profile.name} lists are not known to be complete"
            )
        case Complete.ONE_PAGE if page_count > 1:
            return Undecided(
                f"the list does not show it, but came in {page_count} pages: by the profile {profile.name} the server may skip files "
                "between pages"
            )
    return None


def as_shown(listed: ListedFile, looked_up: ListedFile) -> bool:
    """Whether a look-up shows the file that the list did."""
    return (looked_up.filename, looked_up.bytes, looked_up.purpose) == (
        listed.filename,
        listed.bytes,
        listed.purpose,
    )


def withdrawn_reason(file: ListedFile) -> str:
    """Return why a file is not adopted for the entry whose receipt for it was withdrawn."""
    return f"{file.file_id} matches now, but its receipt was withdrawn"


def altered_in_file(doubt: Doubt, file: ListedFile) -> tuple[Altered, ...]:
    """Return what the server shows of a file otherwise than it was sent."""
    return altered_fields(file, name=doubt.sent_name, purpose=doubt.purpose)


def matches(doubt: Doubt, file: ListedFile) -> bool:
    """Whether sent name, size and purpose of a file all agree with the doubtful upload."""
    return (file.filename, file.bytes, file.purpose) == (doubt.sent_name, doubt.file_bytes, doubt.purpose)


def window_start_utc_s(doubts: Iterable[Doubt], *, clock_offset_s: float | None) -> float | None:
    """Return the server time at which the reading of a listing, newest first, may stop; None where only at its end."""
    if clock_offset_s is None:
        return None
    return min(one.sent_at_utc_s for one in doubts) + clock_offset_s - CLOCK_TOLERANCE_S


def is_before(page: Iterable[ListedFile], server_utc_s: float) -> bool:
    """Whether a page of a list, newest first, reaches back beyond a moment.

    Only a page whose times all have a zone and really descend can say so; any other says nothing.
    """
    times = []
    for one in page:
        created_s = utc_seconds(one.created_at)
        if created_s is None or not has_zone(one.created_at):
            return False
        times.append(created_s)
    descending = all(later >= earlier - CLOCK_TOLERANCE_S for later, earlier in pairwise(times))
    return bool(times) and descending and times[-1] < server_utc_s - CLOCK_TOLERANCE_S


def _without_withdrawn(doubt: Doubt, free: list[ListedFile]) -> list[ListedFile]:
    """Leave out the file of a withdrawn receipt where it is another file than was sent, and one that may be it is there."""
    others = [one for one in free if not _is_candidate(doubt, one)]
    is_other = any(_is_candidate(doubt, one) and not matches(doubt, one) for one in free)
    may_be_there = any(_is_clear(doubt, one) for one in others)
    return others if doubt.candidate_withdrawn and is_other and may_be_there else free


def _is_clear(doubt: Doubt, file: ListedFile) -> bool:
    """Whether all is known of a file, and its size and name may be those that were sent."""
    is_complete = file.has_id and not _missing_fields(file)
    return is_complete and file.bytes == doubt.file_bytes and not _is_unlike(doubt, file)


def _is_candidate(doubt: Doubt, file: ListedFile) -> bool:
    return file.has_id and file.file_id == doubt.candidate_id


def _is_exact(doubt: Doubt, file: ListedFile) -> bool:
    return file.has_id and matches(doubt, file)


def _is_other_form(doubt: Doubt, file: ListedFile) -> bool:
    """Whether all is known of a file, and its name or purpose is not what was sent."""
    return (
        file.has_id
        and not _is_candidate(doubt, file)
        and file.bytes == doubt.file_bytes
        and None not in (file.filename, file.purpose)
        and not matches(doubt, file)
    )


def _is_unlike(doubt: Doubt, file: ListedFile) -> bool:
    return likeness(doubt.sent_name, str(file.filename)) is Likeness.UNLIKE


def _shown_id(file: ListedFile) -> str:
    return file.file_id if file.has_id else f"one without a usable id ({printable(file.file_id)})"


def _look(file: ListedFile) -> str:
    """Return what a list shows of a file, for people."""
    shown = [
        "a file" if file.filename is None else printable(file.filename[:_NAME_CHARS_MAX]),
        "of unknown size" if file.bytes is None else f"{file.bytes} bytes",
        "of unknown purpose" if file.purpose is None else printable(file.purpose[:_NAME_CHARS_MAX]),
    ]
    made = "" if file.created_at is None else f", made at {printable(file.created_at[:40])}"
    return ", ".join(shown) + made


def _older(file: ListedFile, not_before_s: float) -> bool:
    created_s = utc_seconds(file.created_at)
    return created_s is not None and has_zone(file.created_at) and created_s < not_before_s


def _of_its_time(doubt: Doubt, file: ListedFile, clock_offset_s: float | None) -> bool:
    if _is_candidate(doubt, file):
        return True
    if clock_offset_s is None and doubt.clock_was_set:
        return False
    ours_s = (utc_seconds(file.created_at) or 0.0) - (clock_offset_s or 0.0)
    # A second of slack: `suspects` has drawn the exact line for times that can be trusted.
    earliest_s = doubt.sent_at_utc_s - CLOCK_TOLERANCE_S - 1.0
    return earliest_s <= ours_s <= doubt.settles_at_utc_s + LATE_S


def _missing_fields(file: ListedFile) -> str:
    fields = {
        "file name": file.filename,
        "size": file.bytes,
        "purpose": file.purpose,
        "creation time": utc_seconds(file.created_at),
    }
    return ", ".join(name for name, value in fields.items() if value is None)
