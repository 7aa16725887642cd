"""A whole job without faults, and what running it again does.

Long version: pytest -n 0 -s -m soak tests/e2e/test_sending.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.stage import RUN_OPTIONS, Stage, staged
from tests.e2e.trees import BORDER_SIZES, MIB, mixed_tree, written
from tests.e2e.witness import (
    assert_all_accepted,
    row_by_path,
    rows_of,
    sha256_on_disk,
    stored_of,
    uploads_of,
)

SMALL_SIZES = (0, 1, 2, 100, 1000, 4096, 20_000)


def assert_nothing_left_to_do(stage: Stage, entry_count: int) -> None:
    sent = len(uploads_of(stage))
    planning = stage.start("plan", str(stage.manifest), *RUN_OPTIONS, "--list")
    again = stage.run(expect=0)
    plan = planning.wait()
    assert len(uploads_of(stage)) == sent
    assert f"all {entry_count:,} entries were accepted before" in again.stderr
    assert plan.code == 0
    assert plan.stdout.count('"step": "settled"') == len(plan.stdout.splitlines()) == entry_count


def test_every_file_arrives_as_it_is_on_disk(tmp_path: Path) -> None:
    """500 files with odd names, twins and sizes around every border: each is at the server once, byte for byte."""
    tree = mixed_tree(tmp_path / "tree", count=500, seed=1, sizes=SMALL_SIZES, large=BORDER_SIZES)
    with staged(tmp_path, keep=True) as stage:
        stage.use(tree)
        stage.run(expect=0)
        assert_all_accepted(stage, tree)
        assert_nothing_left_to_do(stage, 500)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_large_files_arrive_as_they_are_on_disk(tmp_path: Path) -> None:
    """The same with files of up to 64 MiB."""
    large = (*BORDER_SIZES, 5 * MIB, 16 * MIB - 1, 24 * MIB + 1000, 64 * MIB, 64 * MIB, 64 * MIB + 1)
    sizes = (*SMALL_SIZES, 300_000, MIB, 3 * MIB)
    tree = mixed_tree(tmp_path / "tree", count=500, seed=2, sizes=sizes, large=large)
    with staged(tmp_path, keep=True) as stage:
        stage.use(tree)
        stage.run(expect=0, timeout_s=900)
        assert_all_accepted(stage, tree)
        assert_nothing_left_to_do(stage, 500)


def test_changed_files_are_sent_anew_and_touched_ones_are_not(tmp_path: Path) -> None:
    """Another size or other bytes: sent again, the older receipt superseded; touched or copied over: nothing sent."""
    same = {b"touched.txt": b"a" * 300_000, b"copied.txt": b"b" * 500, b"kept.txt": b"d"}
    tree = written(tmp_path / "tree", same | {b"grown.txt": b"e" * 500, b"edited.txt": b"c" * 500})
    with staged(tmp_path) as stage:
        stage.use(tree)
        stage.run(expect=0)
        before = row_by_path(stage)
        os.utime(tree.full(b"touched.txt"))
        os.rename(tree.full(b"copied.txt"), tree.full(b"away"))
        changed = {b"grown.txt": b"e" * 501, b"edited.txt": b"f" * 500}
        written(tree.folder, changed | {b"copied.txt": same[b"copied.txt"]})
        plan = stage.call("plan", str(stage.manifest), *RUN_OPTIONS, "--list")
        assert plan.stdout.count('"step": "compare"') == 3
        stage.run(expect=0)
        every = rows_of(stage, all_receipts=True)
        after = {row.path: row for row in every if row.status == "accepted"}
        renewed = {path for path in before if after[path].file_id != before[path].file_id}
        assert renewed == {b"tree/grown.txt", b"tree/edited.txt"}
        superseded = {row.path: row.file_id for row in every if row.status == "superseded"}
        assert superseded == {path: before[path].file_id for path in renewed}
        assert {row.file_id for row in every} == set(stored_of(stage))
        for path, row in after.items():
            assert row.sha256 == sha256_on_disk(os.path.join(os.fsencode(tmp_path), path))
        assert_nothing_left_to_do(stage, len(tree.paths))
