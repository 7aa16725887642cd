"""Agents as processes: what becomes of one that ends by itself, or that cannot be started."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

import pytest

from bulk_upload.edge.fleet import AgentProcesses, EarlyProcesses, processes
from bulk_upload.edge.validation.surroundings import surroundings
from tests.waiting import until


def agents(
    ended: list[int],
    unstarted: list[OSError],
    *,
    again: int = 0,
    joined: bool = True,
    early: EarlyProcesses | None = None,
) -> AgentProcesses:
    """Return one process that is replaced so many times."""

    def on_ended(code: int) -> bool:
        ended.append(code)
        return len(ended) <= again

    return AgentProcesses(
        1,
        issue_ticket=lambda: "ticket-of-a-test",
        surroundings=surroundings(),
        has_joined=lambda _: joined,
        on_ended=on_ended,
        on_unstarted=unstarted.append,
        early=early,
    )


async def test_one_that_ends_by_itself_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as is wanted; its exit code is told each time."""
    monkeypatch.setattr(processes, "_START", "raise SystemExit(3)")
    ended: list[int] = []
    async with agents(ended, [], again=2).running("ws://127.0.0.1:1/agent"):
        await until(lambda: len(ended) == 3)
    assert ended == [3, 3, 3]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that were started; each reads until its input ends."""
    monkeypatch.setattr(processes, "_START", "import sys; sys.stdin.buffer.read()")
    found: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def noting(*words: Any, **options: Any) -> subprocess.Popen[bytes]:
        found.append(popen(*words, **options))
        return found[-1]

    monkeypatch.setattr(subprocess, "Popen", noting)
    return found


async def test_all_end_with_the_run(started: list[subprocess.Popen[bytes]]) -> None:
    """Their standard input is closed, and that tells nobody anything."""
    ended: list[int] = []
    async with agents(ended, []).running("ws://127.0.0.1:1/agent"):
        await until(lambda: started)
    assert [one.returncode for one in started] == [0]
    assert ended == []


async def test_one_that_never_joined_is_not_waited_for(started: list[subprocess.Popen[bytes]]) -> None:
    """It has nothing in flight: the run is over at once, however long it takes to start."""
    async with agents([], [], joined=False).running("ws://127.0.0.1:1/agent"):
        await until(lambda: started)
    assert [one.returncode for one in started] == [-signal.SIGKILL]


async def test_what_was_started_early_is_used(started: list[subprocess.Popen[bytes]]) -> None:
    """Before any other one; what nobody takes ends with it."""
    early = EarlyProcesses()
    early.start(2, surroundings())
    taken = early.take()
    assert taken is started[1]
    taken.kill()
    taken.communicate()
    async with agents([], [], early=early).running("ws://127.0.0.1:1/agent"):
        await until(lambda: not early._waiting)
    assert [one.returncode for one in started] == [0, -signal.SIGKILL]
    early.start(2, surroundings())
    early.end(but=1)
    assert [one.poll() is None for one in started[2:]] == [True, False]
    early.end()
    assert [one.returncode for one in started[2:]] == [-signal.SIGKILL, -signal.SIGKILL]


async def test_one_that_the_system_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the run goes on without it."""

    def refusing(*_: Any, **__: Any) -> subprocess.Popen[bytes]:
        raise OSError(11, os.strerror(11))

    monkeypatch.setattr(subprocess, "Popen", refusing)
    unstarted: list[OSError] = []
    async with agents([], unstarted).running("ws://127.0.0.1:1/agent"):
        await until(lambda: unstarted)
    assert len(unstarted) == 1
