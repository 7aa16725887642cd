"""The one thread that writes a ledger: many steps to a transaction, each caller waits for its own durability."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from bulk_upload.edge.ledger.opening import unusable
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.edge.ledger.store import LedgerStore

T = TypeVar("T")

STEPS_PER_COMMIT_MAX = 512


class _Step:
    """One caller's step, and the future that hears of it once it is durable."""

    __slots__ = ("act", "error", "future", "result")

    def __init__(self, act: Callable[[LedgerStore], Any], future: asyncio.Future[Any]) -> None:
        self.act = act
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None

    def answer(self) -> None:
        """Tell the caller. Runs on the event loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class LedgerWriter:
    """Runs steps on the ledger in the order they were submitted, grouped into durable commits.

    While one commit reaches the disk the next steps gather, so that the cost of a sync is shared by as many as
    wait for it. The first failure is final: nothing more is written, and every later step raises the same
    error, so that nothing is uploaded that cannot be recorded.
    """

    def __init__(self, store: LedgerStore, path: str) -> None:
        self._store = store
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._steps: queue.SimpleQueue[_Step | None] = queue.SimpleQueue()
        self._failure: LedgerUnusable | None = None
        self._thread = threading.Thread(target=self._work, name="bulk-upload-ledger", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> LedgerUnusable | None:
        """Why the ledger can no longer record, None while it can."""
        return self._failure

    async def run(self, act: Callable[[LedgerStore], T]) -> T:
        """Run one step and return its result once it is durable. Raises LedgerUnusable."""
        if self._failure is not None:
            raise self._failure
        future: asyncio.Future[T] = self._loop.create_future()
        self._steps.put(_Step(act, future))
        return await future

    async def close(self) -> None:
        """Write what is queued, end the thread and close the file."""
        self._steps.put(None)
        await asyncio.to_thread(self._thread.join)
        self._store.connection.close()

    def _work(self) -> None:
        last = False
        while not last:
            group, last = self._gather()
            if group:
                self._commit(group)
                self._loop.call_soon_threadsafe(_answer_all, group)

    def _gather(self) -> tuple[list[_Step], bool]:
        group: list[_Step] = []
        step = self._steps.get()
        while step is not None:
            group.append(step)
            if len(group) == STEPS_PER_COMMIT_MAX:
                return group, False
            try:
                step = self._steps.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit(self, group: list[_Step]) -> None:
        if self._failure is None:
            try:
                self._write(group)
            except sqlite3.Error as error:
                self._failure = unusable(self._path, error)
            except Exception as error:  # noqa: BLE001 - a bug in one step must not hang its waiters
                self._failure = LedgerUnusable(f"the ledger cannot record ({type(error).__name__}: {error})")
        if self._failure is not None:
            for step in group:
                step.error = self._failure

    def _write(self, group: list[_Step]) -> None:
        connection = self._store.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            for step in group:
                step.result = step.act(self._store)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _answer_all(group: list[_Step]) -> None:
    for step in group:
        step.answer()
