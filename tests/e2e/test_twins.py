"""Files that look alike to the server: no id reaches the wrong one, whatever answers are lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.stage import Stage, staged
from tests.e2e.trees import Tree, written
from tests.e2e.witness import (
    assert_all_accepted,
    assert_honest,
    assert_no_unsuspected_files,
    assert_nothing_sent_blindly,
    row_by_path,
    uploads_of,
)

TWINS = "drop-stored@20%,stored-500@10%,stored-503@5%,500@5%,no-id@5%,truncated@5%"
"""Without a budget: one is for a file name and purpose, and all of these have the same."""

CHAT = b'{"messages": [{"role": "user", "content": "shard %03d"}, {"role": "assistant", "content": "yes"}]}\n'


def twins(folder: Path, count: int) -> Tree:
    """Files of one base name and one size, with other bytes each."""
    return written(folder, {b"shard-%03d/data.jsonl" % n: CHAT % n for n in range(count)})


def sent_through(stage: Stage, tree: Tree, *options: str, timeout_s: float) -> None:
    """Run until all is accepted, and check every id's bytes on the way."""
    stage.use(tree)
    for _ in range(10):
        ended = stage.run(*options, timeout_s=timeout_s)
        assert ended.code in (0, 4, 5), ended.stderr
        rows = assert_honest(stage, tree)
        assert_no_unsuspected_files(stage, rows)
        assert_nothing_sent_blindly(stage)
        if ended.code == 0:
            break
    assert_all_accepted(stage, tree)


def test_twins_get_their_own_ids(tmp_path: Path) -> None:
    """Twelve files of one name and size, with every third answer lost: each id names its own file's bytes."""
    with staged(tmp_path, f"{TWINS},seed=5") as stage:
        sent_through(stage, twins(tmp_path / "tree", 12), "--settle", "200ms", timeout_s=60)


def test_names_made_by_a_template_are_no_twins(tmp_path: Path) -> None:
    """With the folder in the sent name the same files go side by side."""
    with staged(tmp_path) as stage:
        stage.use(twins(tmp_path / "tree", 12))
        template = ("--name-template", "{folder}-{name}")
        planned = stage.call("plan", str(stage.manifest), *template)
        assert "one at a time" not in planned.stdout
        assert "one at a time" in stage.call("plan", str(stage.manifest)).stdout
        stage.run(*template, expect=0)
        names = {str(row.sent_name) for row in row_by_path(stage).values()}
        assert names == {f"tree-shard-{n:03d}-data.jsonl" for n in range(12)}
        stage.run(*template, expect=0)
        assert len(uploads_of(stage)) == 12


def test_a_lagging_list_doubles_nothing(tmp_path: Path) -> None:
    """Where a stored file is listed only after a second, the settle time waits for it."""
    tree = written(tmp_path / "tree", {b"%02d.txt" % n: b"content %02d" % n for n in range(12)})
    with staged(tmp_path, "drop-stored@50%,stored-500@20%,list-lag=1,budget=1,seed=2") as stage:
        sent_through(stage, tree, "--settle", "3s", timeout_s=60)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [1, 2])
def test_eighty_twins_get_their_own_ids(tmp_path: Path, seed: int) -> None:
    """Eighty entries of one name and size under ambiguous faults: no wrong id, no extra copy."""
    with staged(tmp_path, f"{TWINS},seed={seed}") as stage:
        sent_through(stage, twins(tmp_path / "tree", 80), "--settle", "500ms", timeout_s=600)
        print(f"\nseed {seed}: 80 twins, {len(uploads_of(stage))} uploads, 0 wrong ids, 0 extra copies")


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_list_that_lags_three_seconds_doubles_nothing(tmp_path: Path) -> None:
    """Sixty files, half of their answers lost, and a list that shows them three seconds late."""
    tree = written(tmp_path / "tree", {b"%02d.txt" % n: b"content %02d" % n for n in range(60)})
    with staged(tmp_path, "drop-stored@50%,stored-500@20%,list-lag=3,budget=1,seed=2") as stage:
        sent_through(stage, tree, "--settle", "8s", timeout_s=600)
        print(f"\nlag 3 s: 60 entries, {len(uploads_of(stage))} uploads, 0 extra copies")
