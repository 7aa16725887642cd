"""Runs that end before the job is done: each says why, keeps every entry, and is followed by one that completes.

Long version: pytest -n 0 -s -m soak tests/e2e/test_stopping.py
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, staged
from tests.e2e.trees import Tree, plain_tree
from tests.e2e.witness import (
    Row,
    assert_all_accepted,
    assert_honest,
    journal_of,
    results_of,
    states_in,
    uploads_of,
)

COUNT = 20
RIGHT_KEY, WRONG_KEY = "right-key", "wrong-key"
TWO = ("--concurrency", "2")


@contextmanager
def job(folder: Path, faults: str = "") -> Iterator[tuple[Stage, Tree]]:
    """Yield a stage for a job of small files, at a server that takes the right key only."""
    tree = plain_tree(folder / "tree", count=COUNT, size=100)
    with staged(folder, faults, keys=(RIGHT_KEY,)) as stage:
        stage.use(tree)
        yield stage, tree


def stopped(
    stage: Stage, tree: Tree, *options: str, code: int, key: str = RIGHT_KEY, url: str | None = None
) -> tuple[str, dict[bytes, Row]]:
    """Run until it ends with that exit code; return what it said and the rows it left, which are honest."""
    ended = stage.run(*options, expect=code, key=key, url=url)
    assert WRONG_KEY not in ended.stderr + ended.stdout
    return ended.stderr, assert_honest(stage, tree, results_of(stage))


def assert_completes(stage: Stage, tree: Tree, *options: str) -> None:
    """In fair weather the next run completes the job."""
    stage.use_faults("")
    stage.run(*options, key=RIGHT_KEY, expect=0)
    assert_all_accepted(stage, tree)


def nobody() -> str:
    """Return an address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


def test_a_deadline_drains(tmp_path: Path) -> None:
    """At the deadline nothing new starts and what is in flight finishes: exit 5."""
    with job(tmp_path, "answer-delay=0.4") as (stage, tree):
        told, rows = stopped(stage, tree, "--deadline", "600ms", *TWO, code=5)
        assert "deadline" in told
        states = states_in(rows)
        assert set(states) == {"accepted", "pending"}
        assert states["accepted"] == len(uploads_of(stage))
        assert_completes(stage, tree)


def test_too_many_errors_drain(tmp_path: Path) -> None:
    """With --max-errors 3 the third rejected entry ends the run: exit 5, the others stay pending."""
    with job(tmp_path, "422*1000") as (stage, tree):
        told, rows = stopped(stage, tree, "--max-errors", "3", *TWO, code=5)
        assert "--max-errors" in told
        states = states_in(rows)
        assert set(states) == {"rejected", "pending"}
        # Two in flight and two answered ones that the ledger was just recording may come on top.
        assert 3 <= states["rejected"] <= 7
        assert len(uploads_of(stage)) == states["rejected"]
        assert_completes(stage, tree, "--retry", "rejected")


def test_a_wait_beyond_patience_ends_the_run(tmp_path: Path) -> None:
    """A Retry-After longer than --patience: exit 5 at once, with the time from which to come back."""
    with job(tmp_path, "ok*3,429:7200*1000") as (stage, tree):
        told, rows = stopped(stage, tree, "--patience", "10m", *TWO, code=5)
        named = re.search(r"after (20[0-9T:.-]+Z)", told)
        assert named is not None, told
        ahead = datetime.fromisoformat(named[1]) - datetime.now(UTC)
        assert timedelta(minutes=118) < ahead <= timedelta(minutes=120)
        assert states_in(rows) == {"accepted": 3, "pending": COUNT - 3}
        assert len(uploads_of(stage)) <= 3 + 2


def test_a_refused_key_keeps_every_entry(tmp_path: Path) -> None:
    """A wrong key: exit 12 after one request a slot at most, every entry pending; the right key completes the job."""
    with job(tmp_path) as (stage, tree):
        _, rows = stopped(stage, tree, *TWO, code=12, key=WRONG_KEY)
        assert states_in(rows) == {"pending": COUNT}
        assert len(uploads_of(stage)) <= 2
        assert all(row.attempts <= 1 for row in rows.values())
        assert_completes(stage, tree)


def test_a_redirect_ends_the_run(tmp_path: Path) -> None:
    """A redirect is not followed: exit 5 that names the host it points to, every entry pending."""
    with staged(tmp_path / "elsewhere") as elsewhere:
        with job(tmp_path, f"307:{elsewhere.url}/v1/flow/files*1000") as (stage, tree):
            told, rows = stopped(stage, tree, *TWO, code=5)
            assert elsewhere.url.removeprefix("http://") in told
            assert states_in(rows) == {"pending": COUNT}
            assert len(uploads_of(stage)) <= 2
        assert journal_of(elsewhere) == []


def test_a_server_that_is_down_ends_the_run(tmp_path: Path) -> None:
    """Nobody listens: exit 5 that names the address, every entry pending."""
    address = nobody()
    with job(tmp_path) as (stage, tree):
        told, rows = stopped(stage, tree, "--max-attempts", "2", code=5, url=f"http://{address}")
        assert address in told
        assert states_in(rows) == {"pending": COUNT}


@pytest.mark.soak
def test_a_server_that_stays_down_ends_the_run_in_time(tmp_path: Path) -> None:
    """With the default number of attempts the run gives up within two minutes."""
    with job(tmp_path) as (stage, _):
        ended = stage.run(url=f"http://{nobody()}", expect=5, timeout_s=120)
        print(f"\ngave up after {ended.seconds:.0f} s")


@pytest.mark.soak
def test_patience_ends_while_no_wait_is_named(tmp_path: Path) -> None:
    """Throttled without end and without Retry-After: exit 5 once --patience is used up."""
    with job(tmp_path, "429*1000") as (stage, tree):
        _, rows = stopped(stage, tree, "--patience", "5s", code=5)
        assert states_in(rows) == {"pending": COUNT}
