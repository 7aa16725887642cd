"""A run that records and says so, until it is killed. Started by test_crash as a process of its own.

A line is printed only after the ledger acknowledged what it says.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sys
import time
from functools import partial

from bulk_upload.core.machine.file_systems import Journal
from bulk_upload.core.model import Outcome, Rejected
from bulk_upload.core.run.records import AttemptEnd, state_after
from bulk_upload.edge.ledger import Ledger, LedgerStore, open_ledger
from bulk_upload.edge.ledger.file import opening
from tests.edge.ledger.stage import JOB, LOST, accepted, attempt_over, entry, intent

TASKS = 16


def say(*words: object) -> None:
    """Print one line past every buffer of ours, so that a kill cannot take it back."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode("ascii"))


async def work(ledger: Ledger, paths: itertools.count[int], chance: random.Random) -> None:
    """Take entries through all that can become of them, for ever."""
    run = ledger.writer.run
    for number in paths:
        path = f"{os.getpid()}-{number}"
        entry_id = await run(partial(registered, path=path))
        say("entry", path)
        intents = [intent(entry_id, utc_s=time.time())]
        (attempt_id,) = await run(partial(LedgerStore.intend, intents=intents))
        say("intent", path, attempt_id)
        outcomes: list[Outcome] = [
            accepted(f"id-{attempt_id}"),
            LOST,
            Rejected(http_status=400, reason="bad"),
        ]
        over = attempt_over(attempt_id, entry_id, chance.choice(outcomes), utc_s=time.time())
        outcome = await recorded(ledger, over)
        say("over", path, attempt_id, state_after(outcome).value)


async def recorded(ledger: Ledger, over: AttemptEnd) -> Outcome:
    """Record an outcome as a run does, together with those of other tasks."""
    return await ledger.writer.conclude(over)


def registered(store: LedgerStore, path: str) -> int:
    """Register an entry and return its id."""
    new = entry(path)
    store.register([new], utc_s=time.time())
    found = store.connection.execute("SELECT entry_id FROM entries WHERE key = ?", (new.key,)).fetchone()
    return int(found[0])


async def main(path: str, seed: int) -> None:
    """Open the ledger and work with many tasks at once."""
    say("started")
    ledger = open_ledger(path, JOB, version="1.0", moved_root=False, utc_s=time.time())
    paths = itertools.count()
    chance = random.Random(seed)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(TASKS):
            tasks.create_task(work(ledger, paths, chance))


if __name__ == "__main__":
    if len(sys.argv) > 3:
        setattr(opening, "journal_at", lambda _: Journal(sys.argv[3]))  # noqa: B010 - mypy
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
