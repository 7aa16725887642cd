"""One real run of many small files, in three kinds, told as one line of JSON. Started by `ledger.py`.

`real` is the product as it is. `unsynced` has the same ledger, but its commits do not wait for the disk. `absent`
records neither intents nor outcomes of uploads: each is answered at once, on the event loop, without SQLite. What
`real` takes more than `absent` is what the ledger costs a run; what it takes more than `unsynced` is what durability
costs. Both leave a ledger that lies, so they live in this benchmark alone.

Times are of the sending phase, from the plan's end to the run's end: a plan writes nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from unittest.mock import patch

from bulk_upload import ConfirmMode, Job, RunSettings, Uploader
from bulk_upload.core.events import EntrySettled, PlanMade
from bulk_upload.core.model import EntryState
from bulk_upload.edge.ledger import LedgerStore, LedgerWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from bulk_upload.core.events import Event
    from bulk_upload.core.model import Outcome
    from bulk_upload.core.run.records import AttemptEnd, Intent

T = TypeVar("T")


class _OtherStep(Exception):
    """A step that is neither an intent nor an outcome: the real ledger does it."""


class _Forgetful:
    """Answers what a LedgerStore answers to intents and outcomes, and records nothing."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def intend(self, intents: Sequence[Intent]) -> list[int]:
        return [next(self._numbers) for _ in intents]

    def conclude(self, over: AttemptEnd, *, reopen: Collection[int] = ()) -> Outcome:  # noqa: ARG002
        return over.outcome

    def __getattr__(self, name: str) -> NoReturn:
        raise _OtherStep(name)


class _Busy:
    """How long the ledger's thread was at work: on the clock, and on the processor."""

    wall_s = 0.0
    cpu_s = 0.0
    commit_count = 0
    step_count = 0


def _watch_commits() -> None:
    commit = LedgerWriter._commit  # noqa: SLF001

    def watched(self: LedgerWriter, group: list[Any]) -> None:
        began, began_cpu = time.perf_counter(), time.thread_time()
        commit(self, group)
        _Busy.wall_s += time.perf_counter() - began
        _Busy.cpu_s += time.thread_time() - began_cpu
        _Busy.commit_count += 1
        _Busy.step_count += len(group)

    patch.object(LedgerWriter, "_commit", watched).start()


def _forget_attempts() -> None:
    run = LedgerWriter.run
    forgetful: Any = _Forgetful()

    async def at_once(self: LedgerWriter, act: Callable[[LedgerStore], T]) -> T:
        try:
            return act(forgetful)
        except _OtherStep:
            return await run(self, act)

    def told_at_once(
        self: LedgerWriter,  # noqa: ARG001
        over: AttemptEnd,
        *,
        reopen: Collection[int] = (),
    ) -> asyncio.Future[Outcome]:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        future.set_result(forgetful.conclude(over, reopen=reopen))
        return future

    patch.multiple(LedgerWriter, run=at_once, conclude=told_at_once).start()


def _do_not_sync() -> None:
    make = LedgerWriter.__init__

    def made(self: LedgerWriter, store: LedgerStore, path: str, *, on_end: Callable[[], None]) -> None:
        store.connection.execute("PRAGMA synchronous = OFF")
        make(self, store, path, on_end=on_end)

    patch.object(LedgerWriter, "__init__", made).start()


async def _measured(manifest: str, base_url: str, concurrency: int) -> dict[str, float]:
    moments: dict[str, tuple[float, float]] = {}
    accepted_count = 0

    def hear(event: Event) -> None:
        nonlocal accepted_count
        if isinstance(event, PlanMade):
            moments["planned"] = time.perf_counter(), time.process_time()
        elif isinstance(event, EntrySettled) and event.state is EntryState.ACCEPTED:
            accepted_count += 1

    async with Uploader(
        api_key="sink",
        base_url=base_url,
        settings=RunSettings(concurrency=concurrency, confirm=ConfirmMode.OFF),
        on_event=hear,
    ) as uploader:
        await uploader.run(Job(manifest=manifest))
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    planned_s, planned_cpu_s = moments["planned"]
    return {
        "wall_s": wall_s - planned_s,
        "cpu_s": cpu_s - planned_cpu_s,
        "thread_wall_s": _Busy.wall_s,
        "thread_cpu_s": _Busy.cpu_s,
        "commit_count": _Busy.commit_count,
        "step_count": _Busy.step_count,
        "accepted_count": accepted_count,
    }


def main() -> None:
    """Run once: KIND MANIFEST BASE_URL CONCURRENCY."""
    kind, manifest, base_url, concurrency = sys.argv[1:]
    if kind == "absent":
        _forget_attempts()
    elif kind == "unsynced":
        _do_not_sync()
    _watch_commits()
    print(json.dumps(asyncio.run(_measured(manifest, base_url, int(concurrency)))))


if __name__ == "__main__":
    main()
