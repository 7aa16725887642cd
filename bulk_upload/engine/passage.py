"""An entry on its way through a run, and what an attempt with it comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk_upload.engine.twins import TwinKey

if TYPE_CHECKING:
    from bulk_upload.core.model import Fingerprint, SentBody
    from bulk_upload.core.records import Concluded
    from bulk_upload.core.source import LoadedFile
    from bulk_upload.core.work import StagedEntry


@dataclass(slots=True)
class Passage:
    """One entry's way through a run: what is known of it now.

    `loaded` is set when the file was read ahead, for the first attempt; `attempt_id` while an intent is recorded and not
    acted on yet. `attempts_used` counts the attempts that count against the limit. `ask_first` is set once a
    connection broke in the midst of the body: the server's reason is heard only when it is asked beforehand.
    `checked` is the version of the file that validation found good; no other one is sent where validation is on.
    """

    work: StagedEntry
    entry_id: int
    source: Fingerprint
    loaded: LoadedFile | None = None
    attempt_id: int | None = None
    attempt_no: int = 0
    attempts_used: int = 0
    ask_first: bool = False
    checked: Fingerprint | None = None

    @property
    def twin_key(self) -> TwinKey:
        """What a listing can tell the entry apart by, with the file as it is known now."""
        return TwinKey(self.work.sent_name, self.source.size, self.work.entry.purpose)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """A recorded attempt. `began_utc_s` is when its request began, `ended_utc_s` when it was answered.

    `probe` says that it asked, for all uploads, whether an outage is over.
    """

    attempt_id: int
    concluded: Concluded
    probe: bool
    sent: SentBody
    duration_s: float
    began_utc_s: float
    ended_utc_s: float


class Resized(Exception):
    """The file no longer has the size it was planned with, or is not the one that was found good or intended: nothing was
    sent.

    Its twins must be looked at anew, and its content.
    """

    def __init__(self, source: Fingerprint) -> None:
        super().__init__("resized")
        self.source = source
