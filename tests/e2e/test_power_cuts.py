"""The real command loses its power at random instants and is started again on what the disk then holds.

Long version, more than a hundred cuts: pytest -n 0 -s -m soak tests/e2e/test_power_cuts.py
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.crash_toll import Shown, Toll, shown_by
from tests.e2e.disk import ledger_files, notes_in, put_ledger_files, watched
from tests.e2e.power import PowerCut
from tests.e2e.stage import Process, Stage, holds_within, staged
from tests.e2e.trees import MIB, Tree, mixed_tree
from tests.e2e.witness import (
    Row,
    assert_all_accepted,
    assert_honest,
    assert_no_unsuspected_files,
    assert_nothing_sent_blindly,
    rows_of,
    uploads_of,
)

SETTLE = ("--settle", "1s")
SYNC_MS = 40
"""As slow as a busy disk that turns: commits are few, and many cuts should find changes that are not durable yet."""


class Machine:
    """A machine whose power fails: the command on it, and what its disk holds of the ledger."""

    def __init__(self, stage: Stage, chance: random.Random) -> None:
        self._stage = stage
        self._chance = chance
        self._trace = stage.folder / "trace"
        self.ledger = stage.folder / "job.ledger.db"
        self._before: dict[int, bytes] = {}
        self.fates: Counter[str] = Counter()

    def start(self) -> Process:
        """Start the command, its disk watched."""
        self._before = ledger_files(self.ledger)
        options = (*SETTLE, "--ledger", str(self.ledger), "--concurrency", "6", "--results", "-")
        env = watched(self.ledger, self._trace, sync_ms=SYNC_MS)
        return self._stage.start_run(*options, extra_env=env)

    def lose_power(self, process: Process) -> bool:
        """End the command at this instant and leave of the ledger what a disk may hold now.

        Returns whether it had touched its ledger.
        """
        process.kill()
        cut = PowerCut(self._before, self._chance)
        cut.follow(notes_in(self._trace))
        put_ledger_files(self.ledger, cut.contents())
        self.fates.update(cut.counts)
        return self.watching

    @property
    def watching(self) -> bool:
        """Whether the command has touched its ledger."""
        return self._trace.exists() and self._trace.stat().st_size > 0

    def rows(self) -> list[Row]:
        """Return what the ledger says, from a copy: the next run must find it as the cut left it."""
        copy = self._stage.folder / "copy" / self.ledger.name
        shutil.rmtree(copy.parent, ignore_errors=True)
        copy.parent.mkdir()
        put_ledger_files(copy, ledger_files(self.ledger))
        return rows_of(self._stage, ledger=copy)


def cut_again_and_again(stage: Stage, tree: Tree, machine: Machine, toll: Toll, *, cuts: int) -> None:
    """Cut the power and restart the same command.

    A third of the cuts come as soon as the command touches its ledger, the others once it sends.
    """
    chance = random.Random(toll.seed + toll.jobs)
    shown: set[Shown] = set()
    for number in range(cuts):
        process = machine.start()
        wanted = len(uploads_of(stage)) + chance.randint(1, 8)
        begun = partial(_has_begun, stage, machine, process, 0 if number % 3 == 1 else wanted)
        assert holds_within(30, begun), process.stderr
        ended = holds_within(chance.random() * 0.2, lambda: not process.running)  # noqa: B023
        if ended:
            assert process.wait().code in (0, 4, 5), process.stderr
            return
        toll.kills += machine.lose_power(process)
        shown |= shown_by(process)
        if not uploads_of(stage) and not _is_registered(machine, tree):
            continue
        rows = machine.rows()
        toll.check_shown(shown, rows)
        assert_no_unsuspected_files(stage, assert_honest(stage, tree, rows))


def _has_begun(stage: Stage, machine: Machine, process: Process, upload_count: int) -> bool:
    return not process.running or (machine.watching and len(uploads_of(stage)) >= upload_count)


def _is_registered(machine: Machine, tree: Tree) -> bool:
    """Whether the ledger has every entry; before the first request it need not have any, nor be there."""
    if not ledger_files(machine.ledger).get(0):
        return False
    return len(machine.rows()) == len(tree.paths)


def complete(stage: Stage, tree: Tree, machine: Machine, toll: Toll) -> None:
    """In fair weather the same command completes the job, and then nothing is lost, doubled or mistaken."""
    stage.use_faults("")
    stage.run(*SETTLE, "--ledger", str(machine.ledger), expect=0)
    toll.take(stage, tree)
    assert_all_accepted(stage, tree)
    assert_nothing_sent_blindly(stage)


def test_power_cuts_lose_and_double_nothing(tmp_path: Path) -> None:
    """Five power cuts while answers are lost: the ledger opens, what was shown is in it, nothing is sent twice.

    Five more, up to twice, where none of them met a change that had not reached the disk: such moments are rare.
    """
    toll = Toll(seed=20260701)
    tree = mixed_tree(tmp_path / "tree", count=160, seed=1, sizes=(10, 3000), large=(300_000,))
    with staged(tmp_path, "answer-delay=0.15,ambiguous,list-lag=0.3") as stage:
        stage.use(tree)
        machine = Machine(stage, random.Random(toll.seed))
        for _ in range(3):
            cut_again_and_again(stage, tree, machine, toll, cuts=5)
            if machine.fates["dropped"]:
                break
        assert toll.kills >= 5
        complete(stage, tree, machine, toll)
    assert toll.clean
    assert machine.fates["dropped"] > 0


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_power_cuts_lose_and_double_nothing(tmp_path: Path) -> None:
    """At least a hundred cuts on many jobs, at servers that store and drop, delay, and answer 5xx after storing."""
    toll = Toll(seed=20260702)
    fates: Counter[str] = Counter()
    weathers = (
        "answer-delay=0.1,ambiguous",
        "answer-delay=0.15,list-lag=0.3,stored-503@10%,drop-stored@10%,delay:0.4@10%,budget=2",
        "answer-delay=0.1,liar,list-lag=0.5",
    )
    while toll.kills < 120:
        folder = tmp_path / str(toll.jobs)
        sizes = (0, 10, 3000, 50_000)
        tree = mixed_tree(folder / "tree", count=120, seed=toll.jobs, sizes=sizes, large=(300_000, MIB + 1))
        with staged(folder, f"{weathers[toll.jobs % len(weathers)]},seed={toll.jobs}") as stage:
            stage.use(tree)
            machine = Machine(stage, random.Random(toll.seed + toll.jobs))
            cut_again_and_again(stage, tree, machine, toll, cuts=12)
            complete(stage, tree, machine, toll)
            fates += machine.fates
        shutil.rmtree(folder)
    print(f"\n{toll}; unsynced changes {dict(fates)}")
    assert toll.clean
