"""What a run records in the ledger: each record is one durable step in the life of an entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec.structs import replace

from bulk_upload.core.model import (
    Accepted,
    EntryState,
    InDoubt,
    Misdirected,
    NotSent,
    Outcome,
    Refused,
    Rejected,
    SourceFailed,
    Throttled,
    Unavailable,
)

if TYPE_CHECKING:
    from bulk_upload.core.bundle.answer import BundleAnswer
    from bulk_upload.core.model import Altered, Fingerprint, ListedFile, SentBody


NOBODY_YET = ""
"""The agent of an intent in a run with agents while nobody holds the file yet. If the run dies, an agent may have it."""


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt is about to be made: recorded before its first byte leaves.

    `content_hash` is of the file's bytes, where they were all read by then: if the process dies, it is the only trace of
    them. `clock_offset_s` is the server's clock minus ours, where that is known by then, `agent` the agent that will make
    the request, None for this process, and NOBODY_YET where it is not known by then which of them.
    """

    entry_id: int
    attempt_no: int
    sent_name: str
    fingerprint: Fingerprint
    at_utc_s: float
    content_hash: str | None = None
    clock_offset_s: float | None = None
    agent: str | None = None


class AttemptEnd(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt ended; `sent` is what it put on the wire, `began_utc_s` when its request began, if it did.

    `clock_offset_s` is the server's clock minus ours when it began, None where that is unknown. `agent` made the request,
    None for this process.
    """

    attempt_id: int
    entry_id: int
    outcome: Outcome
    sent: SentBody
    at_utc_s: float
    began_utc_s: float | None = None
    clock_offset_s: float | None = None
    agent: str | None = None


class Redacting(Protocol):
    """Knows a secret that must not appear anywhere."""

    def redact(self, text: str) -> str:
        """Return text without the secret."""

    def betrayed_by(self, text: str) -> bool:
        """Whether text shows the secret and cannot do so by chance."""


OUTCOME_NAMES: dict[type[Outcome], str] = {
    Accepted: "accepted",
    Rejected: "rejected",
    Refused: "refused",
    Misdirected: "misdirected",
    Throttled: "throttled",
    Unavailable: "unavailable",
    InDoubt: "in_doubt",
    SourceFailed: "source_failed",
    NotSent: "not_sent",
}
"""The `outcome` column of the ledger's attempts."""

_STATES: dict[type[Outcome], EntryState] = {
    Accepted: EntryState.ACCEPTED,
    Rejected: EntryState.REJECTED,
    InDoubt: EntryState.IN_DOUBT,
    SourceFailed: EntryState.FAILED_LOCAL,
}


def state_after(outcome: Outcome) -> EntryState:
    """Return the state an entry has once `outcome` is recorded."""
    if isinstance(outcome, SourceFailed) and outcome.invalid:
        return EntryState.INVALID
    return _STATES.get(type(outcome), EntryState.PENDING)


def reason_in(outcome: Outcome) -> str | None:
    """Return the reason of an outcome, None for an accepted one without warnings."""
    if isinstance(outcome, Accepted):
        return "; ".join(outcome.warnings) or None
    if isinstance(outcome, Misdirected):
        return f"redirected to {outcome.location_host}"
    return outcome.reason


def altered_in(outcome: Outcome) -> tuple[Altered, ...]:
    """Return what the server reports otherwise than it was sent, believed or not."""
    if isinstance(outcome, InDoubt) and outcome.at_its_word is not None:
        outcome = outcome.at_its_word
    return outcome.altered if isinstance(outcome, Accepted) else ()


def status_in(outcome: Outcome) -> int | None:
    """Return the HTTP status of an outcome, where there was one."""
    return None if isinstance(outcome, SourceFailed | NotSent) else outcome.http_status


def without_secret(outcome: Outcome, secret: Redacting) -> Outcome:
    """Return an outcome whose text does not repeat the secret, whatever the server echoed.

    Text is changed; an id that merely contains the same letters stays unchanged. One that shows the secret
    is not accepted as an id: it could not be used without showing the secret.
    """
    if isinstance(outcome, SourceFailed | NotSent):
        return replace(outcome, reason=secret.redact(outcome.reason))
    if isinstance(outcome, Accepted) and not _may_show(outcome, secret):
        return outcome
    if outcome.request_id is not None:
        request_id = secret.redact(outcome.request_id)
        if request_id != outcome.request_id:
            outcome = replace(outcome, request_id=request_id)
    match outcome:
        case Accepted(file_id=file_id) if secret.betrayed_by(file_id):
            return InDoubt(
                reason="the success answer has the API key for a file id",
                answered=False,
                http_status=outcome.http_status,
                request_id=outcome.request_id,
            )
        case Accepted(warnings=warnings, created_at=created_at):
            altered = tuple(replace(one, stored=secret.redact(one.stored)) for one in outcome.altered)
            return replace(
                outcome,
                warnings=tuple(map(secret.redact, warnings)),
                created_at=None if created_at is None else secret.redact(created_at),
                altered=altered,
            )
        case Misdirected(location_host=host):
            return replace(outcome, location_host=secret.redact(host))
        case InDoubt(candidate_id=str(candidate_id)) if secret.betrayed_by(candidate_id):
            reason = secret.redact(outcome.reason)
            return replace(outcome, reason=reason, candidate_id=None, at_its_word=None)
        case InDoubt(at_its_word=Accepted() as accepted):
            harmless_word = without_secret(accepted, secret)
            at_its_word = harmless_word if isinstance(harmless_word, Accepted) else None
            return replace(outcome, reason=secret.redact(outcome.reason), at_its_word=at_its_word)
        case _:
            return replace(outcome, reason=secret.redact(outcome.reason))


def _may_show(outcome: Accepted, secret: Redacting) -> bool:
    """Whether any text of an accepted outcome shows the secret: all of them in one search, since nearly none does."""
    stored = [one.stored for one in outcome.altered]
    text = "\n".join(
        (outcome.file_id, outcome.created_at or "", outcome.request_id or "", *outcome.warnings, *stored)
    )
    return secret.redact(text) != text


def bundle_without_secret(answer: BundleAnswer, secret: Redacting) -> BundleAnswer:
    """Return the answer to a bundle whose texts do not repeat the secret."""
    outcomes = answer.outcomes
    plain = [one for one in outcomes if type(one) is Accepted and not one.warnings]
    texts = "\n".join(text for one in plain for text in (one.file_id, one.created_at, one.request_id) if text)
    # All of them at once: nearly no answer shows it.
    if len(plain) < len(outcomes) or secret.redact(texts) != texts:
        outcomes = tuple(without_secret(one, secret) for one in outcomes)
    return replace(
        answer,
        outcomes=outcomes,
        whole=without_secret(answer.whole, secret),
        strays=tuple(listed_without_secret(one, secret) for one in answer.strays),
    )


def listed_without_secret(file: ListedFile, secret: Redacting) -> ListedFile:
    """Return a listed file whose texts do not show the secret; an id that does is none."""

    def harmless(text: str | None) -> str | None:
        return secret.redact(text) if text is not None and secret.betrayed_by(text) else text

    return replace(
        file,
        file_id=harmless(file.file_id) or "",
        has_id=file.has_id and not secret.betrayed_by(file.file_id),
        filename=harmless(file.filename),
        purpose=harmless(file.purpose),
        created_at=harmless(file.created_at),
    )
