"""Signals to the real command: first drain, then cancel; both leave a ledger that the next run goes on with.

Long version, a hundred random instants: pytest -n 0 -s -m soak tests/e2e/test_signals.py
"""

from __future__ import annotations

import random
import signal
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.stage import Process, Stage, holds_within, staged
from tests.e2e.trees import Tree, mixed_tree, plain_tree
from tests.e2e.witness import (
    assert_all_accepted,
    assert_honest,
    assert_no_unsuspected_files,
    assert_nothing_sent_blindly,
    results_of,
    states_in,
    uploads_of,
)

COUNT = 30
FOUR = ("--concurrency", "4", "--settle", "500ms")
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}


def started(stage: Stage, folder: Path) -> tuple[Tree, Process]:
    """Start a run with more files than the script has steps."""
    tree = plain_tree(folder / "tree", count=COUNT, size=1000)
    stage.use(tree)
    return tree, stage.start_run(*FOUR)


def waits_for_four(stage: Stage) -> bool:
    """Whether three entries have their receipt, and four uploads wait for their answer."""
    return len(uploads_of(stage)) == 7


def assert_left(stage: Stage, tree: Tree, states: dict[str, int]) -> None:
    """The run left these states, and nothing at the server that it does not know of."""
    rows = assert_honest(stage, tree, results_of(stage))
    assert states_in(rows) == states
    assert_no_unsuspected_files(stage, rows)


def assert_completes(stage: Stage, tree: Tree) -> None:
    """The same command sends what was not sent, and nothing else."""
    stage.run(*FOUR, expect=0)
    assert len(uploads_of(stage)) == COUNT
    assert_all_accepted(stage, tree)


@pytest.mark.parametrize("number", CODES)
def test_one_signal_drains(tmp_path: Path, number: signal.Signals) -> None:
    """After one signal what is in flight finishes and nothing starts; the next run completes."""
    with staged(tmp_path, "ok*3,delay:1*4") as stage:
        tree, process = started(stage, tmp_path)
        process.until(partial(waits_for_four, stage), "four uploads that wait for their answer")
        process.signal(number)
        ended = process.wait()
        assert ended.code == CODES[number], ended.stderr
        assert waits_for_four(stage)
        assert_left(stage, tree, {"accepted": 7, "pending": COUNT - 7})
        if number == signal.SIGINT:
            assert_completes(stage, tree)


def test_two_signals_cancel(tmp_path: Path) -> None:
    """After two SIGINTs what is in flight is given up and recorded in doubt; the next run finds it at the server."""
    with staged(tmp_path, "ok*3,delay:600*4") as stage:
        tree, process = started(stage, tmp_path)
        process.until(partial(waits_for_four, stage), "four uploads that wait for their answer")
        process.signal(signal.SIGINT)
        process.until(lambda: "SIGINT" in process.stderr, "the word that it drains")
        process.signal(signal.SIGINT)
        ended = process.wait()
        assert ended.code == 130, ended.stderr
        assert_left(stage, tree, {"accepted": 3, "in_doubt": 4, "pending": COUNT - 7})
        assert_completes(stage, tree)


@pytest.mark.parametrize("number", CODES)
def test_an_ignored_signal_stays_ignored(tmp_path: Path, number: signal.Signals) -> None:
    """A run whose starter had a signal ignored, as `nohup` does and a shell's `trap ''`, does not hear it."""
    with staged(tmp_path, "ok*3,delay:1*4") as stage:
        tree = plain_tree(tmp_path / "tree", count=COUNT, size=1000)
        stage.use(tree)
        ignoring = ("sh", "-c", f"trap '' {number.name.removeprefix('SIG')}; exec \"$@\"", "sh")
        process = stage.start_run(*FOUR, within=ignoring)
        process.until(partial(waits_for_four, stage), "four uploads that wait for their answer")
        process.signal(number)
        ended = process.wait()
        assert ended.code == 0, ended.stderr
        assert_all_accepted(stage, tree)


def test_the_third_signal_works_while_the_run_is_blocked(tmp_path: Path) -> None:
    """A run that hangs in a write to a full pipe, its event loop with it, ends at the third signal."""
    stuck = "import os, sys; r, w = os.pipe(); os.set_blocking(w, False)\n"
    stuck += "try:\n while True: os.write(w, bytes(4096))\nexcept BlockingIOError: os.set_blocking(w, True)\n"
    stuck += "os.set_inheritable(r, True); os.dup2(w, 2); os.execv(sys.argv[1], sys.argv[1:])"
    with staged(tmp_path, "") as stage:
        stage.use(plain_tree(tmp_path / "tree", count=3, size=1000))
        process = stage.start_run(within=(sys.executable, "-c", stuck))
        process.until(lambda: any(stage.folder.glob("*.ledger.db")), "a ledger")
        for number in CODES:
            process.signal(number)
        assert process.wait().code in (130, 143)


BLOCKED_LOOP = """
import sys, threading
from bulk_upload.cli import main
from bulk_upload.edge import signals
from bulk_upload.engine.settling import Settler
signals.HANGS_S = 1.0
Settler.settled = lambda *_, **__: threading.Event().wait()
sys.argv = sys.argv[1:]
main()
"""


def test_one_signal_ends_a_run_that_is_blocked(tmp_path: Path) -> None:
    """An event loop that takes no signal is not waited for: the process leaves, and the next run completes."""
    with staged(tmp_path, "") as stage:
        tree = plain_tree(tmp_path / "tree", count=COUNT, size=1000)
        stage.use(tree)
        process = stage.start_run(*FOUR, within=(sys.executable, "-c", BLOCKED_LOOP))
        process.until(lambda: uploads_of(stage), "an upload")
        process.signal(signal.SIGTERM)
        assert process.wait().code == 143
        assert_completes(stage, tree)


HUNG_LEDGER = """
import sys, threading
from bulk_upload.cli import main, run_job
from bulk_upload.edge.ledger import LedgerWriter
from bulk_upload.engine import run
run_job.HANGS_S = run.OVERDUE_S = 1.0
write, writes = LedgerWriter._write, []
def hangs(self, group):
    writes.append(group)
    if len(writes) > 3:
        threading.Event().wait()
    write(self, group)
LedgerWriter._write = hangs
sys.argv = sys.argv[1:]
main()
"""


def test_one_signal_ends_a_run_whose_ledger_hangs(tmp_path: Path) -> None:
    """A disk that never answers keeps nobody: the run says what it waits for and leaves, and the next one completes."""
    with staged(tmp_path, "") as stage:
        tree = plain_tree(tmp_path / "tree", count=COUNT, size=1000)
        stage.use(tree)
        process = stage.start_run(*FOUR, within=(sys.executable, "-c", HUNG_LEDGER))
        process.until(lambda: any(stage.folder.glob("*.ledger.db")), "a ledger")
        process.signal(signal.SIGTERM)
        ended = process.wait()
        assert ended.code == 143, ended.stderr
        assert "still waiting for the ledger" in ended.stderr
        assert "still waits for the ledger" in ended.stderr
        assert_completes(stage, tree)


HUNG_PLAN = """
import sys, threading
from bulk_upload.cli import main, run_job
from bulk_upload.engine.plan import Preparation
run_job.HANGS_S = 1.0
def hangs(self, lines):
    print("planning", file=sys.stderr, flush=True)
    threading.Event().wait()
Preparation.plan = hangs
sys.argv = sys.argv[1:]
main()
"""


def test_one_signal_ends_a_run_whose_plan_hangs(tmp_path: Path) -> None:
    """A manifest on a pipe or a disk that never answers keeps nobody: nothing was sent, and the next run completes."""
    with staged(tmp_path, "") as stage:
        stage.use(plain_tree(tmp_path / "tree", count=COUNT, size=1000))
        process = stage.start_run(*FOUR, within=(sys.executable, "-c", HUNG_PLAN))
        process.until(lambda: "planning" in process.stderr, "the plan")
        process.signal(signal.SIGTERM)
        ended = process.wait()
        assert ended.code == 143, ended.stderr
        assert "still waits for the plan; nothing was sent" in ended.stderr
        assert uploads_of(stage) == []
        stage.run(*FOUR, expect=0)


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
