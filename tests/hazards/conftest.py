"""Lets these tests use what those of the command line share."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "cli"))


@pytest.fixture
def quick_path() -> Iterator[Path]:
    """A folder in memory where there is one: for hundreds of jobs that no power cut ends."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)
