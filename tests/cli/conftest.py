"""Fixtures of the command line's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_upload.sandbox import SandboxConfig, sandbox_in_thread
from tests.cli.stage import KEY, lay_out


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two files and good manifests of them."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a sandbox that takes the right key only and always answers well."""
    with sandbox_in_thread(SandboxConfig(keys=(KEY,))) as sandbox:
        yield sandbox.url


@pytest.fixture
def fresh_server() -> Iterator[str]:
    """The address of a sandbox that has no file yet, of an earlier test or another."""
    with sandbox_in_thread(SandboxConfig(keys=(KEY,))) as sandbox:
        yield sandbox.url
