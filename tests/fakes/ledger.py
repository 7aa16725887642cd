"""A real ledger on SQLite in memory, with a disk that can break and a process that can die at any step."""

from __future__ import annotations

import asyncio
import sqlite3
import weakref
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from msgspec.structs import replace

from bulk_upload.core.model import EntryState
from bulk_upload.edge.ledger import JobIdentity, LedgerStore
from bulk_upload.edge.ledger.file.identity import claim
from bulk_upload.edge.ledger.file.schema import CREATE
from bulk_upload.edge.ledger.file.unusable import unusable
from bulk_upload.errors import LedgerBroken, LedgerMismatch, LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from bulk_upload.core.model import Outcome
    from bulk_upload.core.run.records import AttemptEnd

T = TypeVar("T")

JOB = JobIdentity(profile="flow", endpoint="https://flow.example", team=None, root="/data")

_WATCH = """
CREATE TEMP TABLE moves (entry_id INTEGER, before TEXT, after TEXT, run_id INTEGER);
CREATE TEMP TRIGGER watch AFTER UPDATE OF state ON entries WHEN OLD.state <> NEW.state BEGIN
    INSERT INTO moves VALUES (NEW.entry_id, OLD.state, NEW.state, (SELECT max(run_id) FROM runs));
END;
"""


@cache
def _template() -> sqlite3.Connection:
    """Return a ledger without anything in it: to copy one costs far less than to make one."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.executescript(CREATE)
    return connection


@dataclass(frozen=True, slots=True)
class Move:
    """An entry went from one state to another in a run."""

    path: str
    before: EntryState
    after: EntryState
    run_id: int


class LedgerFile:
    """The durable part of a ledger: it outlives the runs that write it, and what they say after they died."""

    def __init__(self) -> None:
        # No run closes it, since it outlives them, and Python 3.13 complains of one that nobody closed.
        self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self.connection.close)
        _template().backup(self.connection)
        self.connection.executescript(_WATCH)
        self.job = JOB

    def begin_run(self, *, utc_s: float) -> LedgerStore:
        """Return a store for a new run, as opening a ledger does; what a dead run left open is in doubt then."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        store = LedgerStore(self.connection)
        self.connection.execute("BEGIN IMMEDIATE")
        claim(self.connection, self.job, moved_root=False, utc_s=utc_s)
        store.begin_run(version="test", utc_s=utc_s)
        self.connection.execute("COMMIT")
        return store

    def move_root(self, root: str) -> None:
        """Take the ledger to another root; without the person's word for it that is refused."""
        moved = replace(self.job, root=root)
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        if self.run_count():
            with pytest.raises(LedgerMismatch):
                claim(self.connection, moved, moved_root=False, utc_s=0.0)
            claim(self.connection, moved, moved_root=True, utc_s=0.0)
        self.job = moved

    def sha256s(self) -> dict[str, str]:
        """Return the hash in every receipt that has one, by file id."""
        rows = self.connection.execute(
            "SELECT file_id, sha256 FROM receipts WHERE sha256 IS NOT NULL AND withdrawn_utc IS NULL"
        )
        return dict(rows)

    def states(self) -> dict[str, EntryState]:
        """Return the state of every entry by its path."""
        rows = self.connection.execute("SELECT path, state FROM entries ORDER BY entry_id")
        return {path.decode(): EntryState(state) for path, state in rows}

    def in_question(self) -> set[str]:
        """Return the ids in receipts whose own attempt is in doubt again: their entries are, too."""
        rows = self.connection.execute(
            "SELECT r.file_id FROM receipts r JOIN attempts a USING (attempt_id) JOIN entries e USING (receipt_id)"
            " WHERE a.outcome = 'in_doubt' AND a.resolution IS NULL AND e.state = 'in_doubt'"
        )
        return {file_id for (file_id,) in rows}

    def receipts(self) -> dict[str, str]:
        """Return the path of every receipt that is believed by its file id, superseded ones too."""
        rows = self.connection.execute(
            "SELECT file_id, path FROM receipts JOIN entries USING (entry_id) WHERE withdrawn_utc IS NULL"
        )
        return {file_id: path.decode() for file_id, path in rows}

    def current_receipts(self) -> dict[str, str]:
        """Return the file id of every accepted entry by its path."""
        rows = self.connection.execute(
            "SELECT e.path, r.file_id FROM entries e JOIN receipts r USING (receipt_id) WHERE e.state = 'accepted'"
        )
        return {path.decode(): file_id for path, file_id in rows}

    def doubtful(self) -> set[str]:
        """Return the paths that have an attempt in doubt which nothing has resolved yet."""
        return self._paths("outcome = 'in_doubt' AND resolution IS NULL")

    def doubtful_twins(self) -> set[tuple[str, int, str]]:
        """Return sent name, size and purpose of every attempt in doubt which nothing has resolved yet."""
        rows = self.connection.execute(
            "SELECT sent_name, a.size, purpose FROM attempts a JOIN entries USING (entry_id)"
            " WHERE outcome = 'in_doubt' AND resolution IS NULL"
        )
        return set(rows)

    def open_intents(self) -> set[str]:
        """Return the paths that have an attempt whose end is not recorded."""
        return self._paths("outcome IS NULL")

    def open_intent_count(self) -> int:
        """Return how many attempts have an end that is not recorded."""
        return self._count("SELECT count(*) FROM attempts WHERE outcome IS NULL")

    def attempts(self, path: str) -> list[tuple[str | None, str | None]]:
        """Return outcome and resolution of the attempts of an entry, oldest first."""
        return self.connection.execute(
            "SELECT outcome, resolution FROM attempts JOIN entries USING (entry_id) WHERE path = ?"
            " ORDER BY attempt_id",
            (path.encode(),),
        ).fetchall()

    def reason(self, path: str) -> str | None:
        """Return why an entry is where it is."""
        (reason,) = self.connection.execute(
            "SELECT reason FROM entries WHERE path = ?", (path.encode(),)
        ).fetchone()
        return None if reason is None else str(reason)

    def moves(self) -> list[Move]:
        """Return every change of a state, oldest first."""
        rows = self.connection.execute(
            "SELECT path, before, after, run_id FROM moves JOIN entries USING (entry_id) ORDER BY moves.rowid"
        )
        return [Move(path.decode(), EntryState(old), EntryState(new), run) for path, old, new, run in rows]

    def taken_back(self) -> set[tuple[str, int]]:
        """Return the paths whose receipts a run withdrew or questioned, each with that run."""
        rows = self.connection.execute(
            "SELECT path, run_id FROM decisions JOIN entries USING (entry_id)"
            " WHERE decision LIKE 'withdrew %' OR decision LIKE 'questioned %'"
        )
        return {(path.decode(), run) for path, run in rows}

    def run_count(self) -> int:
        """Return how many runs there were."""
        return self._count("SELECT count(*) FROM runs")

    def complaints(self) -> list[str]:
        """Return what can never be in a ledger that no run is writing."""
        rules = {
            "an entry is in doubt without an attempt in doubt": (
                "SELECT path FROM entries WHERE state = 'in_doubt' AND entry_id NOT IN"
                " (SELECT entry_id FROM attempts WHERE outcome = 'in_doubt' AND resolution IS NULL)"
            ),
            "an attempt is in doubt, its entry is not": (
                "SELECT path FROM entries JOIN attempts USING (entry_id)"
                " WHERE outcome = 'in_doubt' AND resolution IS NULL AND state <> 'in_doubt'"
            ),
            "an accepted entry has no receipt that holds": (
                "SELECT path FROM entries LEFT JOIN receipts USING (receipt_id)"
                " WHERE state = 'accepted' AND (file_id IS NULL OR superseded_utc IS NOT NULL OR withdrawn_utc IS NOT NULL)"
            ),
        }
        return [
            f"{rule}: {path.decode()}"
            for rule, query in rules.items()
            for (path,) in self.connection.execute(query)
        ]

    def _paths(self, condition: str) -> set[str]:
        rows = self.connection.execute(
            f"SELECT path FROM attempts JOIN entries USING (entry_id) WHERE {condition}"
        )
        return {path.decode() for (path,) in rows}

    def _count(self, query: str) -> int:
        (count,) = self.connection.execute(query).fetchone()
        return int(count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """What happens at the ledger's n-th step of a run, counted from 1.

    Args:
        step_no: which step.
        kills: the process dies there; otherwise the disk breaks.
        durable: a process that dies does so after the step reached the disk, before anybody heard of it.
    """

    step_no: int
    kills: bool
    durable: bool = False


class MemoryLedger:
    """Runs steps as `edge.ledger.LedgerWriter` does: in order, grouped, each caller told once it is durable.

    Args:
        file: where the steps go.
        store: of this run.
        commit_s: how long a commit takes.
        mishap: what goes wrong, and when.
        on_death: called when a mishap kills the process.
    """

    def __init__(
        self,
        file: LedgerFile,
        store: LedgerStore,
        *,
        commit_s: float = 0.002,
        mishap: Mishap | None = None,
        on_death: Callable[[], None] | None = None,
    ) -> None:
        self._file = file
        self._store = store
        self.commit_s = commit_s
        self._mishap = mishap
        self._on_death = on_death
        self._failure: LedgerUnusable | None = None
        self._steps: list[tuple[Callable[[LedgerStore], Any], asyncio.Future[Any]]] = []
        self._committing = False
        self.step_count = 0
        self.dead = False

    @property
    def failure(self) -> LedgerUnusable | None:
        """Why the ledger can no longer record, None while it can."""
        return self._failure

    @property
    def pending_count(self) -> int:
        """How many steps are not durable yet."""
        return len(self._steps) + self._committing

    async def run(self, act: Callable[[LedgerStore], T]) -> T:
        """Run one step and return its result once it is durable. Raises LedgerUnusable.

        A caller that is cancelled meanwhile does not take its step back.
        """
        return await self._submit(act)

    def _submit(self, act: Callable[[LedgerStore], T]) -> asyncio.Future[T]:
        if self._failure is not None:
            raise LedgerUnusable(str(self._failure), hint=self._failure.hint)
        if self.dead:
            raise LedgerUnusable("the process that wrote it is dead")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._steps.append((act, future))
        if not self._committing:
            self._committing = True
            asyncio.get_running_loop().call_soon(self._begin)
        return future

    def conclude(self, over: AttemptEnd, *, reopen: Collection[int] = ()) -> asyncio.Future[Outcome]:
        """Record how an attempt ended; the future is resolved once that is durable. Raises LedgerUnusable."""
        return self._submit(lambda store: store.conclude(over, reopen=reopen))

    def conclude_together(
        self, overs: Sequence[AttemptEnd], *, reopen: Collection[int] = ()
    ) -> asyncio.Future[list[Outcome]]:
        """Record how the attempts of one request ended, in one step."""
        return self._submit(lambda store: [store.conclude(one, reopen=reopen) for one in overs])

    def hurry(self) -> None:
        """Do nothing: nothing waits here."""

    async def close(self) -> None:
        """Write what is queued."""
        while self._committing and not self.dead:
            await asyncio.sleep(self.commit_s)

    def die(self) -> None:
        """Stop writing at once and for ever; a step that is not durable never will be."""
        self.dead = True
        if self._file.connection.in_transaction:
            self._file.connection.execute("ROLLBACK")
        if self._on_death is not None:
            self._on_death()

    def _begin(self) -> None:
        group, self._steps = self._steps, []
        asyncio.get_running_loop().call_later(self.commit_s, self._commit, group)

    def _commit(self, group: list[tuple[Callable[[LedgerStore], Any], asyncio.Future[Any]]]) -> None:
        if self.dead:
            return
        results = self._write(group)
        if results is None:
            return
        for index, (_, future) in enumerate(group):
            if future.done():
                continue
            if self._failure is not None:
                future.set_exception(type(self._failure)(str(self._failure), hint=self._failure.hint))
                future.exception()
            else:
                future.set_result(results[index])
        if self._steps:
            self._begin()
        else:
            self._committing = False

    def _write(
        self, group: list[tuple[Callable[[LedgerStore], Any], asyncio.Future[Any]]]
    ) -> list[Any] | None:
        """Do the steps and return their results; None when the process died of it."""
        if self._failure is not None:
            return []
        connection = self._file.connection
        connection.execute("BEGIN IMMEDIATE")
        results = []
        dies_durably = False
        try:
            for act, _ in group:
                self.step_count += 1
                if self._mishap is not None and self._mishap.step_no == self.step_count:
                    if not self._mishap.kills:
                        raise sqlite3.OperationalError("disk I/O error")
                    if not self._mishap.durable:
                        self.die()
                        return None
                    dies_durably = True
                results.append(act(self._store))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._break(unusable("/data/manifest.ledger.db", error))
        except Exception as error:
            # A step that cannot be recorded is a bug of the engine or the store: tests look for these words.
            failure = LedgerBroken(f"the ledger cannot record ({type(error).__name__}: {error})")
            failure.__cause__ = error
            self._break(failure)
        if dies_durably:
            self.die()
            return None
        return results

    def _break(self, failure: LedgerUnusable) -> None:
        if self._file.connection.in_transaction:
            self._file.connection.execute("ROLLBACK")
        self._failure = failure
