"""Fixtures that tests of folders share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.folder.test_likeness import CHAT, EXAMPLES, lines


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `datasets` in the current one, with two files of sure purposes and one that may be anything."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "datasets"
    (root / "corpus").mkdir(parents=True)
    (root / "chat.jsonl").write_bytes(lines(CHAT))
    (root / "corpus" / "sea.jsonl").write_bytes(lines(EXAMPLES["pre-train"]))
    (root / "README.md").write_text("# Tides\n")
    return root
