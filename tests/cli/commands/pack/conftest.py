"""Where the tests of packs run, and the server that their packs go to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_upload.sandbox import Sandbox, SandboxConfig, sandbox_in_thread
from tests.cli.stage import KEY


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a folder for data."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox that keeps what it is sent."""
    folder = str(tmp_path_factory.mktemp("store"))
    with sandbox_in_thread(SandboxConfig(keys=(KEY,), directory=folder)) as sandbox:
        yield sandbox
