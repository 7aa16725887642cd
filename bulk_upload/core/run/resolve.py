"""What a person may decide about an entry in doubt, and the text recorded in the ledger."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.text.name_forms import Likeness, likeness
from bulk_upload.core.text.wording import quoted

if TYPE_CHECKING:
    from bulk_upload.core.model import EntryState, ListedFile
    from bulk_upload.core.run.reconcile import Doubt


class Decision(StrEnum):
    """What a person decides without asking the server's list."""

    RESEND = "resend"
    ABANDON = "abandon"


class OpenDoubt(msgspec.Struct, frozen=True, kw_only=True):
    """An entry in doubt, as a person is shown it.

    `sent_utc` is when its upload began. `attempt_id` is None for one whose upload is not in question: an `undo`
    that was interrupted may have deleted its file.
    """

    entry_id: int
    attempt_id: int | None
    path: str
    purpose: str
    sent_name: str
    file_bytes: int
    sent_utc: str
    reason: str
    candidate_id: str | None


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one entry in doubt; `words` say how it was decided, or why it could not be."""

    path: str
    state: EntryState
    words: str


def why_not_adopted(doubt: Doubt, file: ListedFile) -> str | None:
    """Return why a file that a person names cannot be the one, None where it can; fields that the server leaves out
    are not compared.

    A server may change name and purpose: a person who has looked may say so of the id that came with the answer, or of a
    name that is like the one that was sent.
    """
    is_candidate = file.file_id == doubt.candidate_id
    name = doubt.sent_name if file.filename is None else file.filename
    is_like = is_candidate or likeness(doubt.sent_name, name) >= Likeness.RESPELT
    for what, ours, theirs, may_differ in (
        ("file name", doubt.sent_name, file.filename, is_like),
        ("size", doubt.file_bytes, file.bytes, False),
        ("purpose", doubt.purpose, file.purpose, is_like),
    ):
        if theirs is not None and theirs != ours and not may_differ:
            return f"its {what} is {quoted(str(theirs))}, sent was {quoted(str(ours))}"
    return None
