"""What the tests of reading share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_upload.edge.files import FileReader
from bulk_upload.edge.source_tree import SourceTree


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    return SourceTree(str(tmp_path))


@pytest.fixture
def reader(tree: SourceTree) -> Iterator[FileReader]:
    reader = FileReader(tree, thread_count=2)
    yield reader
    reader.close()
