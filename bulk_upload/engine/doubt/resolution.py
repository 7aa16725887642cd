"""Handles attempts whose answer was lost: reads the server's list and records the result.

`run` and `resolve` both decide here; they differ in who is recorded as the one who decided.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

import msgspec

from bulk_upload.core.model import EntryState, ReceiptOrigin
from bulk_upload.core.run.reconcile import Absent, Doubt, Found, Undecided
from bulk_upload.core.run.settings import InDoubtPolicy
from bulk_upload.core.run.source import SourceError
from bulk_upload.edge.ledger import BY_RECONCILIATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.model import Altered, Fingerprint, InDoubt, ListedFile
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.settings import RunSettings
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.doubt.reconciler import Reconciler
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.upload import RecordedAttempt


class Adopted(msgspec.Struct, frozen=True):
    """The file was found at the server, and the ledger has its receipt; `altered` is what the server changed."""

    file_id: str
    altered: tuple[Altered, ...] = ()


class Sendable(msgspec.Struct, frozen=True):
    """The ledger says that the attempt left nothing, or that the person accepts a duplicate; `reason` says which."""

    reason: str


class StillInDoubt(msgspec.Struct, frozen=True):
    """It cannot be decided; `reason` is in the ledger."""

    reason: str


Resolution = Adopted | Sendable | StillInDoubt


class Files(Protocol):
    """Hashes the files of a job."""

    async def sha256(self, path: str, *, expected: Fingerprint | None = None) -> tuple[str, Fingerprint]:
        """Hash a file as it is now. Raises SourceError, also for a file that is not the `expected` version."""


class Doubts:
    """Resolves doubts by the settings' policy and records what was decided, and by whom. Holds no slot.

    Args:
        files: hashes the files that a dead run had sent.
        parked: a context in which an entry waits for the server's list.
        decided_by: recorded in the ledger with each decision.
    """

    def __init__(
        self,
        *,
        reconciler: Reconciler,
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
        self._files = files
        self._profile = profile
        self._settings = settings
        self._ledger = ledger
        self._drain = drain
        self._clock = clock
        self._parked = parked
        self._decided_by = decided_by

    async def resolve_attempt(self, attempt: RecordedAttempt, entry_id: int, outcome: InDoubt) -> Resolution:
        """Resolve an attempt of this run."""
        settle_s = self._settings.settles_after_s(answered=outcome.answered)
        doubt = Doubt(
            entry_id=entry_id,
            attempt_id=attempt.attempt_id,
            sent_name=attempt.sent.sent_name,
            file_bytes=attempt.sent.file_bytes,
            purpose=attempt.sent.purpose,
            sent_at_utc_s=attempt.began_utc_s,
            # Not from `ended_utc_s`: the wall clock may have been set since.
            settles_at_utc_s=self._clock.utc_s() + settle_s,
            candidate_id=outcome.candidate_id,
        )
        if outcome.id_kind is not None:
            # The list has such ids, too: the answer says why it cannot decide.
            return await self.resolve(doubt, why=outcome.reason)
        held = self._settings.in_doubt is InDoubtPolicy.HOLD
        if outcome.answered and not self._profile.can_list and not held:
            # The server answered that it failed, and there is no list to ask: that is believed.
            return await self.release(doubt, f"retried on the server's word ({outcome.reason})")
        return await self.resolve(doubt)

    async def resolve(self, doubt: Doubt, path: str | None = None, *, why: str = "") -> Resolution:
        """Resolve a doubt; `path` is given for one that an earlier run left, to hash what it sent.

        `why` is said beside the reason of a doubt that stays.
        """
        settings = self._settings
        found: Found | Absent | Undecided
        if settings.in_doubt is InDoubtPolicy.HOLD:
            found = Undecided("left in doubt by --in-doubt hold")
        else:
            with self._parked():
                found = await self._reconciler.resolve(doubt)
        if isinstance(found, Found):
            if await self.adopt(doubt, found.file, path):
                return Adopted(found.file.file_id, found.altered)
            found = Undecided(f"{found.file.file_id} was claimed by another entry")
        if isinstance(found, Absent):
            return await self.release(doubt, "not on the server: it can be sent again")
        if settings.in_doubt is InDoubtPolicy.RESEND and not self._drain.begun:
            return await self.release(doubt, f"sent again by --in-doubt resend ({found.reason})")
        reason = f"{why}; {found.reason}" if why else found.reason
        await self._ledger.run(lambda store: store.explain(doubt.entry_id, reason))
        return StillInDoubt(reason)

    async def adopt(
        self,
        doubt: Doubt,
        file: ListedFile,
        path: str | None,
        *,
        obtained: ReceiptOrigin = ReceiptOrigin.RECONCILED,
    ) -> bool:
        """Record a file of the server as the receipt; False where another entry owns it by now."""
        sha256 = None if path is None else await self._sha256_if_unchanged(doubt, path)
        now = self._clock.utc_s()
        return await self._ledger.run(
            lambda store: store.adopt(
                doubt, file, sha256=sha256, utc_s=now, obtained=obtained, decided_by=self._decided_by
            )
        )

    async def release(self, doubt: Doubt, reason: str, *, state: EntryState = EntryState.PENDING) -> Sendable:
        """Record that the attempt left nothing, or that a person decided so; the entry is then in `state`."""
        now = self._clock.utc_s()
        await self._ledger.run(
            lambda store: store.release(doubt, reason, utc_s=now, state=state, decided_by=self._decided_by)
        )
        return Sendable(reason)

    async def _sha256_if_unchanged(self, doubt: Doubt, path: str) -> str | None:
        """Hash a file that a dead run sent, if it is still the one that was sent."""
        sent = await self._ledger.run(lambda store: store.attempt_fingerprint(doubt.attempt_id))
        try:
            with self._drain.cut():
                sha256, _ = await self._files.sha256(path, expected=sent)
                return sha256
        except SourceError:
            pass
        return None
