"""A small job that meets one kind of fault: the real uploader, transport and ledger, and a witness of what came of it.

The witness shares no code with the product: it reads the server's journal, the files on disk, and the ledger with
sqlite3 alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from bulk_upload import Job, Result, RetryPolicy, RunSettings, Uploader, ValidateMode
from bulk_upload.edge.clock import SystemClock
from bulk_upload.edge.transport import TransportSettings
from tests.hazards.fault_dialects import FLOW_DIALECT, Dialect
from tests.hazards.fault_kinds import KINDS, Kind, kind_in
from tests.hazards.fault_server import VICTIM_BODY_BYTES_MIN, FaultServer, serving
from tests.hazards.fault_wire import Upload

KEY = "canary-7f3a-0c41"
VICTIM = "victim.jsonl"
BYSTANDER_COUNT = 2
LARGE_BYTES_MIN = 5_000_000
"""More than the buffers of both sides hold."""

HANG_S = 100.0
"""No run here may last so long, on a busy machine either; a slow one three times as long."""

WATCH_S = 0.02
LATE_S = 0.2
"""The shortest waits of these jobs are about so long: what came of one is no evidence where its loop was later."""

REPEATS_MAX = 3


@dataclass(frozen=True, kw_only=True)
class Row:
    """One entry of the ledger."""

    path: str
    state: str
    attempt_count: int
    file_id: str | None
    sha256: str | None


class Chance(SystemClock):
    """The real time, with one and the same number for chance."""

    def __init__(self, jitter: float) -> None:
        self._jitter = jitter

    def jitter(self) -> float:
        """Return the number."""
        return self._jitter


class Impatient(Uploader):
    """An uploader that waits for a connection and an answer as briefly as tests need."""

    def _transport_settings(self) -> TransportSettings:
        settings = super()._transport_settings()
        connection = msgspec.structs.replace(settings.connection, connect_s=2.0, answer_s=1.5)
        return replace(settings, connection=connection)


def settings_for(kind: Kind) -> RunSettings:
    """Return settings with short waits."""
    return RunSettings(
        validate=ValidateMode.OFF,
        concurrency=1 if kind.one_at_a_time or kind.victim_last else 3,
        retry_policy=RetryPolicy(
            attempts_max=4, backoff_s_initial=0.25, backoff_s_max=0.5, slow_s=(0.1, 0.2), local_limit_s=0.1
        ),
        patience_s=kind.patience_s,
        settle_s=0.7,
        settle_answered_s=0.2,
    )


class HazardJob:
    """One victim and a few bystanders, in a folder of their own."""

    def __init__(
        self, folder: Path, name: str, kind: Kind, file_bytes: int, dialect: Dialect = FLOW_DIALECT
    ) -> None:
        self.name = name
        self.file_bytes = file_bytes
        self.dialect = dialect
        self.kind = kind_in(dialect, name, kind)
        self.large = file_bytes >= LARGE_BYTES_MIN
        self.server = kind.server(name, dialect)
        self.folder = folder
        folder.mkdir()
        contents = {VICTIM: os.urandom(file_bytes)}
        for number in range(BYSTANDER_COUNT):
            contents[f"bystander-{number}.jsonl"] = b"%d bystander of %s" % (number, name.encode())
        self.sha256 = {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}
        for path, content in contents.items():
            (folder / path).write_bytes(content)
            self.server.contents[self.sha256[path]] = folder / path
        order = sorted(contents, key=lambda path: (path == VICTIM) == kind.victim_last)
        lines = [json.dumps({"path": path, "purpose": dialect.purpose}) for path in order]
        self.manifest = folder / "manifest.jsonl"
        self.manifest.write_text("\n".join(lines))
        self.ledger = folder / "ledger.db"

    def anew(self) -> HazardJob:
        """Return the same job, of which nothing was done yet."""
        folder = self.folder.with_name(f"{self.folder.name}-again")
        return HazardJob(folder, self.name, KINDS[self.name], self.file_bytes, self.dialect)

    async def run(self) -> Result:
        """Run the job once; a run that hangs is an error."""
        up = Impatient(
            api_key=KEY,
            base_url=self.server.url,
            profile=self.dialect.profile,
            settings=settings_for(self.kind),
            stall_s=1.5,
            clock=Chance(self.kind.jitter),
        )
        async with asyncio.timeout(3 * HANG_S if self.kind.slow else HANG_S), up:
            return await up.run(Job(manifest=str(self.manifest), ledger=str(self.ledger)))

    async def meet_fault_and_recover(self) -> None:
        """Run under faults, then without; raises AssertionError with the job's story."""
        began = time.monotonic()
        try:
            self.check_first(await self.run())
            self.server.quiet = True
            self.check_last(await self.run())
        except BaseException as error:
            error.add_note(
                f"{self.name}, {self.large=}, after {time.monotonic() - began:.1f} s:\n{self.story()}"
            )
            raise

    def check_first(self, result: Result) -> None:
        """Compare how the run under faults ended with what the kind says."""
        rows = self.rows()
        states = self.kind.states(large=self.large)
        assert rows[VICTIM].state in states, f"{rows[VICTIM].state} and not one of {states}"
        assert result.status in self.kind.exit_codes(large=self.large), result
        assert len(self.puts_of(VICTIM)) <= self.kind.puts_max
        stopped = result.status not in (0, 3, 4)
        for path in set(rows) - {VICTIM}:
            assert rows[path].state in (*self.kind.bystanders, *(("pending",) if stopped else ())), path
        self.check_always()

    def check_last(self, result: Result) -> None:
        """Compare how the job stands after faults ended with what the kind says."""
        rows = self.rows()
        state = rows[VICTIM].state
        assert state in self.kind.final, f"{state} and not one of {self.kind.final}"
        assert {row.state for path, row in rows.items() if path != VICTIM} <= {*self.kind.bystanders}
        clean = {"accepted": 0, "rejected": 3, "in_doubt": 4}[state]
        assert result.status == clean, result
        self.check_always()

    def check_always(self) -> None:
        """Compare the ledger with the server and the disk: no wrong id, no wrong byte, no copy, no blind repetition."""
        server, rows = self.server, self.rows()
        assert server.failures == []
        mine = {one.file_id: one for one in server.stored.values() if one.mine}
        for path, row in rows.items():
            puts = self.puts_of(path)
            assert len(puts) <= row.attempt_count, f"{path}: more requests than attempts"
            assert {put.sha256 for put in puts if put.complete} <= {self.sha256[path]}, f"{path}: wrong bytes"
            assert all(put.purpose == self.dialect.sent_purpose for put in puts if put.complete)
            if row.state == "accepted":
                assert row.file_id in mine, f"{path}: the server has no {row.file_id}"
                assert mine[str(row.file_id)].sha256 == self.sha256[path], f"{path}: another file's id"
                assert row.sha256 == self.sha256[path]
            elif row.state != "in_doubt":
                assert row.file_id is None, path
        copies = Counter(one.sha256 for one in mine.values())
        copies_max = self.kind.copies
        for path, sha256 in self.sha256.items():
            assert copies[sha256] <= (copies_max if path == VICTIM else 1), f"{path}: {copies[sha256]} copies"
        if self.kind.asks_first:
            self._check_list_was_asked()

    def _check_list_was_asked(self) -> None:
        puts = self.puts_of(VICTIM)
        lists = [call.after_uploads for call in self.server.calls if call.is_list]
        for earlier, later in zip(puts, [*puts[1:], None], strict=True):
            if earlier.struck and earlier.complete:
                first = self.server.uploads.index(earlier) + 1
                last = len(self.server.uploads) if later is None else self.server.uploads.index(later)
                assert any(first <= number <= last for number in lists), (
                    "sent again, or believed, without asking"
                )

    def puts_of(self, path: str) -> list[Upload]:
        """Return the upload requests of an entry; one that broke off before its name came counts by its length."""
        victim = path == VICTIM
        return [
            one
            for one in self.server.uploads
            if one.filename == path
            or (one.filename is None and victim == (one.content_length >= VICTIM_BODY_BYTES_MIN))
        ]

    def rows(self) -> dict[str, Row]:
        """Return the ledger's entries by path."""
        query = "SELECT path, state, attempt_count, file_id, sha256 FROM entries LEFT JOIN receipts USING (receipt_id)"
        with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as database:
            rows = [
                Row(
                    path=bytes(path).decode(),
                    state=state,
                    attempt_count=count,
                    file_id=file_id,
                    sha256=sha256,
                )
                for path, state, count, file_id, sha256 in database.execute(query)
            ]
        return {row.path: row for row in rows}

    def story(self) -> str:
        """Return what happened, for a person."""
        server: FaultServer = self.server
        lines = [
            f"PUT #{number} connection {one.connection} {one.filename} struck={one.struck} complete={one.complete} "
            f"{one.body_bytes}/{one.content_length} bytes, stored as {one.stored_id}"
            for number, one in enumerate(server.uploads, 1)
        ]
        lines += [
            f"{call.method} {call.target} after {call.after_uploads} uploads" for call in server.calls[:20]
        ]
        query = "SELECT path, state, attempt_count, http_status, reason FROM entries"
        with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as database:
            lines += [repr(row) for row in database.execute(query)]
        return "\n".join(lines)


async def meet_all(jobs: list[HazardJob], *, at_once: int) -> list[HazardJob]:
    """Let jobs meet their faults, so many at once; return them as they ended, and tell of every one that went wrong.

    Those that went wrong while the machine was too busy to keep time meet their faults again, fewer at once.
    """
    ended = [*jobs]
    errors, late_s = await _meet_once(jobs, at_once)
    for _ in range(REPEATS_MAX):
        if not errors or late_s < LATE_S:
            break
        at_once = max(1, at_once // 4)
        again = [job.anew() for job in errors]
        ended = [job for job in ended if job not in errors] + again
        with serving(*(job.server for job in again)) as elsewhere:
            errors, late_s = await _meet_once(again, at_once)
            assert elsewhere.connection_count == 0
    if errors:
        raise ExceptionGroup(f"{len(errors)} of {len(jobs)} kinds", list(errors.values()))
    return ended


async def _meet_once(jobs: list[HazardJob], at_once: int) -> tuple[dict[HazardJob, Exception], float]:
    """Return what went wrong, and by how much the event loop was late at worst."""
    turns = asyncio.Semaphore(at_once)
    errors: dict[HazardJob, Exception] = {}
    late_s = 0.0

    async def meet(job: HazardJob) -> None:
        async with turns:
            try:
                await job.meet_fault_and_recover()
            except Exception as error:
                errors[job] = error

    async def watch() -> None:
        nonlocal late_s
        while True:
            due = time.monotonic() + WATCH_S
            await asyncio.sleep(WATCH_S)
            late_s = max(late_s, time.monotonic() - due)

    watching = asyncio.create_task(watch())
    try:
        async with asyncio.TaskGroup() as tasks:
            for job in jobs:
                tasks.create_task(meet(job))
    finally:
        watching.cancel()
    return errors, late_s
