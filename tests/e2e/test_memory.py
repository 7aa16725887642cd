"""Memory stays flat in the size of files and in the number of entries.

Long versions, 4 GiB in one file and 20,000 files: pytest -n 0 -s -m soak tests/e2e/test_memory.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.stage import require_linux, staged
from tests.e2e.trees import MIB, Tree, plain_tree
from tests.e2e.witness import stored_of, uploads_of

PEAK_MIB_MAX = 120


def sparse_file(folder: Path, size: int) -> Tree:
    folder.mkdir()
    with open(folder / "sparse.txt", "wb") as file:
        file.truncate(size)
    return Tree(folder=folder, paths=(b"sparse.txt",))


def assert_flat(tmp_path: Path, tree: Tree, *, timeout_s: float) -> None:
    require_linux()
    with staged(tmp_path) as stage:
        stage.forks = False
        stage.use(tree)
        ended = stage.run(expect=0, timeout_s=timeout_s)
        sent = sum(one.file_bytes or 0 for one in uploads_of(stage))
        peak_mib = ended.peak_kib / 1024
        print(
            f"\n{len(tree.paths):,} files, {sent / MIB:,.0f} MiB: {ended.seconds:.1f} s, peak RSS {peak_mib:.0f} MiB"
        )
        assert len(stored_of(stage)) == len(tree.paths)
        assert 0 < peak_mib < PEAK_MIB_MAX


def test_a_large_file_needs_little_memory(tmp_path: Path) -> None:
    """One file of 256 MiB is sent within 120 MiB of memory."""
    assert_flat(tmp_path, sparse_file(tmp_path / "tree", 256 * MIB), timeout_s=60)


def test_many_files_need_little_memory(tmp_path: Path) -> None:
    """3,000 small files are sent within 120 MiB of memory."""
    assert_flat(tmp_path, plain_tree(tmp_path / "tree", count=3000, size=1000), timeout_s=60)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_huge_file_needs_little_memory(tmp_path: Path) -> None:
    """One file of 4 GiB is sent within 120 MiB of memory."""
    assert_flat(tmp_path, sparse_file(tmp_path / "tree", 4096 * MIB), timeout_s=1500)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("size", [1024, 4096])
def test_very_many_files_need_little_memory(tmp_path: Path, size: int) -> None:
    """20,000 small files are sent within 120 MiB of memory."""
    assert_flat(tmp_path, plain_tree(tmp_path / "tree", count=20_000, size=size), timeout_s=1500)
