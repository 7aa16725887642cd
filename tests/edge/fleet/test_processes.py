"""Agents as processes: what becomes of one that ends by itself, or that cannot be started."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from bulk_upload.edge.fleet import AgentProcesses, processes
from bulk_upload.edge.validation.surroundings import surroundings
from tests.waiting import until


def agents(ended: list[int], unstarted: list[OSError], *, again: int = 0) -> AgentProcesses:
    """Return one process that is replaced so many times."""

    def on_ended(code: int) -> bool:
        ended.append(code)
        return len(ended) <= again

    return AgentProcesses(
        1,
        issue_ticket=lambda: "ticket-of-a-test",
        surroundings=surroundings(),
        on_ended=on_ended,
        on_unstarted=unstarted.append,
    )


async def test_one_that_ends_by_itself_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as is wanted; its exit code is told each time."""
    monkeypatch.setattr(processes, "_START", "raise SystemExit(3)")
    ended: list[int] = []
    async with agents(ended, [], again=2).running("ws://127.0.0.1:1/agent"):
        await until(lambda: len(ended) == 3)
    assert ended == [3, 3, 3]


async def test_all_end_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their standard input is closed, and that tells nobody anything."""
    monkeypatch.setattr(processes, "_START", "import sys; sys.stdin.buffer.read()")
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def noting(*words: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*words, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", noting)
    ended: list[int] = []
    async with agents(ended, []).running("ws://127.0.0.1:1/agent"):
        await until(lambda: started)
    assert [one.returncode for one in started] == [0]
    assert ended == []


async def test_one_that_the_system_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the run goes on without it."""

    def refusing(*_: Any, **__: Any) -> subprocess.Popen[bytes]:
        raise OSError(11, os.strerror(11))

    monkeypatch.setattr(subprocess, "Popen", refusing)
    unstarted: list[OSError] = []
    async with agents([], unstarted).running("ws://127.0.0.1:1/agent"):
        await until(lambda: unstarted)
    assert len(unstarted) == 1
