"""Threads that may be given up."""

from __future__ import annotations

import subprocess
import sys
import threading
from queue import SimpleQueue
from typing import Any

import pytest

from bulk_upload.edge.files.pool import ReadingPool
from bulk_upload.errors import ResourceShortage
from tests.waiting import HANG_S, HeldCall, until_in_thread


def test_calls_run_and_fail_as_with_any_executor() -> None:
    """Results and exceptions come back through the futures; after a shutdown nothing is taken."""
    pool = ReadingPool(2)
    assert pool.submit(divmod, 7, 2).result(HANG_S) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 7, 0).result(HANG_S)
    waits = HeldCall("late")
    late = pool.submit(waits)
    pool.shutdown()
    waits.released.set()
    assert late.result(HANG_S) == "late"
    with pytest.raises(RuntimeError):
        pool.submit(divmod, 7, 2)


def test_no_more_threads_than_asked_for() -> None:
    """A hundred calls on three threads."""
    pool = ReadingPool(3)
    seen: set[int] = set()
    gate = threading.Barrier(3)

    def call(number: int) -> int:
        if number < 3:
            gate.wait(HANG_S)
        seen.add(threading.get_ident())
        return number

    futures = [pool.submit(call, number) for number in range(100)]
    assert [future.result(HANG_S) for future in futures] == list(range(100))
    assert len(seen) == 3
    pool.shutdown()


class _SlowWake(SimpleQueue[Any]):
    """A queue from which one thread, once armed, takes long to come back with what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.armed, self.taken, self.go_on = threading.Event(), threading.Event(), threading.Event()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        item = super().get(block, timeout)
        if self.armed.is_set():
            self.armed.clear()
            self.taken.set()
            self.go_on.wait(HANG_S)
        return item


def test_a_thread_that_is_just_waking_is_not_counted_on() -> None:
    """Two calls after a quiet moment run at once: the thread that wakes for the first does not keep the second waiting."""
    pool = ReadingPool(2)
    pool._calls = calls = _SlowWake()
    pool.submit(int).result(HANG_S)
    calls.armed.set()
    first = pool.submit(int)
    assert calls.taken.wait(HANG_S)
    assert pool.submit(int).result(HANG_S) == 0
    assert not first.done()
    calls.go_on.set()
    assert first.result(HANG_S) == 0
    pool.shutdown()


def test_a_quiet_pool_starts_no_thread_it_does_not_need() -> None:
    """Calls one after another are made by the one thread that the first of them started."""
    pool = ReadingPool(4)
    seen = set()
    for _ in range(20):
        seen.add(pool.submit(threading.get_ident).result(HANG_S))
        until_in_thread(lambda: pool._spare_count)
    assert len(seen) == 1
    pool.shutdown()


def test_a_call_that_hangs_has_its_place_taken_until_it_returns() -> None:
    """Given up: the next call runs at once. Returned: the spare thread goes."""
    pool = ReadingPool(1)
    hangs = HeldCall("after all")
    hung = pool.submit(hangs)
    assert hangs.begun.wait(HANG_S)
    waiting = pool.submit(divmod, 7, 2)
    assert not waiting.done()
    assert pool.give_up(hung)
    assert waiting.result(HANG_S) == (3, 1)
    hangs.released.set()
    assert hung.result(HANG_S) == "after all"
    assert pool.submit(divmod, 9, 2).result(HANG_S) == (4, 1)
    until_in_thread(lambda: pool._started_count == 1)
    pool.shutdown()


def test_a_call_that_never_began_is_taken_back() -> None:
    """Giving it up costs no thread, and it is never made."""
    pool = ReadingPool(1)
    hangs = HeldCall()
    made: list[int] = []
    first = pool.submit(hangs)
    assert hangs.begun.wait(HANG_S)
    second = pool.submit(made.append, 1)
    assert not pool.give_up(second)
    hangs.released.set()
    first.result(HANG_S)
    pool.submit(int).result(HANG_S)
    assert made == []
    pool.shutdown()


def test_a_machine_short_of_threads_reads_with_those_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that cannot be started is not counted: its call waits for another one, and later calls try again."""
    pool = ReadingPool(2)
    waits = HeldCall()

    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", no_more)
        with pytest.raises(ResourceShortage, match="no further thread"):
            pool.submit(int)
    first = pool.submit(waits)
    assert waits.begun.wait(HANG_S)
    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", no_more)
        second = pool.submit(int)
    assert pool.submit(int).result(HANG_S) == second.result(HANG_S) == 0
    assert not first.done()
    assert pool._started_count == 2
    waits.released.set()
    pool.shutdown()
    until_in_thread(lambda: pool._started_count == 0)


class _WorkerFirst:
    """A lock that the test's own thread, once armed, gets only after another one has held it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tester = threading.current_thread()
        self.armed, self.release, self.passed = threading.Event(), threading.Event(), threading.Event()

    def __enter__(self) -> None:
        if self.armed.is_set() and threading.current_thread() is self._tester:
            self.release.set()
            assert self.passed.wait(HANG_S)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if self.armed.is_set() and threading.current_thread() is not self._tester:
            self.passed.set()


def test_a_call_that_returns_while_it_is_given_up_does_not_hang() -> None:
    """Its thread never counts as hung: nothing would ever take that back."""
    pool = ReadingPool(1)
    pool._lock = lock = _WorkerFirst()  # type: ignore[assignment]
    begun = threading.Event()

    def returns_late() -> None:
        begun.set()
        lock.release.wait(HANG_S)

    late = pool.submit(returns_late)
    assert begun.wait(HANG_S)
    lock.armed.set()
    assert not pool.give_up(late)
    assert late.done()
    assert pool._hung == set()
    pool.shutdown()


def test_a_shutdown_ends_threads_that_start_or_return_after_it() -> None:
    """One that took the place of a thread that hangs, and those that hung: none of them waits for ever for a call."""
    pool = ReadingPool(2)
    hangs = HeldCall()
    hung = [pool.submit(hangs) for _ in range(2)]
    waiting = pool.submit(int)
    pool.shutdown()
    assert pool.give_up(hung[0])
    assert waiting.result(HANG_S) == 0
    until_in_thread(lambda: pool._started_count == 2)
    hangs.released.set()
    until_in_thread(lambda: pool._started_count == 0)


def test_the_interpreter_does_not_wait_for_a_thread_that_hangs() -> None:
    """A program ends although one of its reads never does."""
    program = (
        "import threading\n"
        "from bulk_upload.edge.files.pool import ReadingPool\n"
        "begun = threading.Event()\n"
        "ReadingPool(1).submit(lambda: (begun.set(), threading.Event().wait()))\n"
        "begun.wait()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=HANG_S)
    assert ended.returncode == 0
