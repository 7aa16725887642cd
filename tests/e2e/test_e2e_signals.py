"""Signals to the real command: first drain, then cancel; both leave a ledger that the next run goes on with.

Long version, a hundred random instants: pytest -n 0 -s -m soak tests/e2e/test_e2e_signals.py
"""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e_stage import Process, Stage, holds_within, staged
from e2e_trees import Tree, mixed_tree, plain_tree
from e2e_witness import (
    assert_all_accepted,
    assert_honest,
    assert_no_unsuspected_files,
    assert_nothing_sent_blindly,
    results_of,
    states_in,
    uploads_of,
)

pytestmark = pytest.mark.xdist_group("signals")
"""The module's runs are started together, once: one worker has them all."""

COUNT = 30
FOUR = ("--concurrency", "4", "--settle", "500ms")
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}
CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class AtWork:
    """A run with three entries accepted and four uploads that wait for their answer."""

    stage: Stage
    tree: Tree
    process: Process

    def in_flight(self) -> bool:
        """Whether it has come so far."""
        return len(uploads_of(self.stage)) == 7


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, AtWork]]:
    """One run for each signal, and one to be cancelled, started together."""
    with ExitStack() as stages:
        started = {}
        for name in (*(number.name for number in CODES), CANCELLED):
            folder = tmp_path_factory.mktemp(name)
            tree = plain_tree(folder / "tree", count=COUNT, size=1000)
            delay_s = 600 if name == CANCELLED else 4
            stage = stages.enter_context(staged(folder, f"ok*3,delay:{delay_s}*4"))
            stage.use(tree)
            started[name] = AtWork(stage, tree, stage.start_run(*FOUR))
        yield started


def test_one_signal_drains(runs: dict[str, AtWork]) -> None:
    """After SIGINT, SIGTERM or SIGHUP what is in flight finishes and nothing starts; the next run completes."""
    for number in CODES:
        run = runs[number.name]
        run.process.until(run.in_flight, "four uploads that wait for their answer")
        run.process.signal(number)
    for number, code in CODES.items():
        run = runs[number.name]
        ended = run.process.wait()
        assert ended.code == code, ended.stderr
        assert run.in_flight()
        rows = assert_honest(run.stage, run.tree, results_of(run.stage))
        assert states_in(rows) == {"accepted": 7, "pending": COUNT - 7}
        assert_no_unsuspected_files(run.stage, rows)
    run = runs["SIGINT"]
    run.stage.run(*FOUR, expect=0)
    assert len(uploads_of(run.stage)) == COUNT
    assert_all_accepted(run.stage, run.tree)


def test_two_signals_cancel(runs: dict[str, AtWork]) -> None:
    """After two SIGINTs what is in flight is given up and recorded in doubt; the next run finds it at the server."""
    run, stage, process = runs[CANCELLED], runs[CANCELLED].stage, runs[CANCELLED].process
    process.until(run.in_flight, "four uploads that wait for their answer")
    process.signal(signal.SIGINT)
    process.until(lambda: "SIGINT" in process.stderr, "the word that it drains")
    process.signal(signal.SIGINT)
    ended = process.wait()
    assert ended.code == 130, ended.stderr
    rows = assert_honest(stage, run.tree, results_of(stage))
    assert states_in(rows) == {"accepted": 3, "in_doubt": 4, "pending": COUNT - 7}
    assert_no_unsuspected_files(stage, rows)
    stage.run(*FOUR, expect=0)
    assert len(uploads_of(stage)) == COUNT
    assert_all_accepted(stage, run.tree)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_signals_at_random_instants(tmp_path: Path) -> None:
    """One, two or three signals at any instant, also while it starts: a code of the table, and an honest ledger."""
    seed = 20260619
    chance = random.Random(seed)
    codes: Counter[int] = Counter()
    for job in range(10):
        folder = tmp_path / str(job)
        tree = mixed_tree(folder / "tree", count=90, seed=job, sizes=(10, 3000), large=(300_000,))
        with staged(folder, "answer-delay=0.15,ambiguous,budget=1") as stage:
            stage.use(tree)
            for _ in range(10):
                process = stage.start_run("--settle", "1s", "--concurrency", "4")
                number = chance.choice(list(CODES))
                holds_within(chance.random() * 2.5, lambda: not process.running)  # noqa: B023
                for _ in range(chance.randint(1, 3)):
                    if process.running:
                        process.signal(number)
                        holds_within(chance.random() * 0.2, lambda: not process.running)  # noqa: B023
                code = process.wait().code
                codes[code] += 1
                # Before the command is up, the system's own answer to the signal holds.
                assert code in (0, 4, 5, CODES[number], -number), process.stderr
                if any(stage.folder.glob("*.ledger.db")) and uploads_of(stage):
                    assert_honest(stage, tree)
            stage.use_faults("")
            stage.run("--settle", "1s", expect=0)
            assert_all_accepted(stage, tree)
            assert_nothing_sent_blindly(stage)
    print(f"\nseed {seed}: exit codes {dict(codes)}")
