"""An entry that is being uploaded, and how an attempt with it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.run.records import state_after
from bulk_upload.core.text.name_forms import twin_form
from bulk_upload.engine.limits.twins import TwinKey

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from bulk_upload.core.clock import Moment
    from bulk_upload.core.model import Altered, EntryState, Fingerprint, Outcome, SentBody
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.core.run.records import AttemptEnd
    from bulk_upload.core.run.sender import PreparedFile
    from bulk_upload.core.run.source import SourceError

DRAINED = "not sent: the run was draining"


class Upload(msgspec.Struct):
    """One entry on its way through a run: what is known of it now.

    `fingerprint` is the version of the file that will be sent, `prepared` that version where a sender holds it ready.
    `attempt_id` is set while an intent is recorded and not acted on yet. `attempts_used` counts the attempts that
    count against the limit. `ask_first` is set once a connection broke while the body was sent: the server's reason
    can be read only when it is asked beforehand. `checked` is the version that validation found good; no other one is
    sent where validation is on. `altered` is what the last answer had otherwise than it was sent. `reason` says why the entry would be left as it is if the run ended now.
    `was_absent` is set until the next attempt where the last one was in doubt and left nothing at the server.
    `twin_name` is the sent name as twins share it, once it was asked for.
    """

    planned: PlannedEntry
    entry_id: int
    fingerprint: Fingerprint
    prepared: PreparedFile | None = None
    attempt_id: int | None = None
    attempt_no: int = 0
    attempts_used: int = 0
    ask_first: bool = False
    checked: Fingerprint | None = None
    altered: tuple[Altered, ...] = ()
    reason: str = DRAINED
    was_absent: bool = False
    twin_name: str | None = None

    @property
    def twin_key(self) -> TwinKey:
        """What distinguishes the entry in a listing, with the file as it is known now."""
        if self.twin_name is None:
            self.twin_name = twin_form(self.planned.sent_name)
        return TwinKey(self.twin_name, self.fingerprint.size, self.planned.entry.purpose)

    def is_planned(self, file: PreparedFile) -> bool:
        """Whether what was read is what was planned, and what was found good."""
        is_good = self.checked is None or self.checked.same_version(file.fingerprint)
        return is_good and file.fingerprint.size == self.fingerprint.size


class FileChanged(msgspec.Struct, frozen=True):
    """The file is not the version that was planned, intended or found good: nothing was sent of it.

    Its twins must be determined again, and its content checked again.
    """

    fingerprint: Fingerprint


class NotBegun(msgspec.Struct, frozen=True):
    """No request was made: `cause` says why, None where the run drains."""

    cause: SourceError | FileChanged | None = None


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was made, and whose end, `over`, the ledger is recording.

    `concluding` is resolved once the outcome is durable. `probe` says that the request found out, for all uploads,
    whether an outage is over.
    """

    over: AttemptEnd
    probe: bool
    duration_s: float
    began: Moment
    concluding: Awaitable[Outcome]


class RecordedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt as the ledger has it: `outcome` is what was recorded."""

    attempt_id: int
    outcome: Outcome
    sent: SentBody
    probe: bool
    duration_s: float
    began_at: float
    began_utc_s: float
    ended_utc_s: float
    clock_offset_s: float | None = None

    @property
    def state(self) -> EntryState:
        """The entry's state after the attempt."""
        return state_after(self.outcome)
