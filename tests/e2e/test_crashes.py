"""The real command is killed at random instants and started again.

Long version, more than three hundred kills: pytest -n 0 -s -m soak tests/e2e/test_crashes.py
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.crash_toll import Shown, Toll, shown_by
from tests.e2e.stage import RUN_OPTIONS, Process, Stage, holds_within, staged
from tests.e2e.trees import MIB, Tree, mixed_tree, plain_tree
from tests.e2e.witness import (
    assert_all_accepted,
    assert_honest,
    assert_no_unsuspected_files,
    assert_nothing_sent_blindly,
    sha256_on_disk,
    stored_of,
    told_status,
    uploads_of,
)

SETTLE = ("--settle", "1s")
"""Far longer than this sandbox needs to store what a dead client had handed to the system."""


def has_ended(process: Process) -> bool:
    return not process.running


def has_sent(stage: Stage, process: Process, count: int) -> bool:
    return has_ended(process) or len(uploads_of(stage)) >= count


def killed_again_and_again(
    stage: Stage,
    tree: Tree,
    toll: Toll,
    *,
    kills: int,
    chance: random.Random,
    early: float = 0.0,
    options: tuple[str, ...] = (),
) -> None:
    """Kill and restart the same command, until it ends before it is killed.

    A share `early` of the kills may come before it sends anything, even before it has a ledger. `options` are given to
    `run`.
    """
    shown: set[Shown] = set()
    receipts: set[str | None] = set()
    on_disk = Counter(sha256_on_disk(tree.full(path)) for path in tree.paths)
    for _ in range(kills):
        process = stage.start_run(*SETTLE, "--concurrency", "6", "--results", "-", *options)
        before = len(uploads_of(stage))
        if chance.random() < early:
            instant_s = chance.random()
        else:
            holds_within(30, partial(has_sent, stage, process, before + chance.randint(1, 8)))
            instant_s = chance.random() * 0.2
        if holds_within(instant_s, partial(has_ended, process)):
            assert process.wait().code in (0, 4, 5), process.stderr
            return
        process.kill()
        toll.kills += 1
        shown |= shown_by(process)
        assert not [one for one in uploads_of(stage)[before:] if one.sha256 in receipts]
        if not before and not uploads_of(stage):
            continue
        rows = assert_honest(stage, tree)
        assert_no_unsuspected_files(stage, rows)
        toll.check_shown(shown, rows.values())
        # Files with equal contents are left out: only their number can be told.
        receipts = {row.sha256 for row in rows.values() if row.sha256 and on_disk[row.sha256] == 1}


@pytest.mark.parametrize("seed", [20260618])
def test_kills_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    """Five kills at random instants: no receipt is lost, none is sent again, and the same command completes."""
    chance = random.Random(seed)
    tree = mixed_tree(tmp_path / "tree", count=90, seed=seed, sizes=(10, 3000), large=(300_000, MIB + 1))
    with staged(tmp_path, "answer-delay=0.15,list-lag=0.3") as stage:
        stage.use(tree)
        toll = Toll(seed=seed)
        killed_again_and_again(stage, tree, toll, kills=5, chance=chance)
        assert toll.kills == 5
        stage.run(*SETTLE, expect=0)
        assert_all_accepted(stage, tree)
        assert_nothing_sent_blindly(stage)


def test_what_was_in_flight_at_a_kill_is_in_doubt(tmp_path: Path) -> None:
    """After a kill, `status`, `ledger export` and `plan` call an entry whose request was open in doubt, not pending."""
    tree = plain_tree(tmp_path / "tree", count=3, size=100)
    with staged(tmp_path, "delay:600*3") as stage:
        stage.use(tree)
        process = stage.start_run()
        process.until(lambda: len(stored_of(stage)) == 3, "three uploads that wait for their answer")
        process.kill()
        plan = stage.call("plan", str(stage.manifest), *RUN_OPTIONS, "--list")
        assert told_status(stage)["in_doubt"] == 3
        assert_no_unsuspected_files(stage, assert_honest(stage, tree))
        assert plan.stdout.count('"step": "reconcile"') == 3


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_hundreds_of_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """Three hundred kills on many jobs, also at servers that lose answers: nothing lost, nothing doubled."""
    toll = Toll(seed=20260620)
    chance = random.Random(toll.seed)
    weathers = (
        "answer-delay=0.15,list-lag=0.3",
        "answer-delay=0.1,ambiguous",
        "answer-delay=0.15,list-lag=0.3,stored-503@10%,drop-stored@10%,delay:0.4@10%,budget=2",
        "answer-delay=0.1,liar,list-lag=0.5",
    )
    while toll.kills < 300:
        folder = tmp_path / str(toll.jobs)
        sizes = (0, 10, 3000, 50_000)
        tree = mixed_tree(folder / "tree", count=150, seed=toll.jobs, sizes=sizes, large=(300_000, MIB + 1))
        weather = weathers[toll.jobs % len(weathers)]
        with staged(folder, f"ok*16,{weather},seed={toll.jobs}") as stage:
            stage.use(tree)
            killed_again_and_again(stage, tree, toll, kills=16, chance=chance, early=0.2)
            stage.use_faults("")
            stage.run(*SETTLE, expect=0)
            toll.take(stage, tree)
            assert_all_accepted(stage, tree)
            assert_nothing_sent_blindly(stage)
        shutil.rmtree(folder)
    print(f"\n{toll}")
    assert toll.clean
