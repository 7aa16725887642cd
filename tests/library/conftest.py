"""A server for calls of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload.sandbox import SandboxConfig, sandbox_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig()) as running:
        yield running


@pytest.fixture
def server(sandbox: Sandbox) -> dict[str, Any]:
    """The arguments that name the server."""
    return {"api_key": "key", "base_url": sandbox.url}
