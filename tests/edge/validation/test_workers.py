"""Validation processes: what they find is what is found here; they end, are ended, and do not outlive anybody."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.validation.report import FileReport
from bulk_upload.edge.validation.protocol import Unreadable
from bulk_upload.edge.validation.reading import CheckTask, check_file
from bulk_upload.edge.validation.surroundings import surroundings
from bulk_upload.edge.validation.workers import FileMoved, WorkerLost, Workers
from tests.waiting import until, until_in_thread

CHAT, *_, PRETRAIN, _ALIGNMENT = PURPOSES.values()
KEY = "sk-canary-of-a-worker-4711"
LINE = b'{"text": "%d and so on"}\n'


def task(path: Path) -> CheckTask:
    """Return the check of a file."""
    return CheckTask(path=path.name, purpose=PRETRAIN, known=tuple(PURPOSES.values()))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A file that never ends by itself."""
    ends = os.pipe()
    yield ends
    for one in ends:
        os.close(one)


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    """Two processes, started when they are needed, for files of any size."""
    made = Workers(2, small_bytes_max=-1)
    yield made
    made.close()


def written(path: Path, data: bytes) -> Callable[[], int]:
    """Write a file; return what opens it."""
    path.write_bytes(data)
    return lambda: os.open(path, os.O_RDONLY)


def checked_here(path: Path) -> FileReport:
    """Check a file in this process."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return check_file(descriptor, task(path))
    finally:
        os.close(descriptor)


async def test_the_same_is_found_in_a_process_and_here(tmp_path: Path, workers: Workers) -> None:
    """A report travels whole, findings, counts and all; several files at once do not mix."""
    paths = [tmp_path / f"{number}.jsonl" for number in range(5)]
    async with asyncio.TaskGroup() as group:
        checks = [
            group.create_task(
                workers.check(written(path, LINE % number * 3 + b'{"text": %d}\n' % number), task(path))
            )
            for number, path in enumerate(paths)
        ]
    for path, check in zip(paths, checks, strict=True):
        looked = check.result()
        assert looked.report == checked_here(path)
        assert looked.status.st_ino == path.stat().st_ino
        assert [found.rule for found in looked.report.findings] == [
            "duplicate-line", "duplicate-line", "wrong-type",
        ]  # fmt: skip


async def test_small_files_need_no_process(tmp_path: Path) -> None:
    """A small file is checked here, Parquet excepted."""
    workers = Workers(1)
    looked = await workers.check(written(tmp_path / "a.jsonl", LINE % 1), task(tmp_path / "a.jsonl"))
    assert looked.report.is_valid
    assert workers._idle.empty()
    looked = await workers.check(written(tmp_path / "a.parquet", LINE % 1), task(tmp_path / "a.parquet"))
    assert not looked.report.is_valid
    assert not workers._idle.empty()
    workers.close()


async def test_without_a_process_files_are_checked_here(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no interpreter can be started, as in a program that embeds one, nothing is left unchecked."""
    monkeypatch.setattr(sys, "executable", "")
    looked = await workers.check(written(tmp_path / "a.jsonl", LINE % 1 + b"{"), task(tmp_path / "a.jsonl"))
    assert [one.rule for one in looked.report.findings] == ["bad-json"]


async def test_progress_is_told(tmp_path: Path, workers: Workers) -> None:
    """A long check says now and then how far it is."""
    data = LINE % 1 * 230_000
    heard: list[int] = []
    looked = await workers.check(
        written(tmp_path / "a.jsonl", data), task(tmp_path / "a.jsonl"), on_bytes=heard.append
    )
    assert looked.report.line_count == 230_000
    assert 0 < sum(heard) <= len(data)


async def test_what_cannot_be_read_is_told(tmp_path: Path, workers: Workers) -> None:
    """The system's complaint comes back as it was, and the process is used again."""
    with pytest.raises(IsADirectoryError):
        await workers.check(lambda: os.open(tmp_path, os.O_RDONLY), task(tmp_path / "a.jsonl"))
    with pytest.raises(FileNotFoundError):
        await workers.check(lambda: os.open(tmp_path / "none", os.O_RDONLY), task(tmp_path / "a.jsonl"))
    looked = await workers.check(written(tmp_path / "a.jsonl", LINE % 1), task(tmp_path / "a.jsonl"))
    assert looked.report.is_valid


async def test_a_file_server_that_hangs_up_is_no_process_that_is_lost(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read may fail with an error that a connection has, too: it comes back as what it is."""
    answer = Unreadable(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    monkeypatch.setattr("bulk_upload.edge.validation.workers.receive", lambda _: answer)
    with pytest.raises(ConnectionResetError):
        await workers.check(written(tmp_path / "a.jsonl", LINE % 1), task(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("small_bytes_max", [-1, 1 << 30])
async def test_a_file_that_is_written_to_meanwhile_is_told(tmp_path: Path, small_bytes_max: int) -> None:
    """What was found in a file that moved is worth nothing."""
    path = tmp_path / "a.jsonl"
    workers = Workers(1, small_bytes_max=small_bytes_max)

    def grow(_: int) -> None:
        # For ever: no more is read of a file than it had at first.
        with path.open("ab") as file:
            file.write(LINE % 2)

    with pytest.raises(FileMoved):
        await workers.check(written(path, LINE % 1 * 230_000), task(path), on_bytes=grow)
    workers.close()


def children() -> set[int]:
    """Return the processes that this one started and that are still there."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text() if sys.platform == "linux" else ""
    threads = Path("/proc/self/task").iterdir() if sys.platform == "linux" else []
    return set(map(int, found.split())) | {
        int(pid) for one in threads for pid in (one / "children").read_text().split()
    }


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_cancelled_check_ends_its_process(
    tmp_path: Path, workers: Workers, pipe: tuple[int, int]
) -> None:
    """Who cancels waits for nobody; the next check has a process again."""
    before = children()
    check = asyncio.ensure_future(workers.check(lambda: os.dup(pipe[0]), task(tmp_path / "a.jsonl")))
    await until(lambda: children() - before)
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check
    await until(lambda: not children() - before)
    looked = await workers.check(written(tmp_path / "a.jsonl", LINE % 1), task(tmp_path / "a.jsonl"))
    assert looked.report.is_valid


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_killed_process_is_told(tmp_path: Path, workers: Workers, pipe: tuple[int, int]) -> None:
    """A process that is killed amid a check is an error of that check only."""
    before = children()
    check = asyncio.ensure_future(workers.check(lambda: os.dup(pipe[0]), task(tmp_path / "a.jsonl")))
    await until(lambda: children() - before)
    for pid in children() - before:
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerLost, match="killed"):
        await check


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_processes_end_with_the_one_that_asks(tmp_path: Path) -> None:
    """After a kill -9 of the uploader its validation processes end by themselves, busy or not."""
    data = tmp_path / "a.jsonl"
    data.write_bytes(LINE % 1 * 400_000)
    script = f"""
import asyncio, os, sys
sys.path[:] = {sys.path!r}
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.edge.validation.reading import CheckTask
from bulk_upload.edge.validation.workers import Workers
purpose = PURPOSES[{PRETRAIN.name!r}]
async def main():
    workers = Workers(1)
    task = CheckTask(path="a.jsonl", purpose=purpose, known=())
    said = []
    def on_bytes(count):
        if not said:
            said.append(1)
            pid = workers._busy.copy().pop()._process.pid
            print(pid, flush=True)
    await workers.check(lambda: os.open({str(data)!r}, os.O_RDONLY), task, on_bytes=on_bytes)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    asker = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert asker.stdout is not None
    worker = int(asker.stdout.readline())
    asker.kill()
    asker.wait()
    asker.stdout.close()
    until_in_thread(lambda: not os.path.exists(f"/proc/{worker}"))


def test_surroundings_are_what_an_interpreter_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where libraries are, and the locale, go on; whatever else is there may be a key."""
    for name in ("SEEKR_API_KEY", "MINE", "AWS_SECRET_ACCESS_KEY", "BULK_UPLOAD_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    given = surroundings()
    assert KEY not in given.values()
    assert (given["LD_LIBRARY_PATH"], given["LC_ALL"]) == ("/opt/lib", "C.UTF-8")


@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="needs /proc")
async def test_a_process_does_not_inherit_a_key(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a validation process is given when it starts has no key, under whatever name it was."""
    for name in ("SEEKR_API_KEY", "MINE"):
        monkeypatch.setenv(name, KEY)
    found = await workers.check(written(tmp_path / "f.jsonl", LINE % 1), task(tmp_path / "f.jsonl"))
    assert found.report.findings == ()
    worker = workers.take()
    environ = Path(f"/proc/{worker._process.pid}/environ").read_bytes()
    workers.give_back(worker, usable=True)
    assert b"PATH=" in environ
    assert KEY.encode() not in environ
