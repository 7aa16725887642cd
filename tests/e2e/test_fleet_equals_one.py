"""A run with agents leaves what a run of one process leaves: the same ledger and exports, apart from times, ids and agents."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.fleet.settings import FleetSettings
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.job_runner import JobRunner
from bulk_upload.sandbox import Sandbox, SandboxConfig, parse_faults
from tests.e2e.fleets import KEY, with_agents


def write_job(folder: Path) -> Path:
    """Write valid, invalid, large, empty and odd files, and one that is missing."""
    folder.mkdir()
    line = json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})
    names = {
        "good.jsonl": f"{line}\n".encode(),
        "large.jsonl": b"".join(f'{line[:-1]}, "n": {number}}}\n'.encode() for number in range(6000)),
        "bad.jsonl": b'{"text": 1}\n',
        "empty.jsonl": b"",
        "caf\udce9.jsonl": f'{line}\n{line[:-1]}, "x": 1}}\n'.encode(),
    }
    lines = []
    for name, content in names.items():
        path = folder / name
        path.write_bytes(content)
        lines.append(json.dumps({"path": name, "purpose": "fine-tune"}))
    for number in range(20):
        (folder / f"{number}.jsonl").write_bytes(f'{line[:-1]}, "n": {number}}}\n'.encode())
        lines.append(json.dumps({"path": f"{number}.jsonl", "purpose": "fine-tune"}))
    manifest = folder / "manifest.jsonl"
    manifest.write_text("\n".join([*lines, ""]), "ascii")
    return manifest


async def ledger_of(folder: Path, fleet: FleetSettings | None) -> dict[str, list[tuple[object, ...]]]:
    """Run the job; return its ledger without times, ids and agents."""
    manifest = write_job(folder)
    config = SandboxConfig(faults=parse_faults("ok"))
    async with Sandbox(config) as sandbox:
        connection = Connection(endpoint=sandbox.url, profile=FLOW)
        # One at a time: with several the order of the attempts is chance.
        settings = RunSettings(concurrency=1, settle_s=0.0, settle_answered_s=0.0)
        async with JobRunner(connection, api_key=KEY, settings=settings, fleet=fleet) as runner:
            result = await runner.run(Job(manifest))
    with sqlite3.connect(result.ledger) as ledger:
        tables = {
            table: [row[1] for row in ledger.execute(f"PRAGMA table_info({table})")]
            for table in ("entries", "attempts", "receipts", "validations")
        }
        found = {}
        for table, columns in tables.items():
            kept = [one for one in columns if not _differs(one)]
            found[table] = sorted(
                ledger.execute(f"SELECT {', '.join(kept)} FROM {table}").fetchall(), key=repr
            )
    ledger.close()
    return found


def _differs(column: str) -> bool:
    """Whether a column holds a time, an id of the server, a fingerprint of the disk or the agent."""
    return any(
        word in column
        for word in (
            "utc",
            "file_id",
            "candidate_id",
            "request_id",
            "agent",
            "clock",
            "_at",
            "mtime",
            "ctime",
            "inode",
        )
    )


@pytest.mark.parametrize("processes", [0, 1], ids=["agents alone", "beside the command"])
async def test_ledgers_are_equal(tmp_path: Path, processes: int) -> None:
    """Rows, states, reasons, hashes, findings: all of them."""
    alone = await ledger_of(tmp_path / "alone", None)
    by_agents = await ledger_of(tmp_path / "with", with_agents(processes=processes))
    assert alone["entries"]
    assert alone["attempts"]
    for table, rows in alone.items():
        assert by_agents[table] == rows, table
