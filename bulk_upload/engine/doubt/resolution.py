"""What is done about an attempt whose answer was lost, once the server's list has been asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.run.reconcile import Absent, Doubt, Found, Undecided
from bulk_upload.core.run.settings import InDoubtPolicy
from bulk_upload.core.run.source import SourceError

if TYPE_CHECKING:
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.model import InDoubt, ListedFile
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.sender import Sender
    from bulk_upload.core.run.settings import RunSettings
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.doubt.reconciler import Reconciler
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.occupancy import Occupancy
    from bulk_upload.engine.upload import RecordedAttempt


class Adopted(msgspec.Struct, frozen=True):
    """The file was found at the server, and the ledger has its receipt."""


class Sendable(msgspec.Struct, frozen=True):
    """The ledger says that the attempt left nothing, or that the person accepts a duplicate."""


class StillInDoubt(msgspec.Struct, frozen=True):
    """Nobody can tell; `reason` is in the ledger."""

    reason: str


Resolution = Adopted | Sendable | StillInDoubt


class Doubts:
    """Resolves doubts by the run's policy and records what was decided. Holds no slot."""

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        sender: Sender,
        profile: Profile,
        settings: RunSettings,
        occupancy: Occupancy,
        ledger: Ledger[LedgerStore],
        drain: Drain,
        clock: Clock,
    ) -> None:
        self._reconciler = reconciler
        self._sender = sender
        self._profile = profile
        self._settings = settings
        self._occupancy = occupancy
        self._ledger = ledger
        self._drain = drain
        self._clock = clock

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
            settles_at_utc_s=attempt.ended_utc_s + settle_s,
            candidate_id=outcome.candidate_id,
        )
        held = self._settings.in_doubt is InDoubtPolicy.HOLD
        if outcome.answered and not self._profile.can_list and not held:
            # The server said that it failed and there is no list to ask: its word is taken.
            return await self._release(doubt, f"retried on the server's word ({outcome.reason})")
        return await self.resolve(doubt)

    async def resolve(self, doubt: Doubt, planned: PlannedEntry | None = None) -> Resolution:
        """Resolve a doubt; `planned` is given for one that an earlier run left, to hash what it sent."""
        settings = self._settings
        verdict: Found | Absent | Undecided
        if settings.in_doubt is InDoubtPolicy.HOLD:
            verdict = Undecided("left in doubt by --in-doubt hold")
        else:
            with self._occupancy.parked():
                verdict = await self._reconciler.resolve(doubt)
        if isinstance(verdict, Found):
            if await self._adopt(doubt, verdict.file, planned):
                return Adopted()
            verdict = Undecided(f"{verdict.file.file_id} was claimed by another entry")
        if isinstance(verdict, Absent):
            return await self._release(doubt, "not on the server: it can be sent again")
        if settings.in_doubt is InDoubtPolicy.RESEND and not self._drain.begun:
            return await self._release(doubt, f"sent again by --in-doubt resend ({verdict.reason})")
        reason = verdict.reason
        await self._ledger.run(lambda store: store.explain(doubt.entry_id, reason))
        return StillInDoubt(reason)

    async def _adopt(self, doubt: Doubt, file: ListedFile, planned: PlannedEntry | None) -> bool:
        sha256 = None if planned is None else await self._sha256_if_unchanged(doubt, planned)
        now = self._clock.utc_s()
        return await self._ledger.run(lambda store: store.adopt(doubt, file, sha256=sha256, utc_s=now))

    async def _release(self, doubt: Doubt, resolution: str) -> Sendable:
        now = self._clock.utc_s()
        await self._ledger.run(lambda store: store.release(doubt, resolution, utc_s=now))
        return Sendable()

    async def _sha256_if_unchanged(self, doubt: Doubt, planned: PlannedEntry) -> str | None:
        """Hash a file that a dead run sent, if it is still the one that was sent."""
        sent_as = await self._ledger.run(lambda store: store.attempt_fingerprint(doubt.attempt_id))
        if planned.fingerprint != sent_as:
            return None
        try:
            with self._drain.cut():
                sha256, fingerprint = await self._sender.sha256(planned.entry.path)
                return sha256 if fingerprint == sent_as else None
        except SourceError:
            pass
        return None
