"""One run at a time, whatever becomes of the process that runs."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulk_upload.edge.ledger import open_ledger
from bulk_upload.edge.ledger.file.lock import RunLock, run_is_at_work
from bulk_upload.errors import LedgerLocked, LedgerUnusable
from tests.edge.ledger.stage import JOB, START_S, opened

HOLDER = """
import sys
from bulk_upload.edge.ledger.file.lock import RunLock
lock = RunLock.acquire(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, os.fspath(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        yield holder
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()


def locked(path: Path) -> str:
    """The words a second run is refused with."""
    with pytest.raises(LedgerLocked) as caught:
        open_ledger(os.fspath(path), JOB, version="1", moved_root=False, utc_s=START_S)
    assert caught.value.hint
    return str(caught.value)


async def test_a_second_process_is_refused_at_once(tmp_path: Path) -> None:
    """Within a second, with the pid of the one that works; after kill -9 of that one the next run goes ahead."""
    path = tmp_path / "a"
    with held(path) as holder:
        started = time.monotonic()
        assert f"(pid {holder.pid})" in locked(path)
        assert time.monotonic() - started < 1.0
        assert not path.exists()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        async with opened(path):
            pass


async def test_a_second_run_in_the_same_process_is_refused(tmp_path: Path) -> None:
    """Two runs of one job in one program exclude each other, too; one after the other is fine."""
    async with opened(tmp_path / "a"):
        assert f"(pid {os.getpid()})" in locked(tmp_path / "a")
    async with opened(tmp_path / "a"):
        pass


async def test_every_name_of_a_ledger_is_one_lock(tmp_path: Path) -> None:
    """Through a symbolic link, or a link to its folder, it is the same ledger: one run."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder-link").symlink_to("folder")
    (tmp_path / "link").symlink_to("folder/a")
    async with opened(tmp_path / "folder" / "a"):
        locked(tmp_path / "link")
        locked(tmp_path / "folder-link" / "a")
    async with opened(tmp_path / "link"):
        locked(tmp_path / "folder" / "a")


def test_the_lock_lets_the_next_one_in_when_the_ledger_is_refused(tmp_path: Path) -> None:
    """A run that fails to open its ledger holds no lock."""
    (tmp_path / "a").write_bytes(b"no ledger")
    with pytest.raises(LedgerUnusable):
        open_ledger(os.fspath(tmp_path / "a"), JOB, version="1", moved_root=False, utc_s=START_S)
    RunLock.acquire(os.fspath(tmp_path / "a")).release()


async def test_who_only_looks_turns_no_run_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that asks whether a run is at work has the lock for an instant; a run that starts then waits for it."""
    path = os.fspath(tmp_path / "a")
    RunLock.acquire(path).release()
    looking = os.open(f"{path}.lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    waits: list[float] = []

    def reader_leaves(seconds: float) -> None:
        waits.append(seconds)
        os.close(looking)

    monkeypatch.setattr(time, "sleep", reader_leaves)
    lock = RunLock.acquire(path)
    assert run_is_at_work(path)
    assert len(waits) == 1
    lock.release()


async def test_whether_a_run_is_at_work_can_be_seen(tmp_path: Path) -> None:
    """By every name of the ledger, by several at once, and without a trace."""
    path = tmp_path / "a"
    (tmp_path / "link").symlink_to("a")
    assert not run_is_at_work(os.fspath(path))
    assert os.listdir(tmp_path) == ["link"]
    async with opened(path):
        assert run_is_at_work(os.fspath(path))
        assert run_is_at_work(os.fspath(tmp_path / "link"))
    assert not run_is_at_work(os.fspath(path))
    with open(f"{path}.lock", "rb") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        assert not run_is_at_work(os.fspath(path))
    os.mkfifo(tmp_path / "pipe.lock")
    assert not run_is_at_work(os.fspath(tmp_path / "pipe"))


def test_a_lock_file_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """A link, a folder or a pipe at the lock's place is named, never followed and never waited for."""
    (tmp_path / "link.lock").symlink_to("target")
    (tmp_path / "folder.lock").mkdir()
    os.mkfifo(tmp_path / "pipe.lock")
    for name in ("link", "folder", "pipe"):
        with pytest.raises(LedgerUnusable, match=rf"cannot lock .*{name}\.lock") as caught:
            RunLock.acquire(os.fspath(tmp_path / name))
        assert not isinstance(caught.value, LedgerLocked)
    assert not (tmp_path / "target").exists()


def test_a_file_system_without_locks_is_not_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a lock that somebody holds is called locked."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(LedgerUnusable, match="No locks available") as caught:
        RunLock.acquire(os.fspath(tmp_path / "a"))
    assert not isinstance(caught.value, LedgerLocked)


def test_the_lock_file_stays_and_is_not_inherited(tmp_path: Path) -> None:
    """Removed, it would let two runs in; inherited by a child, it would outlive the run."""
    lock = RunLock.acquire(os.fspath(tmp_path / "a"))
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        lock.release()
        lock.release()
        assert (tmp_path / "a.lock").read_text() == f"pid {os.getpid()}\n"
        RunLock.acquire(os.fspath(tmp_path / "a")).release()
    finally:
        child.kill()
        child.wait()
