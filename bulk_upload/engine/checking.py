"""Validation as a part of the run: before anything of a file is sent, its content is known to be good.

Small files are looked at when they are read to be sent: what is sent is what was seen. Ahead of the uploads, larger ones
are looked into in manifest order and go on to the feeder as soon as they are found good, whatever is still looked at.
An entry that was not looked into ahead, or whose file moved since, is looked into when its turn comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.display import printable
from bulk_upload.core.events import Noticed
from bulk_upload.core.model import EntryState
from bulk_upload.core.plan import Step
from bulk_upload.core.settings import ValidateMode
from bulk_upload.core.source import SourceError
from bulk_upload.core.verdict import verdict_of
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.edge.ledger import Sought, keep_verdict, recall_verdicts, settle_invalid
from bulk_upload.engine.validator import Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from anyio.abc import ObjectSendStream

    from bulk_upload.core.source import LoadedFile, Look
    from bulk_upload.core.verdict import Verdict
    from bulk_upload.core.work import StagedEntry
    from bulk_upload.engine.endings import Endings
    from bulk_upload.engine.parts import Parts
    from bulk_upload.engine.passage import Passage
    from bulk_upload.engine.validator import Checked, Validating

AHEAD_ENTRIES_MAX = 4096
"""So many entries may be looked into, or wait for their upload, at once: memory for a few megabytes of them."""

BATCH_ENTRIES_MAX = 64
BATCH_BYTES_MAX = 4 * 1024 * 1024

_DRAINED = "not sent: the run was draining"


class Checking:
    """Decides which entries may be sent.

    Args:
        validator: who looks into files; None where nothing is to be validated.
    """

    def __init__(self, parts: Parts, endings: Endings, validator: Validating | None) -> None:
        self._parts = parts
        self._endings = endings
        self._validator = None if parts.settings.validate is ValidateMode.OFF else validator
        self._ahead_count = 0
        self._room = anyio.Event()
        self.looking_count = self.looked_count = self.looked_bytes = 0
        """Files that are looked into ahead now, that were, and the bytes of those: for whoever shows how far it is."""

    @property
    def runs_ahead(self) -> bool:
        """Whether files are looked into ahead of their uploads."""
        return self._validator is not None and self._parts.settings.validate is ValidateMode.AHEAD

    def may_send(self, passage: Passage) -> bool:
        """Whether the version of the file that the passage knows needs no look any more."""
        return self._validator is None or passage.checked == passage.source

    def look(self, passage: Passage) -> Look | None:
        """Return what looks at a file's content when it is read to be sent, where that is enough."""
        if self._validator is None or not _is_small(passage.work):
            return None
        wanted = Wanted(passage.work.entry.path, passage.work.entry.purpose)
        if not self._validator.looks_when_read(wanted, passage.source.size):
            return None
        return self._validator.look(wanted)

    async def admits(self, passage: Passage, file: LoadedFile) -> bool:
        """Whether an entry may be sent as its file was read and looked at; ends the entry if not."""
        if self._validator is None or file.report is None:
            return True
        if file.report.counts:
            work = passage.work
            verdict = verdict_of(file.report, file.fingerprint, self._validator.rules(work.entry.purpose))
            if not await self._admits(work, passage.entry_id, verdict):
                return False
        passage.source = passage.checked = file.fingerprint
        return True

    async def passes(self, passage: Passage) -> bool:
        """Whether an entry may be sent, looking into its file if that is still to be done; ends the entry if not.

        The passage knows the version of the file that was found good then.
        """
        if self._validator is None or self.may_send(passage):
            return True
        work = passage.work
        verdict: Verdict | SourceError | None = None
        with self._parts.drain.cut():
            verdict = await self._verdict(self._validator, work, passage)
        if verdict is None:
            self._endings.tell(work, EntryState.PENDING, reason=_DRAINED)
            return False
        if not await self._admits(work, passage.entry_id, verdict):
            return False
        if not isinstance(verdict, SourceError):
            passage.source = passage.checked = verdict.fingerprint
        return True

    async def run_ahead(
        self, pages: AsyncIterator[list[StagedEntry]], send: ObjectSendStream[list[StagedEntry]]
    ) -> None:
        """Look into the files of entries, and hand on those that may be sent as soon as that is known.

        The stream must take any number of lists. Whoever takes one says so with `taken`.
        """
        validator = self._validator
        if validator is None:
            raise AssertionError("there is nobody who could look ahead")
        async with send:
            with self._parts.drain.cut():
                async with anyio.create_task_group() as tasks:
                    async for page in pages:
                        for group in await self._unless_known(validator, page, send):
                            await self._wait_for_room()
                            self._ahead_count += len(group)
                            tasks.start_soon(self._look, validator, group, send)

    def taken(self, entry_count: int) -> None:
        """Hear that so many entries that were looked into ahead are on their way."""
        self._ahead_count -= entry_count
        self._room.set()

    async def _wait_for_room(self) -> None:
        while self._ahead_count >= AHEAD_ENTRIES_MAX:
            self._room = anyio.Event()
            await self._room.wait()

    async def _unless_known(
        self, validator: Validating, page: list[StagedEntry], send: ObjectSendStream[list[StagedEntry]]
    ) -> list[list[StagedEntry]]:
        """Hand on what needs no look; return the rest in groups that are looked into in one go."""
        ready: list[StagedEntry] = []
        rest: list[StagedEntry] = []
        for one in page:
            (ready if one.step is Step.COMPARE or _is_looked_at_when_read(validator, one) else rest).append(
                one
            )
        sought = [
            Sought(_entry_id(one), one.source, validator.rules(one.entry.purpose))
            for one in rest
            if one.source is not None and not _is_small(one)
        ]
        known = await self._recalled(sought)
        for one in rest:
            verdict = known.get(_entry_id(one))
            if verdict is not None and await self._admits(one, _entry_id(one), verdict):
                ready.append(one.as_checked(verdict.fingerprint))
        if ready:
            await self._wait_for_room()
            self._ahead_count += len(ready)
            await send.send(sorted(ready, key=lambda one: one.seq))
        return list(_grouped([one for one in rest if _entry_id(one) not in known]))

    async def _look(
        self, validator: Validating, group: list[StagedEntry], send: ObjectSendStream[list[StagedEntry]]
    ) -> None:
        self.looking_count += len(group)
        try:
            results = await self._checked(validator, group)
        finally:
            self.looking_count -= len(group)
        self.looked_count += len(group)
        self.looked_bytes += sum(one.source.size for one in group if one.source is not None)
        good = []
        for one, result in zip(group, results, strict=True):
            entry_id = _entry_id(one)
            if isinstance(result, SourceError):
                # What is wrong now may be over when its turn comes; then it is looked at again.
                good.append(one)
                continue
            verdict = verdict_of(result.report, result.fingerprint, validator.rules(one.entry.purpose))
            if not _is_small(one):
                await self._keep(entry_id, verdict)
            if await self._admits(one, entry_id, verdict):
                good.append(one.as_checked(verdict.fingerprint))
        self.taken(len(group) - len(good))
        if good:
            await send.send(good)

    async def _verdict(
        self, validator: Validating, work: StagedEntry, passage: Passage
    ) -> Verdict | SourceError | None:
        """Look into one file now, waiting while this machine is short of descriptors."""
        rules = validator.rules(work.entry.purpose)
        known = await self._recalled([Sought(passage.entry_id, passage.source, rules)])
        if passage.entry_id in known:
            return known[passage.entry_id]
        while True:
            (result,) = await self._checked(validator, [work])
            if not isinstance(result, SourceError):
                break
            if not result.local_limit:
                return result
            self._parts.oversight.on_short(result.reason, wire_bytes=self._parts.transport.wire_bytes)
            await self._parts.drain.sleep(self._parts.settings.retry_policy.local_limit_s)
        verdict = verdict_of(result.report, result.fingerprint, rules)
        if result.fingerprint.size > SMALL_FILE_BYTES_MAX:
            await self._keep(passage.entry_id, verdict)
        return verdict

    async def _checked(
        self, validator: Validating, works: Sequence[StagedEntry]
    ) -> list[Checked | SourceError]:
        wanted = [Wanted(one.entry.path, one.entry.purpose) for one in works]
        return await validator.check_all(wanted, are_small=all(map(_is_small, works)))

    async def _admits(self, work: StagedEntry, entry_id: int, verdict: Verdict | SourceError) -> bool:
        """Whether an entry may be sent after a look at its file; ends it otherwise."""
        if isinstance(verdict, SourceError):
            await self._endings.settle(work, entry_id, EntryState.FAILED_LOCAL, verdict.reason)
            return False
        if verdict.is_valid:
            if verdict.warning is not None:
                self._parts.emit(Noticed(message=verdict.warning, path=work.entry.path))
            return True
        if self._parts.settings.sends_invalid:
            message = f"invalid, and sent all the same as asked: {verdict.reason}"
            self._parts.emit(Noticed(message=message, path=work.entry.path))
            return True
        now = self._parts.clock.utc_s()
        # Shielded: what is recorded is told, although the run may drain meanwhile.
        with anyio.CancelScope(shield=True):
            await self._parts.ledger.run(lambda store: settle_invalid(store, entry_id, verdict, utc_s=now))
            self._endings.tell(work, EntryState.INVALID, reason=printable(verdict.reason or "invalid"))
        return False

    async def _recalled(self, sought: list[Sought]) -> dict[int, Verdict]:
        if not sought:
            return {}
        return await self._parts.ledger.run(lambda store: recall_verdicts(store, sought))

    async def _keep(self, entry_id: int, verdict: Verdict) -> None:
        """Remember a verdict about a large file. A small one is read again anyway when it is sent."""
        now = self._parts.clock.utc_s()
        await self._parts.ledger.run(lambda store: keep_verdict(store, entry_id, verdict, utc_s=now))


def _is_small(work: StagedEntry) -> bool:
    return work.source is not None and work.source.size <= SMALL_FILE_BYTES_MAX


def _is_looked_at_when_read(validator: Validating, work: StagedEntry) -> bool:
    if work.source is None or not _is_small(work):
        return False
    return validator.looks_when_read(Wanted(work.entry.path, work.entry.purpose), work.source.size)


def _entry_id(work: StagedEntry) -> int:
    if work.known is None:
        raise AssertionError("only registered entries are sent")
    return work.known.entry_id


def _grouped(works: Sequence[StagedEntry]) -> Iterator[list[StagedEntry]]:
    """Return small files together, each larger one by itself, in order."""
    group: list[StagedEntry] = []
    group_bytes = 0
    for one in works:
        if not _is_small(one):
            yield [one]
            continue
        size = 0 if one.source is None else one.source.size
        if group and (len(group) == BATCH_ENTRIES_MAX or group_bytes + size > BATCH_BYTES_MAX):
            yield group
            group, group_bytes = [], 0
        group.append(one)
        group_bytes += size
    if group:
        yield group
