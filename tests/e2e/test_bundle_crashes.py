"""The real command with `--bundle` is killed at random instants, at a server with every fault of bundles, and started again.

Long version, two hundred runs: pytest -n 0 -s -m soak tests/e2e/test_bundle_crashes.py
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.e2e.crash_toll import Toll
from tests.e2e.stage import staged
from tests.e2e.test_crashes import SETTLE, killed_again_and_again
from tests.e2e.trees import mixed_tree
from tests.e2e.witness import (
    assert_all_accepted,
    assert_honest,
    assert_no_unsuspected_files,
    assert_nothing_sent_blindly,
    uploads_of,
)

ROWS = (
    "answer-delay=0.1",
    "answer-delay=0.1,drop-part@30%",
    "answer-delay=0.1,drop-stored@30%,list-lag=0.3",
    "answer-delay=0.1,drop-mid@30%",
    "answer-delay=0.1,429:1@30%",
    "answer-delay=0.1,500@15%,stored-500@15%",
    "answer-delay=0.1,422@15%,stored-422@15%",
    "answer-delay=0.1,reversed@50%",
    "answer-delay=0.1,left-out@30%",
    "answer-delay=0.1,wrong-bytes@15%,duplicate-id@15%",
    "answer-delay=0.1,html@10%,truncated@10%,garbage@10%",
    "answer-delay=0.1,body-max=2000000",
    "answer-delay=0.1,bulk=no",
)
"""Each row of what can happen to a bundle; a budget lets every job end."""

RENAMED = "answer-delay=0.1,renamed@30%"
"""A file under another name than was sent stays in doubt until a person decides. Never with a kill: once the answer is lost,
too, nothing tells whose file that is, of a server that is said to keep names; for single files no more than for these."""


def test_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """Three kills amid lost, partial and refused bundles: no receipt is lost, none is sent again, and all completes."""
    chance = random.Random(20260701)
    tree = mixed_tree(tmp_path / "tree", count=80, seed=7, sizes=(10, 3000), large=(300_000,))
    weather = "answer-delay=0.1,drop-part@10%,drop-stored@10%,left-out@10%,stored-422@10%,list-lag=0.3,budget=1,bulk-only=yes"
    bundle = ("--bundle", "8")
    with staged(tmp_path, f"ok*2,{weather}") as stage:
        stage.use(tree)
        toll = Toll(seed=7)
        killed_again_and_again(stage, tree, toll, kills=3, chance=chance, options=bundle)
        stage.use_faults("")
        stage.run(*SETTLE, *bundle, expect=0)
        assert_all_accepted(stage, tree)
        assert_nothing_sent_blindly(stage)
        assert any(one.bundled for one in uploads_of(stage))


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_two_hundred_runs_lose_and_double_nothing(tmp_path: Path) -> None:
    """Every fault of bundles times random kills, two hundred runs: 0 lost, 0 doubled, 0 wrong."""
    toll = Toll(seed=20260702)
    chance = random.Random(toll.seed)
    run_count = 0
    while run_count < 200:
        folder = tmp_path / str(toll.jobs)
        sizes = (0, 10, 3000, 50_000)
        tree = mixed_tree(folder / "tree", count=120, seed=toll.jobs, sizes=sizes, large=(300_000,))
        row = (*ROWS, RENAMED)[toll.jobs % (len(ROWS) + 1)]
        bundle = ("--bundle", chance.choice(["2", "8", "64"]))
        with staged(folder, f"{row},seed={toll.jobs},budget=2,bulk-only=yes") as stage:
            stage.use(tree)
            before = toll.kills
            kills = 0 if row is RENAMED else 5
            killed_again_and_again(stage, tree, toll, kills=kills, chance=chance, early=0.1, options=bundle)
            if row is not RENAMED:
                stage.use_faults("")
            ended = stage.run(*SETTLE, *bundle)
            run_count += toll.kills - before + 1
            if row is RENAMED:
                assert ended.code in (0, 4), ended.stderr
                assert_no_unsuspected_files(stage, assert_honest(stage, tree))
                toll.jobs += 1
            else:
                assert ended.code == 0, ended.stderr
                toll.take(stage, tree)
                assert_all_accepted(stage, tree)
            assert_nothing_sent_blindly(stage)
        shutil.rmtree(folder)
    print(f"\n{run_count} runs, {toll}")
    assert toll.clean
