"""What a run with agents leaves is what the same run leaves by itself, apart from times, ids and who sent."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.events import AgentJoined
from bulk_upload.core.fleet.settings import FleetSettings
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.job_run import Result
from bulk_upload.job_runner import JobRunner
from bulk_upload.sandbox import Sandbox, SandboxConfig
from tests.e2e.fleets import KEY, with_agents

CHAT = '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "Yes."}]}\n'
OTHERWISE = {"file_id", "agent", "first_seen_utc", "settled_utc"}
"""Columns of an export that differ between any two runs, or between these."""

LEDGER = {
    "entries": "purpose remote_name fields state size mtime_ns inode ctime_ns attempt_count http_status reason",
    "attempts": "attempt_no sent_name size mtime_ns inode ctime_ns outcome http_status answered reason sha256 resolution",
    "receipts": "sent_name purpose bytes sha256 mtime_ns inode ctime_ns obtained size_confirmed",
    "validations": "rules size line_count error_count warning_count reason findings",
}
"""The columns of tables about entries that are the same."""


def job_of_all_kinds(folder: Path) -> Path:
    """Write small and large files, with twins, an invalid, an unreadable and a strangely named one; return the manifest."""
    entries: list[dict[str, Any]] = []
    for number in range(40):
        (folder / f"{number}.jsonl").write_text(CHAT % number)
        entries.append({"path": f"{number}.jsonl", "purpose": "fine-tune"})
    for name, count in (("large-1.jsonl", 9_000), ("large-2.jsonl", 12_000)):
        (folder / name).write_text("".join(CHAT % number for number in range(count)))
        entries.append({"path": name, "purpose": "fine-tune", "remote_name": f"sent-{name}"})
    for part in ("train", "test"):
        (folder / part).mkdir()
        (folder / part / "data.jsonl").write_text(CHAT % part[0])
        entries.append({"path": f"{part}/data.jsonl", "purpose": "fine-tune"})
    (folder / "invalid.jsonl").write_text('{"messages": []}\n')
    (folder / "ü 雪.jsonl").write_text(CHAT % "snow")
    for name in ("invalid.jsonl", "ü 雪.jsonl", "missing.jsonl"):
        entries.append({"path": name, "purpose": "fine-tune"})
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(one) + "\n" for one in entries), "utf-8")
    return manifest


async def run(manifest: Path, ledger: Path, fleet: FleetSettings | None) -> tuple[Result, set[str]]:
    """Run a job against a server of its own; return the result, and the agents."""
    joined: set[str] = set()
    async with Sandbox(SandboxConfig()) as sandbox:
        connection = Connection(endpoint=sandbox.url, profile=FLOW)
        async with JobRunner(
            connection,
            api_key=KEY,
            settings=RunSettings(concurrency=4),
            fleet=fleet,
            on_event=lambda one: joined.add(one.agent) if isinstance(one, AgentJoined) else None,
        ) as runner:
            return await runner.run(Job(manifest, ledger=str(ledger), strict_paths=False)), joined


def exported(ledger: Path) -> list[dict[str, Any]]:
    """The rows of an export, without what differs."""
    with LedgerReader(ledger) as reader:
        rows = sorted(reader.rows(all_receipts=True), key=lambda row: row.path)
    return [{name: value for name, value in row._asdict().items() if name not in OTHERWISE} for row in rows]


@pytest.mark.parametrize("processes", [0, 1], ids=["agents alone", "beside the command"])
async def test_agents_leave_what_a_run_leaves_by_itself(tmp_path: Path, processes: int) -> None:
    """Every export row, and every row of the ledger that says what was sent and what was found."""
    manifest = job_of_all_kinds(tmp_path)
    alone, together = tmp_path / "alone.db", tmp_path / "together.db"
    of_one, none = await run(manifest, alone, None)
    of_all, agents = await run(manifest, together, with_agents(processes=processes))
    assert none == set()
    assert of_all.states == of_one.states
    assert of_all.status is of_one.status
    assert exported(together) == exported(alone)
    with closing(sqlite3.connect(alone)) as one, closing(sqlite3.connect(together)) as other:
        for table, columns in LEDGER.items():
            names = ", ".join(f"t.{name}" for name in columns.split())
            query = f"SELECT e.path, {names} FROM {table} t JOIN entries e USING (entry_id) ORDER BY 1, 2"
            assert other.execute(query).fetchall() == one.execute(query).fetchall()
        query = "SELECT exit_status, receipt_count, checked_count, manifest FROM runs"
        assert other.execute(query).fetchall() == one.execute(query).fetchall()
        sent_by = {
            agent for (agent,) in other.execute("SELECT agent FROM attempts WHERE outcome = 'accepted'")
        }
        assert sent_by <= (agents | {None} if processes else agents)
        assert one.execute("SELECT count(agent), max(agents_ttl_s) FROM attempts, runs").fetchone() == (
            0,
            0.0,
        )
