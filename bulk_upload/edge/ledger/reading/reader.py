"""Reads a ledger for people and programs, in pages, also while a run writes it."""

from __future__ import annotations

import json
import os
import sqlite3
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

import msgspec

from bulk_upload.core.model import EntryState
from bulk_upload.core.report.data_warnings import FileWarnings, KeptFinding
from bulk_upload.core.report.export import ExportRow
from bulk_upload.core.report.history import AgentFacts, AttemptFacts, ClockStepFacts, LimitChange, RunFacts
from bulk_upload.edge.ledger.columns import content_hash_of, to_path
from bulk_upload.edge.ledger.file.identity import MAY_HAVE_SENT
from bulk_upload.edge.ledger.file.lock import run_is_at_work
from bulk_upload.edge.ledger.file.opening import open_for_reading
from bulk_upload.edge.ledger.file.unusable import unusable
from bulk_upload.edge.ledger.owned_ids import LIVE
from bulk_upload.edge.ledger.reading import orphans
from bulk_upload.edge.ledger.reading.agents import AGENT, AGENTS, HAD_AGENTS, ITSELF, NO_AGENT
from bulk_upload.edge.ledger.reading.in_doubt import open_doubts
from bulk_upload.edge.ledger.reading.receipts import FILES_RM

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from bulk_upload.core.run.resolve import OpenDoubt

DROPPED = "dropped"
"""The status of an accepted entry that the manifest no longer has."""

_IN_MANIFEST = "e.dropped_utc IS NULL"
_PATH, _SIZE = ExportRow._fields.index("path"), ExportRow._fields.index("bytes")
_ROWS = f"""
SELECT e.path, e.purpose,
       CASE WHEN {_IN_MANIFEST} OR {orphans.STATE} <> 'accepted' THEN {orphans.STATE} ELSE '{DROPPED}' END, r.file_id, coalesce(r.bytes, {orphans.SIZE}), r.sha256, r.sent_name,
       {orphans.ATTEMPT_COUNT}, {orphans.HTTP_STATUS}, {orphans.REASON_TEXT}, e.first_seen_utc, {orphans.SETTLED_UTC}, {{agent}}, r.blake3
FROM entries e {{attempts}} LEFT JOIN receipts r ON r.receipt_id = e.receipt_id AND {orphans.STATE} = 'accepted'
"""
_OTHER_RECEIPTS = f"""
SELECT e.path, r.purpose, CASE WHEN r.withdrawn_utc IS NULL THEN 'superseded' ELSE 'withdrawn' END, r.file_id,
       r.bytes, r.sha256, r.sent_name, 0, NULL, coalesce(r.withdrawn_reason, (SELECT 'deleted from the server by ' || CASE d.reason WHEN '{FILES_RM}' THEN d.reason ELSE 'undo' END FROM deletions d WHERE d.receipt_id = r.receipt_id
       AND d.outcome IN ('deleted', 'gone'))), e.first_seen_utc, r.settled_utc, {{agent}}, r.blake3
FROM receipts r JOIN entries e ON e.entry_id = r.entry_id {{attempts}}
WHERE {orphans.STATE} <> 'accepted' OR r.receipt_id <> e.receipt_id
ORDER BY r.receipt_id
"""
_RUNS = """
SELECT r.run_id, r.version, r.started_utc, r.ended_utc, r.exit_status, a.began_utc, a.over_utc,
       r.receipt_count, r.checked_count
FROM runs r LEFT JOIN (
    SELECT run_id, min(coalesce(began_utc, intent_utc)) AS began_utc, max(coalesce(ended_utc, intent_utc)) AS over_utc
    FROM attempts GROUP BY run_id
) a ON a.run_id = r.run_id
ORDER BY r.run_id
"""
_LAST_RUN = """
SELECT run_id, version, started_utc, ended_utc, exit_status, NULL, NULL, receipt_count, checked_count
FROM runs ORDER BY manifest IS NULL AND exit_status IS NOT NULL, run_id DESC LIMIT 1
"""
# Other commands have no manifest: their end is not that of the upload.
_ATTEMPTS = """
SELECT run_id, attempt_no, size, intent_utc, ended_utc, outcome, http_status, reason, began_utc, nullif(agent, ''),
    bundle_id IS NULL OR bundle_id = attempt_id
FROM attempts ORDER BY attempt_id
"""
_UPLOAD_COUNTS = """
SELECT count(DISTINCT coalesce(bundle_id, attempt_id)), count(*) FROM attempts WHERE outcome <> 'not_sent'
"""
_DATA_WARNINGS = f"""
SELECT e.path, v.warning_count, v.findings FROM validations v JOIN entries e ON e.entry_id = v.entry_id
WHERE v.warning_count > 0 AND {_IN_MANIFEST} ORDER BY e.entry_id
"""
_LIMIT_CHANGES = "SELECT run_id, at_utc, in_flight_limit, reason FROM controller_events ORDER BY event_id"
_CLOCK_STEPS = "SELECT run_id, at_utc, step_s FROM clock_steps ORDER BY step_id"


class JobFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The identity of a ledger and when it was last used."""

    profile: str
    endpoint: str
    team: str | None
    root: str
    created_utc: str
    last_alive_utc: str


class LedgerReader:
    """A read-only snapshot of one ledger: a context manager, and an iterable of its rows.

    A run may write meanwhile and is not blocked. What a dead run left open is in doubt, as the next run will
    record it. Raises LedgerUnusable when there is no ledger, or when it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = os.fspath(path)
        self._path = path
        self._connection: sqlite3.Connection = open_for_reading(path)
        self._selected: WeakSet[Generator[tuple[Any, ...]]] = WeakSet()
        self.run_at_work: bool = run_is_at_work(path)
        self._attempts = orphans.open_attempts("main", run_at_work=self.run_at_work)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Rows that are not read to their end, as when a disk is full, must not outlive their connection.
        for one in list(self._selected):
            one.close()
        self._connection.close()

    def __iter__(self) -> Iterator[ExportRow]:
        return self.rows()

    def job(self) -> JobFacts | None:
        """Return the facts of the job, None for a ledger no run has claimed yet."""
        for row in self._select("SELECT profile, endpoint, team, root, created_utc, last_alive_utc FROM job"):
            return JobFacts(
                profile=row[0],
                endpoint=row[1],
                team=row[2],
                root=os.fsdecode(row[3]),
                created_utc=row[4],
                last_alive_utc=row[5],
            )
        return None

    def may_have_sent(self) -> bool:
        """Whether the endpoint has a file of this ledger, or may have one."""
        ((found,),) = self._select(MAY_HAVE_SENT)
        return bool(found)

    def receipt_hash_of(self, file_id: str) -> str | None:
        """Return the hash that the receipt of a file has, None where no receipt that is believed has one."""
        rows = self._select(
            f"SELECT max({content_hash_of('r')}) FROM receipts r WHERE file_id = ? AND withdrawn_utc IS NULL",
            (file_id,),
        )
        ((content_hash,),) = rows
        return None if content_hash is None else str(content_hash)

    def doubts(self) -> list[OpenDoubt]:
        """Return the entries in doubt with what a person needs to decide about them, oldest upload first."""
        try:
            return open_doubts(self._connection, run_at_work=self.run_at_work)
        except sqlite3.Error as error:
            raise unusable(self._path, error) from None

    def states(self, *, all_entries: bool = False) -> dict[EntryState, int]:
        """Return how many entries of the manifest are in each state, or how many of all entries."""
        rows = self._select(
            f"SELECT {orphans.STATE}, count(*) FROM entries e {self._attempts}"
            f" WHERE {_which(all_entries)} GROUP BY 1"
        )
        return {EntryState(state): count for state, count in rows}

    def dropped_count(self) -> int:
        """Return how many entries the manifest of the last run does not have."""
        ((count,),) = self._select("SELECT count(*) FROM entries WHERE dropped_utc IS NOT NULL")
        return int(count)

    def has_dropped_files(self) -> bool:
        """Whether the server has files, by their receipts, of entries that the manifest of the last run does not have."""
        found = self._select(
            "SELECT EXISTS (SELECT 1 FROM receipts r JOIN entries e ON e.entry_id = r.entry_id"
            f" WHERE e.dropped_utc IS NOT NULL AND {LIVE.format(ledger='main')})"
        )
        ((is_any,),) = found
        return bool(is_any)

    def is_of_folder(self) -> bool:
        """Whether the last run was of a folder, as far as it is there."""
        return any(os.path.isdir(one) for one in self.manifests()[:1])

    def manifests(self) -> list[str]:
        """Return the manifests of the runs, the last one first: absolute paths, `-` for a stream."""
        rows = self._select(
            "SELECT manifest FROM runs WHERE manifest IS NOT NULL GROUP BY manifest ORDER BY max(run_id) DESC"
        )
        return [to_path(row[0]) for row in rows]

    def accepted_bytes(self, *, all_entries: bool = False) -> int:
        """Return the bytes of the files of the manifest's accepted entries, or of all accepted ones."""
        ((total,),) = self._select(
            f"SELECT coalesce(sum(r.bytes), 0) FROM entries e {self._attempts}"
            f" JOIN receipts r ON r.receipt_id = e.receipt_id WHERE {orphans.STATE} = 'accepted'"
            f" AND {_which(all_entries)}"
        )
        return int(total)

    def missing_count(self) -> int:
        """Return how many accepted entries of the manifest have files that `verify` found gone from the server."""
        ((count,),) = self._select(
            f"SELECT count(*) FROM entries e {self._attempts} JOIN receipts r ON r.receipt_id = e.receipt_id"
            f" WHERE {orphans.STATE} = 'accepted' AND r.missing_utc IS NOT NULL AND {_which(all_entries=False)}"
        )
        return int(count)

    def rows(
        self,
        *,
        states: frozenset[EntryState] = frozenset(EntryState),
        all_entries: bool = False,
        all_receipts: bool = False,
    ) -> Iterator[ExportRow]:
        """Yield one row per entry of the manifest, in the order they became known.

        With `all_entries` there are rows of entries that the manifest no longer has, too. With `all_receipts` also, and
        a row for every other receipt follows: each id the server ever returned is then in exactly one row.
        """
        marks = ",".join("?" * len(states))
        columns = {"attempts": self._attempts, "agent": self._agent_column()}
        yield from map(
            _export_row,
            self._select(
                f"{_ROWS.format(**columns)} WHERE {orphans.STATE} IN ({marks})"
                f" AND {_which(all_entries or all_receipts)} ORDER BY e.entry_id",
                [one.value for one in states],
            ),
        )
        if all_receipts:
            yield from map(_export_row, self._select(_OTHER_RECEIPTS.format(**columns)))

    def runs(self) -> Iterator[RunFacts]:
        """Yield every run, oldest first."""
        return map(RunFacts._make, self._select(_RUNS))

    def last_run(self) -> RunFacts | None:
        """Return the upload that began last, without the times of its attempts; None before the first run.

        Other commands that wrote to the ledger meanwhile, such as `undo`, do not count.
        """
        for row in self._select(_LAST_RUN):
            return RunFacts(*row)
        return None

    def upload_counts(self) -> tuple[int, int]:
        """Return how many upload requests were made and recorded, and how many files they had."""
        ((request_count, file_count),) = self._select(_UPLOAD_COUNTS)
        return int(request_count), int(file_count)

    def attempts(self) -> Iterator[AttemptFacts]:
        """Yield every attempt, in the order of their intents."""
        return map(_attempt_facts, self._select(_ATTEMPTS))

    def agents(self, run_id: int) -> list[AgentFacts]:
        """Return what each agent of a run sent, by their names; none where the run sent by itself."""
        if self._agent_column() == NO_AGENT:
            return []
        return [AgentFacts(agent, *map(int, counts)) for agent, *counts in self._select(AGENTS, (run_id,))]

    def itself(self, run_id: int) -> AgentFacts:
        """Return what a run sent itself, under no name."""
        ((agent, *counts),) = self._select(ITSELF, (run_id,))
        return AgentFacts(agent, *map(int, counts))

    def data_warnings(self) -> Iterator[FileWarnings]:
        """Yield the files of the manifest with warnings about their content, as far as results were kept."""
        for path, count, findings in self._select(_DATA_WARNINGS):
            try:
                # Not msgspec's decoder: text that is not Unicode may be in what was found.
                kept = msgspec.convert(json.loads(findings), tuple[KeptFinding, ...])
            except ValueError:
                # Of another version, or changed by hand: the count is all that is known.
                kept = ()
            yield FileWarnings(to_path(path), count, kept)

    def limit_changes(self) -> Iterator[LimitChange]:
        """Yield every change of the in-flight limit, oldest first."""
        return map(LimitChange._make, self._select(_LIMIT_CHANGES))

    def clock_steps(self) -> Iterator[ClockStepFacts]:
        """Yield every time that the machine's clock was set during a run, oldest first."""
        return map(ClockStepFacts._make, self._select(_CLOCK_STEPS))

    def _agent_column(self) -> str:
        return AGENT if any(one for (one,) in self._select(HAD_AGENTS)) else NO_AGENT

    def _select(self, sql: str, values: Sequence[str | int] = ()) -> Iterator[tuple[Any, ...]]:
        selected = self._read(sql, values)
        self._selected.add(selected)
        return selected

    def _read(self, sql: str, values: Sequence[str | int]) -> Generator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise unusable(self._path, error) from None


def _which(all_entries: bool) -> str:
    return "TRUE" if all_entries else _IN_MANIFEST


def _attempt_facts(row: tuple[Any, ...]) -> AttemptFacts:
    run_id, attempt_no, size, *rest = row
    return AttemptFacts(run_id, attempt_no, int(size), *rest)


def _export_row(row: tuple[Any, ...]) -> ExportRow:
    cells = list(row)
    cells[_PATH] = os.fsdecode(row[_PATH])
    if not isinstance(row[_SIZE], int):
        # A size beyond an INTEGER cannot be shown in a column of numbers.
        cells[_SIZE] = None
    return ExportRow._make(cells)
