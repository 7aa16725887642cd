"""The one thread that writes a ledger: many steps per transaction; each caller waits until its own step is durable."""

from __future__ import annotations

import asyncio
import itertools
import queue
import sqlite3
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from bulk_upload.core.machine.file_systems import Journal
from bulk_upload.edge.ledger.file.location import FilesInPlace
from bulk_upload.edge.ledger.file.opening import journal_mode
from bulk_upload.edge.ledger.file.unusable import unusable
from bulk_upload.errors import LedgerBroken, LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from bulk_upload.core.model import Outcome
    from bulk_upload.core.run.records import AttemptEnd
    from bulk_upload.edge.ledger.store import LedgerStore

T = TypeVar("T")

STEPS_PER_COMMIT_MAX = 512

LINGER_S = 0.01
"""How long outcomes wait for more of them: a commit of many costs little more than one of a single record, and no
upload waits for an outcome to be recorded. As soon as a caller waits for a step, all of them are written. At the end of
a run nothing more is started, and the run itself waits: see `hurry`."""


class _Step:
    """One caller's step, and the future that is resolved once it is durable."""

    __slots__ = ("act", "error", "future", "result")

    def __init__(self, act: Callable[[LedgerStore], Any], future: asyncio.Future[Any]) -> None:
        self.act = act
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None


class _Conclusion:
    """The ends of attempts, one or those of one request, and the future that is resolved once they are durable."""

    __slots__ = ("are_many", "error", "future", "overs", "reopen", "result")

    def __init__(
        self,
        overs: Sequence[AttemptEnd],
        reopen: Collection[int],
        future: asyncio.Future[Any],
        *,
        are_many: bool,
    ) -> None:
        self.overs = overs
        self.reopen = reopen
        self.future = future
        self.are_many = are_many
        self.result: Any = None
        self.error: BaseException | None = None

    def take(self, outcomes: list[Outcome]) -> None:
        """Keep the outcomes as recorded."""
        self.result = outcomes if self.are_many else outcomes[0]


class LedgerWriter:
    """Runs steps on the ledger in the order they were submitted, grouped into durable commits.

    While one commit reaches the disk the next steps gather, so that all waiting steps share the cost of
    one sync. The first failure is final: nothing more is written, and every later step raises the same
    error, so that nothing is uploaded that cannot be recorded.

    Args:
        store: on a connection that is the writer's from now on.
        path: of the ledger, as the connection has it.
        on_end: called on the writer's thread when the file is closed.
    """

    def __init__(self, store: LedgerStore, path: str, *, on_end: Callable[[], None]) -> None:
        self._store = store
        self._path = path
        self._on_end = on_end
        self._files = FilesInPlace(path)
        self._loop = asyncio.get_running_loop()
        self._steps: queue.SimpleQueue[_Step | _Conclusion | None] = queue.SimpleQueue()
        self._awaited = threading.Event()
        self._lingers = True
        self._failure: LedgerUnusable | None = None
        self._closing = False
        self._pending_count = 0
        self._in_hand: list[_Step | _Conclusion] = []
        """The group that the thread is writing."""
        self._is_last = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="bulk-upload-ledger", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> LedgerUnusable | None:
        """Why the ledger can no longer record, None while it can."""
        return self._failure

    @property
    def pending_count(self) -> int:
        """How many steps are not durable yet."""
        return self._pending_count

    async def run(self, act: Callable[[LedgerStore], T]) -> T:
        """Run one step and return its result once it is durable. Raises LedgerUnusable.

        Cancelling the caller does not cancel its step.
        """
        self._require_open()
        future: asyncio.Future[T] = self._loop.create_future()
        self._pending_count += 1
        self._steps.put(_Step(act, future))
        self._awaited.set()
        return await future

    def conclude(self, over: AttemptEnd, *, reopen: Collection[int] = ()) -> asyncio.Future[Outcome]:
        """Record how an attempt ended, as `LedgerStore.conclude` does; the future is resolved once that is durable.

        The future raises LedgerUnusable where it cannot be. Raises LedgerUnusable where that is known at once.
        """
        future: asyncio.Future[Outcome] = self._loop.create_future()
        self._conclude(_Conclusion((over,), reopen, future, are_many=False))
        return future

    def conclude_together(
        self, overs: Sequence[AttemptEnd], *, reopen: Collection[int] = ()
    ) -> asyncio.Future[list[Outcome]]:
        """Record how the attempts of one request ended, in one step; as `conclude` does with each of them."""
        future: asyncio.Future[list[Outcome]] = self._loop.create_future()
        self._conclude(_Conclusion(overs, reopen, future, are_many=True))
        return future

    def hurry(self) -> None:
        """Record every outcome at once from now on: hardly any more of them will come."""
        self._lingers = False
        self._awaited.set()

    async def close(self) -> None:
        """Write what is queued, close the file and end the thread. Cancelling this call does not stop the thread."""
        if not self._closing:
            self._closing = True
            self._steps.put(None)
            self._awaited.set()
        await asyncio.shield(self._ended)
        self._thread.join()

    def _conclude(self, step: _Conclusion) -> None:
        self._require_open()
        self._pending_count += 1
        self._steps.put(step)

    def _require_open(self) -> None:
        if self._failure is not None:
            raise _again(self._failure)
        if self._closing:
            raise LedgerUnusable("the ledger is closed")

    def _work(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # noqa: BLE001 - callers must not wait for ever for a dead thread
            self._failure = _bug(error)
            with suppress(BaseException):
                self._refuse_the_rest()
        finally:
            self._tell(_end_waiting, self._ended)

    def _serve(self) -> None:
        while not self._is_last:
            if group := self._gather():
                self._commit(group)
                if not self._tell(self._resolve, group):
                    # The event loop is gone: `close` will never be called.
                    self._steps.put(None)
        self._end()

    def _refuse_the_rest(self) -> None:
        """Fail the current group and everything queued until the ledger is closed."""
        group = self._in_hand
        while True:
            self._commit(group)
            if not self._tell(self._resolve, group) or self._is_last:
                break
            group = self._gather()
        self._end()

    def _gather(self) -> list[_Step | _Conclusion]:
        step = self._steps.get()
        # An error from here on must find what was taken off the queue.
        group: list[_Step | _Conclusion] = []
        self._in_hand = group
        if isinstance(step, _Conclusion) and self._lingers:
            self._awaited.wait(LINGER_S)
        # Cleared before the queue is emptied: later steps set it again.
        self._awaited.clear()
        with suppress(queue.Empty):
            while step is not None:
                group.append(step)
                if len(group) == STEPS_PER_COMMIT_MAX:
                    # A caller may wait for a remaining step.
                    self._awaited.set()
                    break
                step = self._steps.get_nowait()
        self._is_last = step is None
        return group

    def _commit(self, group: list[_Step | _Conclusion]) -> None:
        if self._failure is None:
            try:
                self._write(group)
            except sqlite3.Error as error:
                self._failure = self._moved() or unusable(self._path, error)
            except LedgerUnusable as error:
                self._failure = error
            except BaseException as error:  # noqa: BLE001 - a bug in one step must not hang its waiters
                self._failure = _bug(error)
        if self._failure is not None:
            for step in group:
                step.error = _again(self._failure)

    def _moved(self) -> LedgerUnusable | None:
        """Return the failure, replaced by a clearer one where the ledger's files were moved or deleted."""
        try:
            self._files.require()
        except LedgerUnusable as error:
            return error
        return None

    def _write(self, group: list[_Step | _Conclusion]) -> None:
        connection = self._store.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            for together, steps in itertools.groupby(group, _is_one_of_many):
                if together:
                    self._write_usual([step for step in steps if isinstance(step, _Conclusion)])
                    continue
                for step in steps:
                    if isinstance(step, _Step):
                        step.result = step.act(self._store)
                    else:
                        step.take(self._store.conclude_all(step.overs, reopen=step.reopen))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._files.require()

    def _write_usual(self, steps: list[_Conclusion]) -> None:
        outcomes = iter(self._store.conclude_all([over for step in steps for over in step.overs]))
        for step in steps:
            step.take(list(itertools.islice(outcomes, len(step.overs))))

    def _end(self) -> None:
        connection = self._store.connection
        with suppress(sqlite3.Error):
            # Closing moves the log into the ledger only without readers; a copy of the one file must be enough.
            connection.execute("PRAGMA busy_timeout = 0")
            if journal_mode(connection) is Journal.WAL:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            else:
                # Leaves no empty journal behind.
                connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        with suppress(sqlite3.Error):
            connection.close()
        self._on_end()

    def _resolve(self, group: list[_Step | _Conclusion]) -> None:
        """Resolve the futures of a group. Runs on the event loop."""
        self._pending_count -= len(group)
        for step in group:
            # A caller that was cancelled does not wait any more.
            if step.future.done():
                continue
            if step.error is not None:
                step.future.set_exception(step.error)
                # A run that ends may no longer wait for it: asyncio would warn otherwise.
                step.future.exception()
            else:
                step.future.set_result(step.result)

    def _tell(self, act: Callable[[T], None], of: T) -> bool:
        """Call `act` on the event loop; return False when the loop is closed."""
        try:
            self._loop.call_soon_threadsafe(act, of)
        except RuntimeError:
            return False
        return True


def _bug(error: BaseException) -> LedgerBroken:
    failure = LedgerBroken(
        f"the ledger cannot record ({type(error).__name__}: {error})",
        hint="this is a bug in bulk-upload: please report it; nothing that was recorded is lost",
    )
    failure.__cause__ = error
    return failure


def _is_one_of_many(step: _Step | _Conclusion) -> bool:
    return isinstance(step, _Conclusion) and not step.reopen


def _end_waiting(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


def _again(failure: LedgerUnusable) -> LedgerUnusable:
    """Return a copy to raise: each raise adds its traceback to the exception it raises."""
    again = type(failure)(str(failure), hint=failure.hint)
    again.__cause__ = failure.__cause__
    return again
