"""Runs that end before the job is done: each says why, keeps every entry, and is followed by one that completes.

Long version: pytest -n 0 -s -m soak tests/e2e/test_e2e_stopping.py
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from e2e_stage import Process, Stage, staged
from e2e_trees import Tree, plain_tree
from e2e_witness import Row, assert_all_accepted, assert_honest, results_of, states_in, uploads_of

pytestmark = pytest.mark.xdist_group("stopping")
"""The module's runs are started together, once: one worker has them all."""

COUNT = 20
RIGHT_KEY, WRONG_KEY = "right-key", "wrong-key"
TWO = ("--concurrency", "2")
SCRIPTS = {
    "deadline": ("answer-delay=0.4", ("--deadline", "600ms", *TWO)),
    "errors": ("422*1000", ("--max-errors", "3", *TWO)),
    "patience": ("ok*3,429:7200*1000", ("--patience", "10m", *TWO)),
    "key": ("", TWO),
    "redirect": ("307:{elsewhere}/v1/flow/files*1000", TWO),
    "down": ("", ("--max-attempts", "2")),
}
"""For each run: what the server does, and the options."""


@dataclass(frozen=True, slots=True)
class AtWork:
    """A run that is going to end early."""

    stage: Stage
    tree: Tree
    process: Process

    def ended(self, code: int) -> tuple[str, dict[bytes, Row]]:
        """Wait for its end with that exit code; return what it said and the rows it left, which are honest."""
        ended = self.process.wait()
        assert ended.code == code, ended.stderr
        return ended.stderr, assert_honest(self.stage, self.tree, results_of(self.stage))

    def completes(self, *options: str) -> None:
        """In fair weather the next run completes the job."""
        self.stage.use_faults("")
        self.stage.run(*options, key=RIGHT_KEY, expect=0)
        assert_all_accepted(self.stage, self.tree)


@pytest.fixture(scope="module")
def nobody() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Another server, which nothing may be sent to."""
    with staged(tmp_path_factory.mktemp("elsewhere")) as stage:
        yield stage


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, nobody: str, elsewhere: Stage
) -> Iterator[dict[str, AtWork]]:
    """All runs, started together."""
    with ExitStack() as stages:
        started = {}
        for name, (faults, options) in SCRIPTS.items():
            folder = tmp_path_factory.mktemp(name)
            tree = plain_tree(folder / "tree", count=COUNT, size=100)
            script = faults.format(elsewhere=elsewhere.url)
            stage = stages.enter_context(staged(folder, script, keys=(RIGHT_KEY,)))
            stage.use(tree)
            key = WRONG_KEY if name == "key" else RIGHT_KEY
            url = f"http://{nobody}" if name == "down" else None
            started[name] = AtWork(stage, tree, stage.start_run(*options, key=key, url=url))
        yield started


def test_a_deadline_drains(runs: dict[str, AtWork]) -> None:
    """At the deadline nothing new starts and what is in flight finishes: exit 5."""
    run = runs["deadline"]
    told, rows = run.ended(5)
    assert "deadline" in told
    states = states_in(rows)
    assert set(states) == {"accepted", "pending"}
    assert states["accepted"] == len(uploads_of(run.stage))
    run.completes()


def test_too_many_errors_drain(runs: dict[str, AtWork]) -> None:
    """With --max-errors 3 the third rejected entry ends the run: exit 5, the others stay pending."""
    run = runs["errors"]
    told, rows = run.ended(5)
    assert "--max-errors" in told
    states = states_in(rows)
    assert set(states) == {"rejected", "pending"}
    # Two in flight and two answered ones that the ledger was just recording may come on top.
    assert 3 <= states["rejected"] <= 7
    assert len(uploads_of(run.stage)) == states["rejected"]
    run.completes("--retry", "rejected")


def test_a_wait_beyond_patience_ends_the_run(runs: dict[str, AtWork]) -> None:
    """A Retry-After longer than --patience: exit 5 at once, with the time from which to come back."""
    run = runs["patience"]
    told, rows = run.ended(5)
    named = re.search(r"after (20[0-9T:.-]+Z)", told)
    assert named is not None, told
    ahead = datetime.fromisoformat(named[1]) - datetime.now(UTC)
    assert timedelta(minutes=118) < ahead <= timedelta(minutes=120)
    assert states_in(rows) == {"accepted": 3, "pending": COUNT - 3}
    assert len(uploads_of(run.stage)) <= 3 + 2


def test_a_refused_key_keeps_every_entry(runs: dict[str, AtWork]) -> None:
    """A wrong key: exit 12 after one request a slot at most, every entry pending; the right key completes the job."""
    run = runs["key"]
    told, rows = run.ended(12)
    assert WRONG_KEY not in told + run.process.stdout
    assert states_in(rows) == {"pending": COUNT}
    assert len(uploads_of(run.stage)) <= 2
    assert all(row.attempts <= 1 for row in rows.values())
    run.completes()


def test_a_redirect_ends_the_run(runs: dict[str, AtWork], elsewhere: Stage) -> None:
    """A redirect is not followed: exit 5 that names the host it points to, every entry pending."""
    run = runs["redirect"]
    told, rows = run.ended(5)
    assert elsewhere.url.removeprefix("http://") in told
    assert states_in(rows) == {"pending": COUNT}
    assert len(uploads_of(run.stage)) <= 2
    assert uploads_of(elsewhere) == []


def test_a_server_that_is_down_ends_the_run(runs: dict[str, AtWork], nobody: str) -> None:
    """Nobody listens: exit 5 that names the address, every entry pending."""
    run = runs["down"]
    told, rows = run.ended(5)
    assert nobody in told
    assert states_in(rows) == {"pending": COUNT}


@pytest.mark.soak
def test_a_server_that_stays_down_ends_the_run_in_time(tmp_path: Path, nobody: str) -> None:
    """With the default number of attempts the run gives up within two minutes."""
    tree = plain_tree(tmp_path / "tree", count=COUNT, size=100)
    with staged(tmp_path) as stage:
        stage.use(tree)
        ended = stage.run(url=f"http://{nobody}", expect=5, timeout_s=120)
        print(f"\ngave up after {ended.seconds:.0f} s")


@pytest.mark.soak
def test_patience_ends_while_no_wait_is_named(tmp_path: Path) -> None:
    """Throttled without end and without Retry-After: exit 5 once --patience is used up."""
    tree = plain_tree(tmp_path / "tree", count=COUNT, size=100)
    with staged(tmp_path, "429*1000") as stage:
        stage.use(tree)
        ended = stage.run("--patience", "5s", expect=5)
        assert 5 < ended.seconds < 30
        assert states_in(assert_honest(stage, tree, results_of(stage))) == {"pending": COUNT}
