"""`status` and `ledger show` for jobs in every state."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bulk_upload.core.model import EntryState
from bulk_upload.edge.ledger.file.lock import RunLock
from bulk_upload.exit_status import ExitStatus
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.cli.stage import KEY, run_here


def status_lines(ledger: str) -> list[str]:
    ended = run_here("status", ledger)
    assert (ended.status, ended.stderr) == (0, "")
    return ended.stdout.decode().splitlines()


@pytest.fixture
def job(desk: Path, server: str) -> Path:
    """The ledger of a finished job of two entries."""
    assert run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0
    return desk / "l.db"


def edit(ledger: Path, statement: str, *values: str | bytes) -> None:
    """Put a ledger into a state that a short run cannot bring about."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(statement, values)


def test_a_finished_job(job: Path, server: str, desk: Path) -> None:
    """Whose job it is, when it was last at work, how many entries are in each state, and that nothing is left."""
    lines = status_lines("l.db")
    assert lines[0] == f"endpoint      {server}"
    assert lines[1] == f"root          {desk.resolve()}"
    assert re.fullmatch(r"last active   20\d\d-\d\d-\d\dT[0-9:.]+Z \(\d+(\.\d)? s ago\)", lines[2])
    assert lines[4:] == [
        "accepted      2",
        "pending       0",
        "in_doubt      0",
        "rejected      0",
        "failed_local  0",
        "invalid       0",
        "withdrawn     0",
        "entries       2",
        "uploaded      50 B",
        "",
        "Every entry is accepted.",
    ]


def test_files_that_verify_found_gone(job: Path) -> None:
    """Their entries are accepted all the same; that they are gone is said, and what sends them again."""
    edit(
        job,
        "UPDATE receipts SET missing_utc = settled_utc WHERE receipt_id = (SELECT min(receipt_id) FROM receipts)",
    )
    assert status_lines("l.db")[-2:] == [
        "Every entry is accepted.",
        "1 accepted file is gone from the server, as `verify` found: --retry missing sends them again.",
    ]
    assert json.loads(run_here("status", "l.db", "--json").stdout)["missing_count"] == 1


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        (EntryState.PENDING, "the same command, run again, continues"),
        (EntryState.IN_DOUBT, "looks them up in the server's list"),
        (EntryState.REJECTED, "--retry rejected"),
        (EntryState.FAILED_LOCAL, "--retry failed"),
        (EntryState.INVALID, "--retry invalid"),
        (EntryState.WITHDRAWN, "--retry withdrawn"),
    ],
)
def test_an_entry_in_each_state(state: EntryState, advice: str, job: Path) -> None:
    """Every state is counted under the name the exports use, with its reason and what to do about it."""
    edit(
        job,
        "UPDATE entries SET state = ?, reason = 'because \x1b[31m' WHERE path = ?",
        state.value,
        b"data/b.jsonl",
    )
    lines = status_lines("l.db")
    assert f"{state:<14}1" in lines
    assert any(line.startswith(f"{state}: ") and advice in line for line in lines)
    if state is not EntryState.PENDING:
        assert lines[lines.index(f"{state}:") + 1] == "  data/b.jsonl: because \\x1b[31m"
    assert "Every entry is accepted." not in lines
    shown = run_here("ledger", "show", "l.db", "--status", state.value).text
    assert "data/b.jsonl" in shown
    assert "data/a.jsonl" not in shown


def test_many_entries_in_trouble(desk: Path) -> None:
    """A few examples are shown, the rest is counted."""
    for number in range(8):
        (desk / "data" / f"{number}.jsonl").write_text(f'{{"text": "{number}"}}\n')
    lines = [f'{{"path": "data/{number}.jsonl", "purpose": "pre-train"}}\n' for number in range(8)]
    (desk / "m.jsonl").write_text("".join(lines))
    with sandbox_in_thread(SandboxConfig(keys=(KEY,), faults=parse_faults("413*8"))) as sandbox:
        ended = run_here("run", "m.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=sandbox.url)
    assert ended.status == ExitStatus.SOME_FAILED
    told = status_lines("l.db")
    assert "rejected      8" in told
    assert sum("HTTP 413" in line for line in told) == 5
    assert "  ... and 3 more" in told


def test_a_job_whose_server_is_not_there(desk: Path) -> None:
    """Entries that were never sent are pending, and the advice is to go on."""
    run_here("run", "good.jsonl", "--ledger", "l.db", "--max-attempts", "1")
    told = status_lines("l.db")
    assert "pending       2" in told
    assert "pending: the same command, run again, continues with them." in told


def test_a_job_at_work(desk: Path) -> None:
    """While a run is active what is pending needs no other command; `watch` shows the progress."""
    run_here("run", "good.jsonl", "--ledger", "l.db", "--max-attempts", "1")
    lock = RunLock.acquire("l.db")
    try:
        told = status_lines("l.db")
    finally:
        lock.release()
    assert "pending       2" in told
    assert told[-1] == "A run is active: `bulk-upload watch l.db` shows its progress."
    assert not any(line.startswith("pending:") for line in told)


def test_the_table_is_whole_where_there_is_no_terminal(job: Path, desk: Path) -> None:
    """In a pipe every entry is one line with all columns, however wide, without trailing blanks or colours."""
    edit(job, "UPDATE entries SET path = ? WHERE path = ?", b"p" * 300, b"data/a.jsonl")
    lines = run_here("ledger", "show", "l.db", COLUMNS="80").stdout.decode().splitlines()
    assert lines[0].split() == ["path", "purpose", "status", "file", "id", "size"]
    assert len(lines) == 4
    assert re.fullmatch(r"p{300} pre-train accepted file-\S{36} +\d+ B", lines[2])
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("columns", [60, 70, 80, 100, 120, 200])
def test_the_table_fits_a_terminal(columns: int, job: Path) -> None:
    """A terminal of any usual width shows file ids in one piece and no line beyond its edge."""
    shown = run_here("ledger", "show", "l.db", COLUMNS=str(columns), FORCE_COLOR="1").stdout.decode()
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert len(re.findall(r"\bfile-[0-9a-f-]{36}\b", text)) == 2
    assert all(len(line) <= columns for line in text.splitlines())
    assert ("purpose" in text) == (columns >= 80)


def test_limit_and_empty_tables(job: Path) -> None:
    """`--limit` cuts the table and says how much is left; a table without rows is a sentence."""
    assert "... and 1 more" in run_here("ledger", "show", "l.db", "--limit", "1").stdout.decode()
    ended = run_here("ledger", "show", "l.db", "--status", "rejected")
    assert (ended.status, ended.stdout, ended.stderr) == (0, b"", "No entry is in this state.\n")
