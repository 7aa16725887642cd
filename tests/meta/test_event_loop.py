"""The loop that `--event-loop` names is the one that tests run on."""

from __future__ import annotations

import asyncio

import pytest


async def _loop_module() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


async def test_a_coroutine_runs_on_the_loop_asked_for(request: pytest.FixtureRequest) -> None:
    """As pytest-asyncio makes it."""
    assert await _loop_module() == request.config.getoption("event_loop")


def test_a_program_runs_on_the_loop_asked_for(request: pytest.FixtureRequest) -> None:
    """As `asyncio.run` makes it, which is what the command and servers in threads call."""
    assert asyncio.run(_loop_module()) == request.config.getoption("event_loop")
