"""A person changes a real run while it goes on, with the real command, over the real socket."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.e2e.stage import Process, Stage, holds_within, staged
from tests.e2e.trees import Tree, plain_tree
from tests.e2e.witness import assert_all_accepted, uploads_of

COUNT = 60


def started(stage: Stage, folder: Path, *options: str, size: int = 1000) -> tuple[Tree, Process]:
    """Start a run of many small files and wait until it is under way."""
    tree = plain_tree(folder / "tree", count=COUNT, size=size)
    stage.use(tree)
    process = stage.start_run("--concurrency", "2", *options)
    process.until(lambda: len(uploads_of(stage)) >= 3, "the first uploads")
    return tree, process


def control(stage: Stage, *options: str, expect: int = 0) -> str:
    """Run `control` on the job's ledger and return what it printed."""
    ended = stage.call("control", str(stage.ledger), *options)
    assert ended.code == expect, ended.stderr
    return ended.stdout


def status(stage: Stage) -> dict[str, Any]:
    """How the run says that it stands."""
    found: dict[str, Any] = json.loads(control(stage, "--status", "--format", "json"))
    return found


def decisions(stage: Stage) -> list[tuple[str, str]]:
    """What the ledger holds of changes by hand, with who made them."""
    with closing(sqlite3.connect(stage.ledger)) as connection:
        return connection.execute(
            "SELECT decision, decided_by FROM decisions WHERE entry_id IS NULL ORDER BY decision_id"
        ).fetchall()


def test_pause_and_resume(tmp_path: Path) -> None:
    """In the pause nothing starts and what was in flight ends; after it the job completes. All of it is on record."""
    with staged(tmp_path, "answer-delay=0.1") as stage:
        tree, process = started(stage, tmp_path)
        assert control(stage, "--pause") == "paused\n"
        assert holds_within(20, lambda: status(stage)["in_flight"] == 0)
        begun = len(uploads_of(stage))
        assert begun < COUNT
        assert holds_within(20, lambda: status(stage)["held_s"].get("person_pause", 0) > 1.5)
        assert len(uploads_of(stage)) == begun
        assert process.running
        changed = control(stage, "--resume", "--concurrency", "6", "--rate", "500/s")
        assert changed == "--concurrency: 2 -> 6\n--rate: off -> 500/s\nresumed\n"
        ended = process.wait()
        assert ended.code == 0, ended.stderr
        assert_all_accepted(stage, tree)
        assert [what for what, _ in decisions(stage)] == [
            "paused",
            "--concurrency 6",
            "--rate 500/s",
            "resumed",
        ]
        (by,) = {by for _, by in decisions(stage)}
        assert f"uid {os.geteuid()}" in by
        assert "control: paused, by " in ended.stderr
        assert "What limited the run: " in ended.stderr
        assert "your pause (" in ended.stderr
        control(stage, "--status", expect=7)


def test_a_killed_run_leaves_no_obstacle(tmp_path: Path) -> None:
    """Its socket stays; nobody answers there, and the next run takes its place."""
    with staged(tmp_path, "answer-delay=0.1") as stage:
        tree, process = started(stage, tmp_path)
        process.kill()
        assert list(tmp_path.glob("*.control"))
        control(stage, "--pause", expect=7)
        second = stage.start_run("--concurrency", "2", "--settle", "500ms")
        second.until(lambda: len(uploads_of(stage)) >= 8, "uploads of the second run")
        assert status(stage)["limit"] == 2
        control(stage, "--concurrency", "16")
        ended = second.wait()
        assert ended.code == 0, ended.stderr
        assert_all_accepted(stage, tree)
        assert not list(tmp_path.glob("*.control"))


def test_a_bandwidth_cap_holds_on_the_wire(tmp_path: Path) -> None:
    """1.2 MB at 600 kB/s take two seconds but for the first burst; the run says what it waited for."""
    with staged(tmp_path) as stage:
        tree = plain_tree(tmp_path / "tree", count=COUNT, size=20_000)
        stage.use(tree)
        ended = stage.run("--bandwidth", "600kB/s", expect=0)
        assert_all_accepted(stage, tree)
        assert ended.seconds >= 1.8
        assert "What limited the run: --bandwidth (" in ended.stderr


def test_a_ledger_with_a_long_path_can_be_controlled(tmp_path: Path) -> None:
    """Longer than any socket address."""
    ledger = tmp_path.joinpath(*["a folder with quite a name"] * 4) / f"{'m' * 150}.ledger.db"
    ledger.parent.mkdir(parents=True)
    with staged(tmp_path, "answer-delay=0.1") as stage:
        stage.use(plain_tree(tmp_path / "tree", count=COUNT, size=100))
        process = stage.start_run("--concurrency", "2", "--ledger", str(ledger))
        process.until(lambda: len(uploads_of(stage)) >= 3, "the first uploads")
        ended = stage.call("control", str(ledger), "--concurrency", "20")
        assert ended.stdout == "--concurrency: 2 -> 20\n", ended.stderr
        assert process.wait().code == 0
