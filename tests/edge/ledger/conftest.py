from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.ledger.stage import (
    Store,
    stored,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with a run begun."""
    with stored(tmp_path / "a") as made:
        yield made
