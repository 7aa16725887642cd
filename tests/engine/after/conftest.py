"""A server with copies of one file, and a host that deletes or verifies them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.edge.ledger.stage import stored

if TYPE_CHECKING:
    from collections.abc import Iterator

from tests.engine.after.hosts import Host, Server


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def host(tmp_path: Path, server: Server) -> Iterator[Host]:
    with stored(tmp_path / "a") as store:
        yield Host(tmp_path / "a", store, server)
