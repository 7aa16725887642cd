"""Validation as a part of the run: before anything of a file is sent, its content is known to be good.

Small files are checked when they are read to be sent: what is sent is what was checked. Larger ones are checked ahead
of the uploads, in manifest order, and go on to the feeder as soon as they are found good, while others are still
checked. An entry that was not checked ahead, or whose file changed since, is checked when its turn comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.events import Noticed
from bulk_upload.core.model import EntryState, SourceFailed
from bulk_upload.core.run.plan import Step
from bulk_upload.core.run.retry import Leave, TryAgain
from bulk_upload.core.run.settings import ValidateMode
from bulk_upload.core.run.source import SourceError, outcome_of
from bulk_upload.core.text.printable import printable
from bulk_upload.core.validation.admission import admission_of, groups, split
from bulk_upload.core.validation.result import validation_result
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.edge.ledger import ResultKey, keep_result, recall_results, settle_invalid
from bulk_upload.engine.upload import DRAINED
from bulk_upload.engine.validation.validating import CheckTarget
from bulk_upload.engine.validation.while_sent import SentChecks, data_findings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from anyio.abc import ObjectSendStream

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.sender import PreparedFile
    from bulk_upload.core.run.settings import RunSettings
    from bulk_upload.core.run.source import ContentCheck
    from bulk_upload.core.validation.admission import Admission
    from bulk_upload.core.validation.result import ValidationResult
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.stop_rules import StopRules
    from bulk_upload.engine.settling import Settler
    from bulk_upload.engine.upload import Upload
    from bulk_upload.engine.validation.validating import Checked, Validating

AHEAD_ENTRIES_MAX = 4096
"""How many entries may be checked, or wait for their upload, at once: a few megabytes of memory."""


class Gate:
    """Decides which entries may be sent.

    Args:
        validator: checks files; None where nothing is to be validated.
        wire_bytes: returns how many bytes of bodies have left so far.
    """

    def __init__(
        self,
        validator: Validating | None,
        *,
        settings: RunSettings,
        settler: Settler,
        stop_rules: StopRules,
        wire_bytes: Callable[[], int],
        ledger: Ledger[LedgerStore],
        drain: Drain,
        clock: Clock,
        emit: Callable[[Event], None],
    ) -> None:
        self._validator = None if settings.validate is ValidateMode.OFF else validator
        self.sent_checks = SentChecks(self._validator, sends_invalid=settings.sends_invalid, emit=emit)
        """Checks of objects on their way."""

        self._settings = settings
        self._settler = settler
        self._stop_rules = stop_rules
        self._wire_bytes = wire_bytes
        self._ledger = ledger
        self._drain = drain
        self._clock = clock
        self._emit = emit
        self.busy_count = 0
        """How many calls wait for files to be checked now."""
        self._ahead_count = 0
        self._room = anyio.Event()
        self.looking_count = self.looked_count = self.looked_bytes = 0
        """Files that are being checked ahead, that were checked, and the bytes of those: for displays."""

    @property
    def runs_ahead(self) -> bool:
        """Whether files are checked ahead of their uploads."""
        return self._validator is not None and self._settings.validate is ValidateMode.AHEAD

    def may_send(self, upload: Upload) -> bool:
        """Whether the version of the file that the upload knows needs no check any more."""
        return (
            self._validator is None
            or self.sent_checks.wants(
                upload.planned.entry.path, upload.planned.entry.purpose, upload.fingerprint.size
            )
            or upload.fingerprint.same_version(upload.checked)
        )

    async def keep_refusal(self, upload: Upload) -> None:
        """Record what was found in an object on its way, if it was refused for that."""
        entry = upload.planned.entry
        validation = self.sent_checks.taken_refusal(entry.path, entry.purpose)
        if validation is not None:
            with anyio.CancelScope(shield=True):
                await self._keep(upload.entry_id, validation)

    def checks_when_read(self, upload: Upload) -> bool:
        """Whether the check of a file's content that is made when it is read to be sent is enough."""
        if self._validator is None or not _is_small(upload.planned):
            return False
        wanted = CheckTarget(upload.planned.entry.path, upload.planned.entry.purpose)
        return self._validator.checks_when_read(wanted, upload.fingerprint.size)

    def check_for(self, path: str, purpose: str) -> ContentCheck:
        """Return what checks the content of such a file when it is read."""
        if self._validator is None:
            raise AssertionError("nothing is validated")
        return self._validator.content_check(CheckTarget(path, purpose))

    async def admits(self, upload: Upload, file: PreparedFile) -> bool:
        """Whether an entry may be sent, by the check made when its file was read; ends the entry if not."""
        if self._validator is None or file.report is None:
            return True
        if file.report.counts:
            planned = upload.planned
            validation = validation_result(
                file.report, file.fingerprint, self._validator.rules(planned.entry.purpose)
            )
            if not await self._admits(planned, upload.entry_id, validation):
                return False
        upload.fingerprint = upload.checked = file.fingerprint
        return True

    async def passes(self, upload: Upload) -> bool:
        """Whether an entry may be sent, checking its file if that is still to be done; ends the entry if not.

        The upload knows the version of the file that was found good then.
        """
        if self._validator is None or self.may_send(upload):
            return True
        planned = upload.planned
        validation: ValidationResult | SourceError | None = None
        with self._drain.cut():
            validation = await self._validate_now(self._validator, planned, upload)
        if validation is None or (isinstance(validation, SourceError) and validation.transient):
            await self._leave(upload)
            return False
        if not await self._admits(planned, upload.entry_id, validation):
            return False
        if not isinstance(validation, SourceError):
            upload.fingerprint = upload.checked = validation.fingerprint
        return True

    async def run_ahead(
        self, pages: AsyncIterator[list[PlannedEntry]], send: ObjectSendStream[list[PlannedEntry]]
    ) -> None:
        """Check the files of entries, and hand on those that may be sent as soon as that is known.

        The stream must take any number of lists. Its receiver calls `taken` for each.
        """
        validator = self._validator
        if validator is None:
            raise AssertionError("there is no validator to check ahead")
        async with send:
            with self._drain.cut():
                async with anyio.create_task_group() as tasks:
                    async for page in pages:
                        for group in await self._unless_known(validator, page, send):
                            await self._wait_for_room()
                            self._ahead_count += len(group)
                            tasks.start_soon(self._look, validator, group, send)

    def taken(self, entry_count: int) -> None:
        """Record how many entries that were checked ahead are being sent."""
        self._ahead_count -= entry_count
        self._room.set()

    async def _wait_for_room(self) -> None:
        while self._ahead_count >= AHEAD_ENTRIES_MAX:
            self._room = anyio.Event()
            await self._room.wait()

    async def _unless_known(
        self, validator: Validating, page: list[PlannedEntry], send: ObjectSendStream[list[PlannedEntry]]
    ) -> list[list[PlannedEntry]]:
        """Hand on what needs no check now; return the rest in groups that are checked in one go."""
        known = await self._recalled(_result_keys(validator, page))
        parts = split(
            page,
            is_checked_later=lambda one: (
                one.step is Step.COMPARE or self._is_checked_on_its_way(validator, one)
            ),
            known_result=lambda one: known.get(_entry_id(one)),
            sends_invalid=self._settings.sends_invalid,
        )
        for one, result in parts.good:
            self._notice(one, admission_of(result, sends_invalid=self._settings.sends_invalid))
        for one, result in parts.bad:
            await self._settle_invalid(one, _entry_id(one), result)
        ready = [*parts.checked_later, *(one.as_checked(result.fingerprint) for one, result in parts.good)]
        if ready:
            await self._wait_for_room()
            self._ahead_count += len(ready)
            await send.send(sorted(ready, key=lambda one: one.seq))
        return list(groups(parts.unchecked, small_bytes=_small_bytes))

    def _is_checked_on_its_way(self, validator: Validating, planned: PlannedEntry) -> bool:
        entry, fingerprint = planned.entry, planned.fingerprint
        return _is_looked_at_when_read(validator, planned) or (
            fingerprint is not None and self.sent_checks.wants(entry.path, entry.purpose, fingerprint.size)
        )

    async def _look(
        self, validator: Validating, group: list[PlannedEntry], send: ObjectSendStream[list[PlannedEntry]]
    ) -> None:
        self.looking_count += len(group)
        try:
            results = await self._checked(validator, group)
        finally:
            self.looking_count -= len(group)
        self.looked_count += len(group)
        self.looked_bytes += sum(one.fingerprint.size for one in group if one.fingerprint is not None)
        good = []
        for one, result in zip(group, results, strict=True):
            entry_id = _entry_id(one)
            if isinstance(result, SourceError):
                # The error may be gone when its turn comes; then it is checked again.
                good.append(one)
                continue
            validation = validation_result(
                result.report, result.fingerprint, validator.rules(one.entry.purpose)
            )
            if not _is_small(one):
                await self._keep(entry_id, validation)
            if await self._admits(one, entry_id, validation):
                good.append(one.as_checked(validation.fingerprint))
        self.taken(len(group) - len(good))
        if good:
            await send.send(good)

    async def _validate_now(
        self, validator: Validating, planned: PlannedEntry, upload: Upload
    ) -> ValidationResult | SourceError | None:
        """Check one file now, waiting while this machine is short of descriptors or a file system fails."""
        rules = validator.rules(planned.entry.purpose)
        known = await self._recalled([ResultKey(upload.entry_id, upload.fingerprint, rules)])
        if upload.entry_id in known:
            return known[upload.entry_id]
        while True:
            (result,) = await self._checked(validator, [planned])
            if not isinstance(result, SourceError):
                break
            wait_s = self._wait_s(upload, result)
            if wait_s is None:
                return result
            await self._drain.sleep(wait_s)
        validation = validation_result(result.report, result.fingerprint, rules)
        if result.fingerprint.size > SMALL_FILE_BYTES_MAX:
            await self._keep(upload.entry_id, validation)
        return validation

    def _wait_s(self, upload: Upload, error: SourceError) -> float | None:
        """Return how long to wait before a file is read again, None where that is over."""
        outcome = outcome_of(error)
        if isinstance(outcome, SourceFailed):
            return None
        if outcome.local_limit:
            self._stop_rules.on_short(error.reason, wire_bytes=self._wire_bytes())
            return self._settings.retry_policy.local_limit_s
        self._stop_rules.on_unreadable(error.reason, wire_bytes=self._wire_bytes())
        upload.attempts_used += 1
        decision = self._settings.retry_policy.decide(
            outcome, attempts_used=upload.attempts_used, budget_empty=False, jitter=self._clock.jitter()
        )
        upload.reason = decision.reason if isinstance(decision, Leave) else error.reason
        return decision.delay_s if isinstance(decision, TryAgain) else None

    async def _checked(
        self, validator: Validating, works: Sequence[PlannedEntry]
    ) -> list[Checked | SourceError]:
        wanted = [CheckTarget(one.entry.path, one.entry.purpose) for one in works]
        self.busy_count += 1
        try:
            results = await validator.check_all(wanted, are_small=all(map(_is_small, works)))
        finally:
            self.busy_count -= 1
        if not all(isinstance(one, SourceError) for one in results):
            self._stop_rules.on_read()
        return results

    async def _admits(
        self, planned: PlannedEntry, entry_id: int, validation: ValidationResult | SourceError
    ) -> bool:
        """Whether an entry may be sent after its file was checked; ends it otherwise."""
        if isinstance(validation, SourceError):
            at_fault = None if validation.inaccessible else planned.fingerprint
            await self._settler.fail(planned, entry_id, validation.reason, at_fault)
            return False
        findings = data_findings(planned.entry.path, planned.entry.purpose, validation)
        if findings is not None:
            self._emit(findings)
        admission = admission_of(validation, sends_invalid=self._settings.sends_invalid)
        self._notice(planned, admission)
        if not admission.may_send:
            await self._settle_invalid(planned, entry_id, validation)
        return admission.may_send

    async def _leave(self, upload: Upload) -> None:
        """End an entry for this run; it stays pending."""
        reason = upload.reason
        if reason != DRAINED:
            await self._ledger.run(lambda store: store.explain(upload.entry_id, reason))
        self._settler.settled(upload.planned, EntryState.PENDING, reason=reason)

    def _notice(self, planned: PlannedEntry, admission: Admission) -> None:
        if admission.notice is not None:
            self._emit(Noticed(message=admission.notice, path=planned.entry.path))

    async def _settle_invalid(
        self, planned: PlannedEntry, entry_id: int, validation: ValidationResult
    ) -> None:
        now = self._clock.utc_s()
        # Shielded: what is recorded is also reported, although the run may drain meanwhile.
        with anyio.CancelScope(shield=True):
            await self._ledger.run(lambda store: settle_invalid(store, entry_id, validation, utc_s=now))
            self._settler.settled(
                planned, EntryState.INVALID, reason=printable(validation.reason or "invalid")
            )

    async def _recalled(self, keys: list[ResultKey]) -> dict[int, ValidationResult]:
        if not keys:
            return {}
        return await self._ledger.run(lambda store: recall_results(store, keys))

    async def _keep(self, entry_id: int, validation: ValidationResult) -> None:
        """Record the result for a large file. A small one is read again anyway when it is sent."""
        now = self._clock.utc_s()
        await self._ledger.run(lambda store: keep_result(store, entry_id, validation, utc_s=now))


def _is_small(planned: PlannedEntry) -> bool:
    return planned.fingerprint is not None and planned.fingerprint.size <= SMALL_FILE_BYTES_MAX


def _small_bytes(planned: PlannedEntry) -> int | None:
    return planned.fingerprint.size if planned.fingerprint is not None and _is_small(planned) else None


def _is_looked_at_when_read(validator: Validating, planned: PlannedEntry) -> bool:
    if planned.fingerprint is None or not _is_small(planned):
        return False
    return validator.checks_when_read(
        CheckTarget(planned.entry.path, planned.entry.purpose), planned.fingerprint.size
    )


def _result_keys(validator: Validating, page: Sequence[PlannedEntry]) -> list[ResultKey]:
    """Return under which keys the ledger may remember results: of large files, and not of those that are compared."""
    return [
        ResultKey(_entry_id(one), one.fingerprint, validator.rules(one.entry.purpose))
        for one in page
        if one.step is not Step.COMPARE and one.fingerprint is not None and not _is_small(one)
    ]


def _entry_id(planned: PlannedEntry) -> int:
    if planned.known is None:
        raise AssertionError("only registered entries are sent")
    return planned.known.entry_id
