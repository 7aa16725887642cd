"""Handles attempts whose answer was lost: reads the server's list and records the result.

`run` and `resolve` both decide here; they differ in who is recorded as the one who decided.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.api.profile import Answered5xx
from bulk_upload.core.clock import STEP_S, moment
from bulk_upload.core.doubt.adoption import ALONE_S, Adopt, Doubtful, RuledOut, contradictory
from bulk_upload.core.doubt.content import ComparedBy
from bulk_upload.core.doubt.existing import judge_existing
from bulk_upload.core.model import EntryState, ReceiptOrigin
from bulk_upload.core.run.reconcile import Absent, Doubt, Found, Undecided, withdrawn_reason
from bulk_upload.core.run.settings import InDoubtPolicy
from bulk_upload.core.run.source import SourceError
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.ledger import BY_RECONCILIATION
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.doubt.comparing import ENDED
from bulk_upload.engine.doubt.owners import OwnerCheck

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.doubt.adoption import Compared
    from bulk_upload.core.model import Altered, InDoubt, ListedFile
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.settings import RunSettings
    from bulk_upload.edge.ledger import LedgerStore, SentContent
    from bulk_upload.engine.doubt.comparing import Comparer, Files
    from bulk_upload.engine.doubt.evidence import TimeWait
    from bulk_upload.engine.doubt.reconciler import Reconciler
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.upload import RecordedAttempt


class Adopted(msgspec.Struct, frozen=True):
    """The file was found at the server, and the ledger has its receipt; `altered` is what the server changed."""

    file_id: str
    altered: tuple[Altered, ...] = ()


ABSENT = "not on the server: it can be sent again"
"""Why an entry may be sent again whose file the server's list shows not to be there."""


class Sendable(msgspec.Struct, frozen=True):
    """The ledger says that the attempt left nothing, or that the person accepts a duplicate; `reason` says which."""

    reason: str


class StillInDoubt(msgspec.Struct, frozen=True):
    """It cannot be decided; `reason` is in the ledger."""

    reason: str


class Refuted(msgspec.Struct, frozen=True):
    """The server refused the file because of another one, which is not this entry's; the ledger has it as rejected."""

    reason: str


Resolution = Adopted | Sendable | StillInDoubt


class Doubts:
    """Resolves doubts by the settings' policy and records what was decided, and by whom. Holds no slot.

    Args:
        reconciler: searches the server's list.
        comparer: compares what is found there with what was sent.
        files: hashes the files that a dead run had sent.
        parked: a context in which an entry waits for the server's list.
        decided_by: recorded in the ledger with each decision.
    """

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        comparer: Comparer,
        files: Files,
        profile: Profile,
        settings: RunSettings,
        ledger: Ledger[LedgerStore],
        drain: Drain,
        clock: Clock,
        parked: Callable[[], AbstractContextManager[None]] = nullcontext,
        decided_by: str = BY_RECONCILIATION,
    ) -> None:
        self._reconciler = reconciler
        self._comparer = comparer
        self._files = files
        self._profile = profile
        self._settings = settings
        self._ledger = ledger
        self._drain = drain
        self._clock = clock
        self._parked = parked
        self._decided_by = decided_by
        self._owner_check = OwnerCheck(
            owners=reconciler.owners, comparer=comparer, profile=profile, drain=drain
        )

    async def resolve_attempt(
        self, attempt: RecordedAttempt, entry_id: int, outcome: InDoubt
    ) -> Resolution | Refuted:
        """Resolve an attempt of this run."""
        settle_s = self._settings.settles_after_s(answered=outcome.answered)
        now = moment(self._clock)
        lasted_s = now.monotonic_s - attempt.began_at
        doubt = Doubt(
            entry_id=entry_id,
            attempt_id=attempt.attempt_id,
            sent_name=attempt.sent.sent_name,
            file_bytes=attempt.sent.file_bytes,
            purpose=attempt.sent.purpose,
            sent_at_utc_s=attempt.began_utc_s,
            # By the clock as it was at the beginning: it may have been set since.
            settles_at_utc_s=max(now.utc_s, attempt.began_utc_s + lasted_s) + settle_s,
            candidate_id=outcome.candidate_id,
            clock_offset_s=attempt.clock_offset_s,
            began_at=attempt.began_at,
            settle_s=settle_s,
            clock_was_set=abs(now.utc_s - attempt.began_utc_s - lasted_s) > STEP_S,
        )
        if outcome.id_kind is not None:
            # The list has such ids, too: the answer says why it cannot decide.
            return await self.resolve(doubt, why=outcome.reason)
        held = self._settings.in_doubt is InDoubtPolicy.HOLD
        if outcome.is_there_already and outcome.candidate_id is not None and not held:
            with self._parked(), self._reconciler.evidence.opened(doubt):
                return await self._existing(doubt, outcome.candidate_id, outcome.reason)
        if self._is_not_stored(outcome) and not held:
            return await self.release(doubt, f"retried on the server's word ({outcome.reason})")
        return await self.resolve(doubt)

    def _is_not_stored(self, outcome: InDoubt) -> bool:
        """Whether the profile says that such an answer means that nothing was stored, where no list can tell."""
        return (
            not self._profile.list_decides
            and self._profile.answered_5xx is Answered5xx.NOT_STORED
            and outcome.answered
            and outcome.http_status is not None
            and outcome.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR
        )

    async def resolve(self, doubt: Doubt, *, sendable: bool = True, why: str = "") -> Resolution:
        """Resolve a doubt, of this run or of an earlier one.

        What cannot be sent (not `sendable`: there is no file) is never released without proof that it left nothing.
        `why` is said beside the reason of a doubt that stays.
        """
        settings = self._settings
        found: Adopt | Absent | Undecided
        if settings.in_doubt is InDoubtPolicy.HOLD:
            found = Undecided("left in doubt by --in-doubt hold")
        else:
            with self._parked(), self._reconciler.evidence.opened(doubt):
                found = await self._find(doubt)
                if isinstance(found, Adopt):
                    altered = self._comparer.prove(doubt, found)
                    if await self.adopt(doubt, found):
                        return Adopted(found.file.file_id, altered)
                    found = Undecided(f"{found.file.file_id} was claimed by another entry")
        if isinstance(found, Absent):
            return await self.release(doubt, ABSENT)
        if settings.in_doubt is InDoubtPolicy.RESEND and sendable and not self._drain.begun:
            return await self.release(doubt, f"sent again by --in-doubt resend ({found.reason})")
        reason = f"{why}; {found.reason}" if why else found.reason
        await self._ledger.run(lambda store: store.explain(doubt.entry_id, reason))
        return StillInDoubt(reason)

    async def _find(self, doubt: Doubt) -> Adopt | Absent | Undecided:
        """Return what the server's list and the contents of the files in it say together."""
        settles_s = self._reconciler.settles_s(doubt)
        unclear = await self._owner_check.unclear(doubt)
        if unclear is not None:
            return unclear
        sent = await self._comparer.sent(doubt)
        if self._profile.can_list and not self._profile.keeps_names and doubt.candidate_id is not None:
            return await self._compared_candidate(doubt, sent, doubt.candidate_id)
        return await self._find_listed(doubt, sent, settles_s)

    async def _find_listed(
        self, doubt: Doubt, sent: SentContent, settles_s: float
    ) -> Adopt | Absent | Undecided:
        """Compare the files that the list shows.

        One that has other content is not looked at again: the list is asked until another appears, or none can. Where only
        the time of a match speaks against it, the list is asked again once other uploads have shown the server's time.
        """
        evidence = self._reconciler.evidence
        time = evidence.time_for(doubt)
        alone_s = min(settles_s, self._alone_s(sent))
        ruled_out: frozenset[str] = frozenset()
        matched: tuple[frozenset[str], Adopt] | None = None
        while True:
            asked_s = self._clock.monotonic()
            found = await self._reconciler.resolve(doubt, ruled_out=ruled_out, settles_s=settles_s)
            if isinstance(found, Undecided) and found.by_time and await time.may_come():
                continue
            candidates = _candidates(found)
            if not candidates and not isinstance(found, Found):
                return found
            ids = frozenset(one.file_id for one in candidates)
            if matched is None or matched[0] != ids:
                own, lacks_time = await self._reconciler.owners.own(doubt), evidence.lacks_time(doubt)
                compared = await self._comparer.compare(doubt, sent, candidates, candidate_is_older=bool(own))
                if isinstance(compared, RuledOut):
                    ruled_out |= compared.file_ids
                    continue
                if isinstance(compared, Doubtful):
                    own_until_s = settles_s if asked_s < settles_s else None
                    if await self._may_clear(compared, own_until_s, time if lacks_time else None):
                        continue
                    return Undecided(compared.reason)
                is_own = compared.file.file_id in own
                if (unbelieved := _unbelieved(doubt, found, compared, is_own=is_own)) is not None:
                    return unbelieved
                matched = ids, compared
            if asked_s >= alone_s or matched[1].file.file_id == doubt.candidate_id:
                return await self._alone(doubt, sent, matched[1], rival_count=len(ruled_out | ids) - 1)
            # A loop whose clock has whole milliseconds may wake a little early.
            await self._drain.sleep(alone_s - self._clock.monotonic() + 0.01)

    async def _may_clear(self, compared: Doubtful, own_until_s: float | None, time: TimeWait | None) -> bool:
        """Wait for what other uploads of the run may bring; False where that would change nothing.

        Until `own_until_s` they may have receipts to compare with; `time` is None where the server's time is known.
        """
        if compared.lacks_own_file and own_until_s is not None:
            await self._drain.sleep(own_until_s - self._clock.monotonic() + 0.01)
            return True
        return compared.by_time and time is not None and await time.may_come()

    async def _compared_candidate(
        self, doubt: Doubt, sent: SentContent, candidate_id: str
    ) -> Adopt | Undecided:
        """Return what the content of the file says whose id came with the answer: where names are no evidence, the list
        shows no more."""
        with self._drain.cut():
            try:
                file = await self._comparer.look_up(candidate_id)
            except NoAnswer as error:
                return Undecided(str(error))
            if file is None:
                return Undecided(f"{candidate_id} came with the answer, but a look-up does not find it")
            compared = await self._comparer.compare(doubt, sent, [file])
            if doubt.candidate_withdrawn:
                return Undecided(withdrawn_reason(file))
            if isinstance(compared, Adopt) and compared.by is not ComparedBy.NONE:
                return compared
            why = compared.reason if isinstance(compared, Adopt | Doubtful) else "it has other content"
            return Undecided(
                f"{candidate_id} came with the answer, but nothing proves that it is the file: {why}"
            )
        return Undecided(ENDED)

    async def _existing(self, doubt: Doubt, file_id: str, refusal: str) -> Resolution | Refuted:
        """Adopt the file that a refusal names, where it is what was sent and no row owns it."""
        claim = (await self._reconciler.owners.claims([file_id])).get(file_id)
        if claim is not None and claim.entry_id != doubt.entry_id:
            return await self._refute(doubt, f"{refusal}; {file_id} is the receipt of another entry")
        reason = ENDED
        file: ListedFile | None = None
        with self._drain.cut():
            try:
                file = await self._comparer.look_up(file_id)
                compared = None if file is None else await self._comparer.compare_one(doubt, file)
            except NoAnswer as error:
                compared, reason = None, str(error)
            else:
                reason = f"a look-up does not find {file_id}"
            match None if compared is None else self._judged_existing(doubt, compared):
                case Adopt() as adopt:
                    if await self.adopt(doubt, adopt):
                        return Adopted(file_id, self._comparer.prove(doubt, adopt))
                    return await self._refute(doubt, f"{refusal}; {file_id} is the receipt of another entry")
                case RuledOut():
                    shown = "another file" if file is None else repr(printable(str(file.filename)))
                    return await self._refute(doubt, f"{refusal}; {file_id} is {shown}, not what was sent")
                case Doubtful() as doubtful:
                    reason = doubtful.reason
        reason = f"{refusal}; {reason}"
        await self._ledger.run(lambda store: store.explain(doubt.entry_id, reason))
        return StillInDoubt(reason)

    def _judged_existing(self, doubt: Doubt, compared: Compared) -> Adopt | RuledOut | Doubtful:
        return judge_existing(
            contradictory(compared),
            sent_name=doubt.sent_name,
            file_bytes=doubt.file_bytes,
            purpose=doubt.purpose,
            keeps_names=self._profile.keeps_names,
        )

    async def _refute(self, doubt: Doubt, reason: str) -> Refuted:
        await self.release(doubt, reason, state=EntryState.REJECTED)
        return Refuted(reason)

    async def _alone(
        self, doubt: Doubt, sent: SentContent, adopted: Adopt, *, rival_count: int
    ) -> Adopt | Undecided:
        """Return a match unless another job may have made it; `rival_count` look-alikes had other content."""
        if adopted.file.file_id == doubt.candidate_id:
            return adopted
        if rival_count and adopted.by is not ComparedBy.NONE:
            # Whoever else sends this name sends other bytes.
            return adopted
        alone = await self._comparer.alone(sent, adopted, self._reconciler.others)
        return Undecided(alone.reason) if isinstance(alone, Doubtful) else alone

    def _alone_s(self, sent: SentContent) -> float:
        """Return when a match counts as the only one, by the monotonic clock."""
        left_s = sent.ended_utc_s + ALONE_S - self._clock.utc_s()
        return self._clock.monotonic() + min(ALONE_S, max(0.0, left_s))

    async def adopt(
        self, doubt: Doubt, adopted: Adopt, *, obtained: ReceiptOrigin = ReceiptOrigin.RECONCILED
    ) -> bool:
        """Record a file of the server as the receipt; False where another entry owns it by now."""
        sent = await self._comparer.sent(doubt)
        content_hash = sent.content_hash or await self._hash_if_unchanged(sent)
        now = self._clock.utc_s()
        return await self._ledger.run(
            lambda store: store.adopt(
                doubt,
                adopted.file,
                content_hash=content_hash,
                utc_s=now,
                obtained=obtained,
                decided_by=self._decided_by,
                detail=adopted.detail,
            )
        )

    async def release(self, doubt: Doubt, reason: str, *, state: EntryState = EntryState.PENDING) -> Sendable:
        """Record that the attempt left nothing, or that a person decided so; the entry is then in `state`."""
        now = self._clock.utc_s()
        await self._ledger.run(
            lambda store: store.release(doubt, reason, utc_s=now, state=state, decided_by=self._decided_by)
        )
        return Sendable(reason)

    async def _hash_if_unchanged(self, sent: SentContent) -> str | None:
        """Hash a file that a dead run sent, if it is still the one that was sent, and runs hash."""
        function, content_hash = self._settings.hashing, None
        with suppress(SourceError), self._drain.cut():
            if function is not None:
                content_hash, _ = await self._files.hash_content(
                    sent.path, function, expected=sent.fingerprint
                )
        return content_hash


def _candidates(found: Found | Absent | Undecided) -> tuple[ListedFile, ...]:
    """Return the files that may be what was sent, as far as the list says."""
    match found:
        case Found(file=file):
            return (file,)
        case Undecided(alike=alike):
            return alike
        case Absent():
            return ()


def _unbelieved(
    doubt: Doubt, found: Found | Absent | Undecided, adopted: Adopt, *, is_own: bool
) -> Undecided | None:
    """Return why a match is not adopted in spite of what its content shows; None where it may be.

    `is_own` says that an earlier version of the entry has a receipt for it.
    """
    if doubt.candidate_withdrawn and adopted.file.file_id == doubt.candidate_id:
        return Undecided(withdrawn_reason(adopted.file))
    if isinstance(found, Undecided) and found.has_vague and adopted.by is ComparedBy.NONE:
        return Undecided(found.reason)
    if is_own and adopted.by is ComparedBy.NONE:
        return Undecided(
            f"the server answered with {adopted.file.file_id}, the id of an earlier version of this file, and its content "
            f"cannot be compared ({adopted.reason})"
        )
    return None
