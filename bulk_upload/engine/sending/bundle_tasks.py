"""A task for each bundle: its request, the ends of its members, and the same again where the server asked to wait.

What is not accepted, for any other reason, goes on by itself (`entry_task`): the one that is at fault is then found.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.bundle.answer import Lesson
from bulk_upload.core.bundle.grouping import FILES_MIN
from bulk_upload.core.events import Noticed
from bulk_upload.core.model import Accepted, EntryState, Throttled
from bulk_upload.core.run.records import reason_in
from bulk_upload.core.run.retry import TryAgain
from bulk_upload.core.run.sender import PreparedFile, PrepareRequest
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.ledger import note_strays
from bulk_upload.engine.tasks import plain_task_group
from bulk_upload.engine.upload import NotBegun
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import TaskGroup

    from bulk_upload.core.bundle.bundling import Bundling
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.model import Outcome
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.retry import RetryPolicy
    from bulk_upload.core.run.sender import Sender
    from bulk_upload.core.run.source import SourceError
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.conditions import Conditions
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.occupancy import Occupancy
    from bulk_upload.engine.limits.stop_rules import StopRules
    from bulk_upload.engine.limits.twins import TwinGate
    from bulk_upload.engine.sending.bundle_attempts import BundleAttempts, MadeBundle
    from bulk_upload.engine.sending.entry_task import EntryTasks
    from bulk_upload.engine.settling import Settler
    from bulk_upload.engine.upload import RecordedAttempt, Upload

_STRAYS_SHOWN_MAX = 3


class BundleTasks:
    """Owns the tasks of bundles. Every upload that is given here holds its twin key and a file that was read whole."""

    def __init__(
        self,
        *,
        bundling: Bundling,
        attempts: BundleAttempts,
        entry_tasks: EntryTasks,
        settler: Settler,
        sender: Sender,
        twins: TwinGate,
        policy: RetryPolicy,
        stop_rules: StopRules,
        occupancy: Occupancy,
        conditions: Conditions,
        ledger: Ledger[LedgerStore],
        drain: Drain,
        clock: Clock,
        emit: Callable[[Event], None],
    ) -> None:
        self.bundling = bundling
        self._attempts = attempts
        self._entry_tasks = entry_tasks
        self._settler = settler
        self._sender = sender
        self._twins = twins
        self._policy = policy
        self._stop_rules = stop_rules
        self._occupancy = occupancy
        self._conditions = conditions
        self._ledger = ledger
        self._drain = drain
        self._clock = clock
        self._emit = emit
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take bundles while the block runs, and wait for their ends after it."""
        async with plain_task_group() as self._tasks:
            yield

    async def start(self, uploads: list[Upload]) -> None:
        """Start the task of a bundle that `bundling` lets begin. It counts as one live entry from now on."""
        if self._tasks is None:
            raise AssertionError("bundles are taken while the group is open")
        self._occupancy.enter()
        self.bundling.begin()
        self._tasks.start_soon(self._live, uploads)

    async def _live(self, uploads: list[Upload]) -> None:
        held = {one.entry_id: one for one in uploads}
        try:
            await self._run(uploads, held)
        except LedgerUnusable as error:
            self._stop_rules.on_ledger_failed(error)
        finally:
            # What is left here ended by an error: whether the server has it is not known.
            for one in held.values():
                self._twins.bar(one.twin_key)
                with anyio.CancelScope(shield=True):
                    await self._drop(one)
            self._occupancy.leave()

    async def _run(self, uploads: list[Upload], held: dict[int, Upload]) -> None:
        """Make the request and see to every member; `held` are those whose twin keys are held here."""
        lesson = Lesson.NONE
        try:
            made = await self._attempts.make(uploads)
            lesson = Lesson.NONE if isinstance(made, NotBegun) else made.answer.lesson
        finally:
            changed = self.bundling.end(lesson, len(uploads))
            self._conditions.check()
        if isinstance(made, NotBegun):
            if self._drain.begun:
                await self._leave(uploads, held)
            else:
                # Their agent was lost before it began.
                await self._go_together(uploads, held)
            return
        if changed is not None:
            self._emit(Noticed(message=changed))
        attempts = await self._attempts.recorded(made)
        await self._tell_strays(made, len(uploads))
        again = await self._after(uploads, attempts, lesson, held)
        if again:
            await self._go_again(again, attempts[0].outcome, held)

    async def _after(
        self,
        uploads: list[Upload],
        attempts: list[RecordedAttempt],
        lesson: Lesson,
        held: dict[int, Upload],
    ) -> list[tuple[Upload, RecordedAttempt]]:
        """End what was accepted and hand on what was not; return what goes again, together."""
        again = []
        for upload, attempt in zip(uploads, attempts, strict=True):
            upload.reason = reason_in(attempt.outcome) or ""
            if isinstance(attempt.outcome, Accepted):
                self._settler.attempt_ended(upload, attempt)
                self._settler.settled_by(upload.planned, attempt)
                self._let_go(upload, held)
            elif isinstance(attempt.outcome, Throttled):
                again.append((upload, attempt))
            elif lesson is Lesson.UNSERVED:
                # It was not the file that was refused: its first attempt is still to come.
                self._settler.attempt_ended(upload, attempt, retry_in_s=0.0)
                await self._go_alone(upload, held)
            else:
                await self._entry_tasks.start(upload, first=attempt)
                del held[upload.entry_id]
        return again

    async def _go_again(
        self, again: list[tuple[Upload, RecordedAttempt]], outcome: Outcome, held: dict[int, Upload]
    ) -> None:
        """Send files together again after the wait that the server asked for: none of them is there.

        One by one they would be as many requests as the server has just refused to take at once.
        """
        decision = self._policy.decide(
            outcome, attempts_used=1, budget_empty=False, jitter=self._clock.jitter()
        )
        delay_s = decision.delay_s if isinstance(decision, TryAgain) else 0.0
        for upload, attempt in again:
            self._settler.attempt_ended(upload, attempt, retry_in_s=delay_s)
        with self._occupancy.parked():
            await self._drain.sleep(delay_s)
        await self._go_together([upload for upload, _ in again], held)

    async def _go_together(self, uploads: list[Upload], held: dict[int, Upload]) -> None:
        """Read files again and send them together: nothing of them was stored."""
        waiting = await self._prepared(uploads, held)
        while waiting and await self._until_one_may_begin():
            together, waiting = _of_one_sender(waiting, self.bundling.files_max)
            if len(together) < FILES_MIN:
                await self._go_alone(together[0], held)
                continue
            await self.start(together)
            for upload in together:
                del held[upload.entry_id]
        await self._leave(waiting, held)

    async def _prepared(self, uploads: list[Upload], held: dict[int, Upload]) -> list[Upload]:
        """Read the files again; what is no longer the file that was planned goes on by itself."""
        requests = [
            PrepareRequest(
                path=one.planned.entry.path,
                purpose=one.planned.entry.purpose,
                planned_bytes=one.fingerprint.size,
                expected=one.fingerprint,
            )
            for one in uploads
        ]
        files: list[PreparedFile | SourceError] = []
        with self._drain.cut():
            files = await self._sender.prepare(requests)
        for upload, file in zip(uploads, files, strict=False):
            if isinstance(file, PreparedFile):
                upload.prepared = file
        ready = []
        for upload in uploads:
            if self._drain.begun or (upload.prepared is not None and upload.is_planned(upload.prepared)):
                ready.append(upload)
            else:
                await self._go_alone(upload, held)
        return ready

    async def _until_one_may_begin(self) -> bool:
        """Wait until a bundle may begin, or none will; return False when the run drains."""
        bundling = self.bundling
        with self._occupancy.parked():
            await self._conditions.until(
                lambda: self._drain.begun or not bundling.is_on or bundling.may_begin()
            )
        return not self._drain.begun

    async def _go_alone(self, upload: Upload, held: dict[int, Upload]) -> None:
        """Hand an upload on with its twin key; the file is prepared again when its turn comes."""
        await self._drop(upload)
        await self._entry_tasks.start(upload, holds_twin_key=True)
        del held[upload.entry_id]

    async def _leave(self, uploads: list[Upload], held: dict[int, Upload]) -> None:
        """End uploads for this run, which drains."""
        for upload in uploads:
            await self._drop(upload)
            self._settler.settled(upload.planned, EntryState.PENDING, reason=upload.reason)
            self._let_go(upload, held)

    async def _drop(self, upload: Upload) -> None:
        prepared, upload.prepared = upload.prepared, None
        if prepared is not None:
            await self._sender.drop(prepared.number)

    def _let_go(self, upload: Upload, held: dict[int, Upload]) -> None:
        self._twins.release(upload.twin_key)
        del held[upload.entry_id]

    async def _tell_strays(self, made: MadeBundle, file_count: int) -> None:
        """Say and record which files in an answer are nobody's."""
        strays = made.answer.strays
        if not strays:
            return
        now = self._clock.utc_s()
        await self._ledger.run(
            lambda store: note_strays(
                store.connection, store.run_id, strays, bundle_id=made.bundle_id, utc_s=now
            )
        )
        shown = ", ".join(
            f"{printable(str(one.filename))} ({one.file_id})" for one in strays[:_STRAYS_SHOWN_MAX]
        )
        more = f" and {len(strays) - _STRAYS_SHOWN_MAX} more" if len(strays) > _STRAYS_SHOWN_MAX else ""
        self._emit(
            Noticed(
                message=f"the answer to {file_count} files in one request has some that are none of them, or not of one"
                f" alone: {shown}{more}; they are no receipts"
            )
        )


def _of_one_sender(uploads: list[Upload], files_max: int) -> tuple[list[Upload], list[Upload]]:
    """Return the first uploads whose files are held by one agent, or by this process, and the others."""
    agent = _agent(uploads[0])
    together = [one for one in uploads if _agent(one) == agent][:files_max]
    chosen = {one.entry_id for one in together}
    return together, [one for one in uploads if one.entry_id not in chosen]


def _agent(upload: Upload) -> str | None:
    return None if upload.prepared is None else upload.prepared.agent
