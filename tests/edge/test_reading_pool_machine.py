"""The reading pool with calls that hang, return and are given up in any order."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from bulk_upload.edge.files.pool import ReadingPool

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

PATIENCE_S = 5.0


@dataclass(eq=False)
class _Call:
    """A call that returns when the test lets it."""

    begun: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        self.begun.set()
        self.release.wait(60)


class PoolInAnyOrder(RuleBasedStateMachine):
    """Calls are submitted, given up and let go; the pool is shut down at some time.

    No call waits while a thread may be started for it, and never do more run than asked for, those that hang not
    counted. In the end no thread is missing, too many, or left.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[_Call, Future[None]]] = []
        self.given_up: set[Future[None]] = set()
        self.closed = False

    @initialize(thread_count=st.integers(1, 3))
    def begin(self, thread_count: int) -> None:
        self.thread_count = thread_count
        self.pool = ReadingPool(thread_count)

    @precondition(lambda self: not self.closed)
    @rule(count=st.integers(1, 4))
    def submit(self, count: int) -> None:
        for _ in range(count):
            call = _Call()
            self.calls.append((call, self.pool.submit(call)))

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def let_go(self, data: Any) -> None:
        data.draw(st.sampled_from(self.calls))[0].release.set()

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def give_up(self, data: Any) -> None:
        future = data.draw(st.sampled_from(self.calls))[1]
        if self.pool.give_up(future):
            self.given_up.add(future)

    @precondition(lambda self: not self.closed)
    @rule()
    def shut_down(self) -> None:
        self.closed = True
        self.pool.shutdown()

    @rule()
    def come_to_rest(self) -> None:
        _until(self._rests)

    def teardown(self) -> None:
        for call, _ in self.calls:
            call.release.set()
        _until(lambda: all(future.done() for _, future in self.calls))
        if not self.closed:
            _until(lambda: self.pool._spare_count == self.pool._started_count <= self.thread_count)
            assert not self.pool._hung
            self.pool.shutdown()
        _until(lambda: self.pool._started_count == 0)

    def _rests(self) -> bool:
        """Whether nothing is about to happen: what was let go has returned, and what may run runs."""
        under_way = [
            (call, future) for call, future in self.calls if call.begun.is_set() and not future.done()
        ]
        # What was let go may return while this looks, and its thread begin the next call.
        held_count = sum(
            future not in self.given_up for call, future in under_way if not call.release.is_set()
        )
        assert held_count <= self.thread_count
        if any(call.release.is_set() for call, _ in under_way):
            return False
        waiting = [call for call, future in self.calls if not (call.begun.is_set() or future.done())]
        return not waiting or held_count == self.thread_count


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


TestPoolInAnyOrder = PoolInAnyOrder.TestCase
