"""`control` where there is nothing to control, and what it takes."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulk_upload.core.run.control import ControlAnswer, ControlRequest, ControlStatus
from bulk_upload.edge.control import listening
from bulk_upload.edge.ledger import JobIdentity, open_ledger
from bulk_upload.edge.ledger.file.lock import RunLock
from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import run_here

STATUS = ControlStatus(
    limit=8, reason="8 in flight, as set", in_flight=7, parked=1200, concurrency=None, concurrency_max=16,
    starts_per_s=5.0, server_starts_per_s=3.5, bandwidth="08:00,2MB/s 19:00,off", bytes_per_s=2e6, paused=False,
    server_pause_s=12.0, held_by="server_pause", held_s={"server_pause": 12.5, "rate": 61.0, "moon": 1.0},
    draining=False,
)  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    """A ledger that no run works on."""
    path = os.fspath(tmp_path / "m.ledger.db")
    job = JobIdentity(profile="flow", endpoint="https://flow.example", team=None, root="/data")

    async def make() -> None:
        await open_ledger(path, job, version="1", moved_root=False, utc_s=1_780_000_000.0).close()

    asyncio.run(make())
    return path


@contextmanager
def answering(ledger: str, answer: ControlAnswer) -> Iterator[list[ControlRequest]]:
    """Listen for a ledger in a thread; yield the requests that came."""
    heard: list[ControlRequest] = []
    ready, over = threading.Event(), threading.Event()

    async def act(request: ControlRequest, _: str) -> ControlAnswer:
        heard.append(request)
        return answer

    async def serve() -> None:
        async with listening(
            ledger, act, on_trouble=pytest.fail, on_error=lambda error: pytest.fail(repr(error))
        ):
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    try:
        assert ready.wait(20)
        yield heard
    finally:
        over.set()
        thread.join()


def test_no_run_at_work(ledger: str) -> None:
    """Exit code 7, with the ledger and what to do instead; nothing on standard output."""
    for arguments in ([], ["--pause"], ["--status", "--format", "json"]):
        ended = run_here("control", ledger, *arguments)
        assert ended.status == ExitStatus.NO_RUN
        assert ended.stdout == b""
        assert "no run is active on" in ended.stderr
        assert "hint:" in ended.stderr


def test_a_run_that_does_not_listen_yet(ledger: str) -> None:
    """While the lock is held the words are others: a run is there, and reads its manifest."""
    lock = RunLock.acquire(ledger)
    try:
        ended = run_here("control", ledger, "--pause")
    finally:
        lock.release()
    assert ended.status == ExitStatus.NO_RUN
    assert "a run is active on" in ended.stderr
    assert "try again in a moment" in ended.stderr


def test_no_ledger(tmp_path: Path) -> None:
    """A path without a ledger is another mistake than a ledger without a run."""
    ended = run_here("control", os.fspath(tmp_path / "typo.db"), "--pause")
    assert ended.status == ExitStatus.LEDGER_UNUSABLE
    assert "there is no ledger at" in ended.stderr


def test_only_what_is_given_is_asked_for(ledger: str) -> None:
    """Every option is its field; `auto` and `off` take a limit away; what is not given stays."""
    with answering(ledger, ControlAnswer(changes=("x",))) as heard:
        for arguments in (
            ["--concurrency", "8", "--max-concurrency", "12", "--rate", "30/min", "--bandwidth", "1MB/s"],
            ["--concurrency", "auto", "--max-concurrency", "off", "--rate", "off", "--bandwidth", "off"],
            ["--bandwidth", "08:00,2MB/s 19:00,off"],
            ["--pause"],
            ["--resume", "--rate", "5/s"],
            ["--status"],
        ):
            assert run_here("control", ledger, *arguments).status == 0
    assert heard == [
        ControlRequest(concurrency=8, concurrency_max=12, starts_per_s=0.5, bandwidth=((0, 1e6),)),
        ControlRequest(concurrency=None, concurrency_max=None, starts_per_s=None, bandwidth=None),
        ControlRequest(bandwidth=((480, 2e6), (1140, None))),
        ControlRequest(paused=True),
        ControlRequest(paused=False, starts_per_s=5.0),
        ControlRequest(),
    ]


def test_changes_are_the_answer(ledger: str) -> None:
    """One line each; the status only where it was asked for; nothing to change is said."""
    with answering(ledger, ControlAnswer(changes=("--rate: off -> 5/s", "paused"), status=STATUS)):
        assert run_here("control", ledger, "--pause").stdout == b"--rate: off -> 5/s\npaused\n"
        assert b"in flight" in run_here("control", ledger, "--pause", "--status").stdout
    with answering(ledger, ControlAnswer(status=STATUS)):
        ended = run_here("control", ledger, "--pause")
    assert ended.stdout == b""
    assert "were set already" in ended.stderr


def test_the_status_for_people(ledger: str) -> None:
    """Limit, in flight, rate, bandwidth, pause and the reason."""
    with answering(ledger, ControlAnswer(status=STATUS)):
        ended = run_here("control", ledger)
    assert ended.stdout.decode().splitlines() == [
        "in flight     7 of 8",
        "limit         8 in flight, as set",
        "concurrency   auto, at most 16",
        "rate          5/s; the server was found to accept 3.5/s",
        "bandwidth     2MB/s now, of 08:00,2MB/s 19:00,off",
        "pause         by the server, for 12 s",
        "parked        1,200 entries wait without a slot",
        "bottleneck    the server's pauses",
        "              1 min 01 s so far: --rate",
        "              12 s so far: the server's pauses",
        "              1.0 s so far: moon",
    ]


def test_the_status_for_programs(ledger: str) -> None:
    """One JSON object with all of it, and with the changes."""
    with answering(ledger, ControlAnswer(changes=("paused",), status=STATUS)):
        ended = run_here("control", ledger, "--pause", "--format", "json")
    data = json.loads(ended.stdout)
    assert data["changes"] == ["paused"]
    assert {name: data[name] for name in ("limit", "in_flight", "paused", "held_by", "server_pause_s")} == {
        "limit": 8,
        "in_flight": 7,
        "paused": False,
        "held_by": "server_pause",
        "server_pause_s": 12.0,
    }
    assert data["bandwidth"] == "08:00,2MB/s 19:00,off"


@pytest.mark.parametrize("code", [ExitStatus.USAGE, ExitStatus.LEDGER_UNUSABLE])
def test_a_refusal_is_told(ledger: str, code: ExitStatus) -> None:
    """With the run's own words, printable, and the exit code that goes with them."""
    with answering(ledger, ControlAnswer(error="too \x1b[31mmany", hint="ask for less", exit_code=code)):
        ended = run_here("control", ledger, "--concurrency", "300")
    assert ended.status == code
    assert "too \\x1b[31mmany" in ended.stderr
    assert "hint: ask for less" in ended.stderr
    assert ended.stdout == b""


def test_a_run_takes_the_same_limits(tmp_path: Path) -> None:
    """`run` parses them alike, and says what is wrong with them before anything else."""
    for option, value in (("--bandwidth", "20Mbit/s"), ("--rate", "5"), ("--max-concurrency", "0")):
        ended = run_here("run", os.fspath(tmp_path / "m.jsonl"), option, value)
        assert ended.status == ExitStatus.USAGE
        assert option in ended.stderr
