"""One tree of exceptions, split by who can put things right.

A file that fails is never an exception: it is an outcome in the ledger. An exception ends the run, and its
`hint` says what to do next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulk_upload.core.finding import Finding


FINDINGS_NOTED_MAX = 10


class BulkUploadError(Exception):
    """Base of everything this package raises on purpose. A traceback shows the hint below the message.

    Args:
        message: what happened, and to what.
        hint: what the person should do next.
    """

    exit_status: ClassVar[ExitStatus] = ExitStatus.UNEXPECTED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        for note in self._notes():
            self.add_note(note)

    def _notes(self) -> list[str]:
        """Return what a traceback shows below the message."""
        return [] if self.hint is None else [f"hint: {self.hint}"]


class UsageError(BulkUploadError):
    """The caller asked for something that cannot be: fix the command, the configuration or the call."""

    exit_status = ExitStatus.USAGE


class ManifestInvalid(BulkUploadError):
    """The manifest, or a file it names, is not usable: fix the lines that `findings` names.

    Nothing was sent. A traceback shows the first findings. `finding_count` counts all findings, also those beyond the ones kept in `findings`, and `counts` the
    same by rule.
    """

    exit_status = ExitStatus.INVALID_INPUT

    def __init__(
        self,
        message: str,
        *,
        findings: Sequence[Finding] = (),
        finding_count: int = 0,
        counts: Mapping[str, int] | None = None,
        hint: str | None = None,
    ) -> None:
        self.findings = tuple(findings)
        self.counts = {} if counts is None else dict(counts)
        self.finding_count = max(finding_count, len(self.findings))
        super().__init__(message, hint=hint)

    def _notes(self) -> list[str]:
        notes = [str(one) for one in self.findings[:FINDINGS_NOTED_MAX]]
        if self.finding_count > len(notes) > 0:
            notes.append(f"and {self.finding_count - len(notes):,} more")
        return notes + super()._notes()


class LedgerUnusable(BulkUploadError):
    """The ledger cannot be opened or written: the operator of this machine can fix it."""

    exit_status = ExitStatus.LEDGER_UNUSABLE


class LedgerLocked(LedgerUnusable):
    """Another process works on this ledger; the message names it."""


class LedgerMismatch(LedgerUnusable):
    """The ledger belongs to another job: other endpoint, team, profile or root."""


class LedgerOutdated(LedgerUnusable):
    """Another copy of the ledger went on, or something else sent its files: the server has what it would send."""


class LedgerNewer(LedgerUnusable):
    """The ledger was written by a newer version of bulk-upload and was left untouched."""


class LedgerOlder(LedgerUnusable):
    """The ledger was written by an older version of bulk-upload: a run of its job brings it up to date."""


class LedgerBroken(LedgerUnusable):
    """A bug of ours keeps the ledger from recording; the cause is the error. Nothing that was recorded is lost."""

    exit_status = ExitStatus.UNEXPECTED


class RunStuck(BulkUploadError):
    """Entries are left and nothing would let any of them go on: a bug of ours. The message says where the tasks are."""


class NoRunAtWork(BulkUploadError):
    """No run works on the ledger, or it cannot be reached: there is nothing to control."""

    exit_status = ExitStatus.NO_RUN


class CredentialsRefused(BulkUploadError):
    """The server does not accept the API key: get a valid one and run again."""

    exit_status = ExitStatus.CREDENTIALS_REFUSED


class ServerUnusable(BulkUploadError):
    """The server cannot be reached, or its answers cannot be used: run the same command again later."""

    exit_status = ExitStatus.UNFINISHED


class JobIncomplete(BulkUploadError):
    """A run ended, and not every entry of its job is accepted: raised by `Result.raise_for_status` alone.

    `status` is the verdict of the run, `states` counts the entries by the value of their state, `ledger` is the path of
    the ledger, which has the reason of each.
    """

    exit_status = ExitStatus.UNFINISHED

    def __init__(
        self,
        message: str,
        *,
        status: ExitStatus,
        states: Mapping[str, int],
        ledger: str,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.states = dict(states)
        self.ledger = ledger


class EntriesFailed(JobIncomplete):
    """Some entries were rejected, invalid, failed here or withdrawn: fix them, another run alone does not help."""

    exit_status = ExitStatus.SOME_FAILED


class EntriesInDoubt(JobIncomplete):
    """The server may have some entries: run again later to look them up, or resolve them by hand."""

    exit_status = ExitStatus.IN_DOUBT


class RunUnfinished(JobIncomplete):
    """Entries are left that another run would send: run again later."""


class ResourceShortage(BulkUploadError):
    """This machine starts no more threads or processes, or opens no more files: raise its limit, or run again later."""

    exit_status = ExitStatus.UNFINISHED
