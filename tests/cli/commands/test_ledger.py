"""`ledger export`, `ledger show` and `status` are about the manifest of the last run, and say what they leave out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.stage import run_here

LEFT_OUT = "1 entry of the ledger is not in this manifest (dropped)"


@pytest.fixture
def smaller(desk: Path, server: str) -> Path:
    """A desk with the ledger `l.db` of a job whose manifest lost a line since the first run."""
    assert run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0
    first, _ = (desk / "good.jsonl").read_text().splitlines()
    (desk / "smaller.jsonl").write_text(f"{first}\n")
    ended = run_here("run", "smaller.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server)
    assert (ended.status, LEFT_OUT in ended.stderr) == (0, True)
    assert "--only dropped" in ended.stderr
    return desk


def test_results_leave_out_what_the_manifest_no_longer_has(smaller: Path) -> None:
    """The table beside the ledger and an export have the manifest's rows; --all has the others, marked."""
    kept = json.loads((smaller / "smaller.jsonl").read_text())["path"]
    with (smaller / "l.results.csv").open(newline="") as table:
        assert [row["path"] for row in csv.DictReader(table)] == [kept]
    ended = run_here("ledger", "export", "l.db", "--format", "jsonl")
    assert [json.loads(line)["path"] for line in ended.stdout.splitlines()] == [kept]
    assert f"{LEFT_OUT}: see --all" in ended.stderr
    every = run_here("ledger", "export", "l.db", "--format", "jsonl", "--all")
    rows = [json.loads(line) for line in every.stdout.splitlines()]
    assert {row["status"] for row in rows if row["path"] != kept} == {"dropped"}
    assert all(row["file_id"] for row in rows)
    assert (len(rows), every.stderr) == (2, "")


def test_tables_and_counts_leave_it_out(smaller: Path) -> None:
    """What is shown and counted is the manifest; a line says how much there is besides."""
    shown = run_here("ledger", "show", "l.db")
    assert (shown.stdout.count(b"data/"), f"{LEFT_OUT}: see --all" in shown.stderr) == (1, True)
    assert run_here("ledger", "show", "l.db", "--all").stdout.count(b"data/") == 2
    status = run_here("status", "l.db").stdout.decode()
    assert "dropped       1, not in the manifest of the last run" in status
    assert "Every entry is accepted." in status


def test_a_plan_says_what_the_manifest_lost(smaller: Path, server: str) -> None:
    """Before anything is sent: a wrong purpose in every line would show here."""
    planned = run_here("plan", "smaller.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server)
    assert LEFT_OUT in planned.stdout.decode()


def test_undo_of_superseded_files_points_at_dropped_ones(smaller: Path, server: str) -> None:
    """Neither is the other; whoever looks for old files is told where they are."""
    ended = run_here("undo", "l.db", "--only", "superseded", "--dry-run", SEEKR_API_KEY="k")
    assert f"{LEFT_OUT}; --only dropped deletes their files" in ended.stderr
    assert "Would delete 0 files" in ended.stderr
    refused = run_here("undo", "l.db", "--only", "dropped", "--dry-run", SEEKR_API_KEY="k")
    assert "runs of this ledger had other manifests, too" in refused.stderr
    ended = run_here(
        "undo", "l.db", "--only", "dropped", "--manifest", "smaller.jsonl", "--dry-run", SEEKR_API_KEY="k"
    )
    assert "Would delete 1 file" in ended.stderr
    stray = run_here("undo", "l.db", "--manifest", "smaller.jsonl", "--dry-run", SEEKR_API_KEY="k")
    assert "add --only dropped" in stray.stderr
