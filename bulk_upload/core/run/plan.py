"""What a run will do with each entry, decided before anything is sent."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.model import EntryState

if TYPE_CHECKING:
    from bulk_upload.core.model import Fingerprint


class Step(StrEnum):
    """What a run does with an entry."""

    SEND = "send"
    COMPARE = "compare"
    RECONCILE = "reconcile"
    SETTLED = "settled"
    BLOCKED = "blocked"
    MISSING = "missing"
    UNREACHABLE = "unreachable"


WITHOUT_FILE = (Step.MISSING, Step.UNREACHABLE)
"""Steps of entries that would be sent if their file could be read: it is missing, unreadable or refused, and the entry
fails; or its disk or mount fails, and the entry stays pending. The next run looks again at both."""


MAY_SEND = (Step.SEND, Step.COMPARE, Step.RECONCILE)
"""Steps of a plan at whose end a file may have been sent."""


class KnownEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger knows of an entry.

    `fingerprint` is the file's when the ledger last recorded an attempt or a receipt, None where the file could not be
    read then; `content_hash` is the receipt's, where there is one.
    """

    entry_id: int
    state: EntryState
    fingerprint: Fingerprint | None = None
    content_hash: str | None = None
    reason: str | None = None


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True):
    """The decision for one entry, with the reason a person is shown."""

    step: Step
    reason: str


UNCHANGED = PlannedStep(step=Step.SETTLED, reason="accepted")
"""The step of an accepted entry whose file has the fingerprint that the ledger recorded last."""

RETRY_WORDS = {
    EntryState.REJECTED: "rejected",
    EntryState.FAILED_LOCAL: "failed",
    EntryState.INVALID: "invalid",
    EntryState.WITHDRAWN: "withdrawn",
}
"""The `--retry` names of the states it tries again."""

RENAMED_WORD = "renamed"
"""The `--retry` name of accepted entries that the manifest asks for under another name."""

MISSING_WORD = "missing"
"""The `--retry` name of accepted entries whose files `verify` found gone from the server."""

_JUDGED = (EntryState.REJECTED, EntryState.INVALID, EntryState.WITHDRAWN)


def plan_entry(
    known: KnownEntry | None,
    fingerprint: Fingerprint | None,
    *,
    retry: frozenset[EntryState] = frozenset(),
    other_rules: bool = False,
) -> PlannedStep:
    """Return what a run does with one entry.

    Args:
        known: the ledger's view, None for an entry it has never seen.
        fingerprint: the file's fingerprint now, None when it cannot be used.
        retry: settled states that the person asked to try again.
        other_rules: an invalid entry was found invalid by other rules than those that apply now.
    """
    if known is not None and known.state is EntryState.IN_DOUBT:
        return PlannedStep(step=Step.RECONCILE, reason=known.reason or "the server may have it")
    if known is not None and known.state is EntryState.ACCEPTED:
        return _accepted(known, fingerprint)
    if fingerprint is None:
        return _without_file(known, retry)
    if known is None:
        return PlannedStep(step=Step.SEND, reason="new")
    if known.state is EntryState.PENDING:
        return PlannedStep(step=Step.SEND, reason=known.reason or "not sent yet")
    if known.state is EntryState.INVALID and other_rules and known.state not in retry:
        return PlannedStep(step=Step.SEND, reason="was invalid by other rules")
    return _failed(known, fingerprint, retry)


def _accepted(known: KnownEntry, fingerprint: Fingerprint | None) -> PlannedStep:
    if fingerprint is None:
        return PlannedStep(step=Step.SETTLED, reason="accepted; the file no longer exists")
    if fingerprint.same_version(known.fingerprint):
        return UNCHANGED
    if known.fingerprint is None or fingerprint.size != known.fingerprint.size:
        return PlannedStep(step=Step.SEND, reason="changed since it was accepted")
    return PlannedStep(step=Step.COMPARE, reason="touched since it was accepted; same size")


def _without_file(known: KnownEntry | None, retry: frozenset[EntryState]) -> PlannedStep:
    # What the server or the data was at fault for stays known, whether the file is there or not.
    if known is not None and known.state in _JUDGED and known.state not in retry:
        return _blocked(known)
    return PlannedStep(step=Step.MISSING, reason="the file cannot be used")


def _failed(known: KnownEntry, fingerprint: Fingerprint, retry: frozenset[EntryState]) -> PlannedStep:
    if known.state in retry:
        return PlannedStep(step=Step.SEND, reason=f"was {known.state}, retried as requested")
    if known.fingerprint is None and known.state is EntryState.FAILED_LOCAL:
        return PlannedStep(step=Step.SEND, reason="could not be read before")
    if known.fingerprint is not None and not fingerprint.same_version(known.fingerprint):
        return PlannedStep(step=Step.SEND, reason=f"was {known.state}, and the file changed since")
    return _blocked(known)


def _blocked(known: KnownEntry) -> PlannedStep:
    word = RETRY_WORDS[known.state]
    return PlannedStep(step=Step.BLOCKED, reason=f"{known.reason or known.state}; --retry {word} retries it")


def under_asked_name(
    decided: PlannedStep, *, sent_name: str, asked_name: str, resend: bool
) -> PlannedStep | None:
    """Return the step of an accepted entry whose file was sent under another name; None where the name is the asked one.

    No server renames a file: it keeps its name until it is sent again, which a changed file is anyway. `resend` says
    that the person wants that.
    """
    if sent_name == asked_name or decided.step not in (Step.SETTLED, Step.COMPARE):
        return None
    if resend:
        return PlannedStep(step=Step.SEND, reason="accepted under another name, sent again as requested")
    return decided


def sent_again_as_missing(fingerprint: Fingerprint | None, decided: PlannedStep) -> PlannedStep:
    """Return the step of an accepted entry whose file the server no longer has, where a person wants it sent again."""
    if fingerprint is None or decided.step not in (Step.SETTLED, Step.COMPARE):
        return decided
    return PlannedStep(step=Step.SEND, reason="the server no longer has it, sent again as requested")


NOT_COMPARABLE = "accepted; only its change time is another one, and there is no hash to compare"


def same_content(sent_hash: str | None, content_hash: str, *, only_ctime: bool = False) -> PlannedStep:
    """Return what a `COMPARE` becomes once the file's hash is known, and that of what was sent, if it is known.

    `only_ctime` says that nothing but the change time distinguishes the file from what was sent. That alone is no reason
    to send it a second time: a snapshot by hard links changes those of a whole job.
    """
    if sent_hash is None and only_ctime:
        return PlannedStep(step=Step.SETTLED, reason=NOT_COMPARABLE)
    if sent_hash is None:
        return PlannedStep(step=Step.SEND, reason="touched since it was accepted, and no hash to compare")
    if content_hash == sent_hash:
        return PlannedStep(step=Step.SETTLED, reason="accepted; touched, same content")
    return PlannedStep(step=Step.SEND, reason="changed since it was accepted")
