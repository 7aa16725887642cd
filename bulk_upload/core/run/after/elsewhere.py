"""Whether files at the server show that another copy of a ledger went on, or that a ledger was lost.

A new ledger may be that of a job whose first ledger is gone: files of the same names and sizes are said, and sent all the
same, for another job may have sent them. A ledger with runs knows what it sent: what the server got since its last run,
and what it would send now, something else has sent in its place. To send that again doubles it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from bulk_upload.core.text.timestamps import has_zone, utc_seconds

MANY = 10
"""So many files that look like entries to send are no chance; of fewer entries, half."""

LATER_S = 2.0
"""How much later a file must have been made: `Date` and `created_at` may have whole seconds. A copy needs longer."""


class Advice(StrEnum):
    """What a run does after its look at the list."""

    SEND = "send"
    SAY = "say"
    STOP = "stop"


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """What the list showed of the entries that a run would send.

    `seen_count` of the `send_count` entries have a file of their name, size and purpose there, which no receipt is for.
    `is_new` says that the ledger has had no run, otherwise only files made since the last one were counted. `moved` says
    that it lies elsewhere than then. `same_content` is what the smallest of the files showed, None where they could not be
    compared. `is_whole` says that all was read that matters: otherwise there may be more.
    """

    is_new: bool
    moved: bool
    send_count: int
    seen_count: int
    same_content: bool | None = None
    is_whole: bool = True

    @property
    def are_many(self) -> bool:
        """Whether too many files were seen for a chance."""
        return self.seen_count >= min(MANY, (self.send_count + 1) // 2) > 0


def advice_for(one: Sighting) -> Advice:
    """Return what to do about files that were seen."""
    if not one.seen_count:
        return Advice.SEND
    if one.is_new:
        return Advice.SAY if one.are_many else Advice.SEND
    if one.same_content is None:
        return Advice.STOP if one.are_many else Advice.SAY
    if not one.same_content:
        return Advice.SEND
    return Advice.STOP if one.moved or one.are_many else Advice.SAY


def made_since(created_at: str | None, since_utc_s: float, *, clock_offset_s: float | None) -> bool | None:
    """Whether a file was made after a moment of our clock, None where the times cannot tell.

    `clock_offset_s` is the server's clock minus ours.
    """
    created_s = utc_seconds(created_at)
    if created_s is None or not has_zone(created_at) or clock_offset_s is None:
        return None
    return created_s - clock_offset_s > since_utc_s + LATER_S
