"""The reading pool with calls that hang, return and are given up in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from bulk_upload.edge.files.pool import ReadingPool
from tests.waiting import HeldCall, until_in_thread

if TYPE_CHECKING:
    from concurrent.futures import Future


class PoolInAnyOrder(RuleBasedStateMachine):
    """Calls are submitted, given up and let go; the pool is shut down at some time.

    No call waits while a thread may be started for it, and never do more run than asked for, those that hang not
    counted. In the end no thread is missing, too many, or left.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[HeldCall, Future[object]]] = []
        self.given_up: set[Future[object]] = set()
        self.closed = False

    @initialize(thread_count=st.integers(1, 3))
    def begin(self, thread_count: int) -> None:
        self.thread_count = thread_count
        self.pool = ReadingPool(thread_count)

    @precondition(lambda self: not self.closed)
    @rule(count=st.integers(1, 4))
    def submit(self, count: int) -> None:
        for _ in range(count):
            call = HeldCall()
            self.calls.append((call, self.pool.submit(call)))

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def let_go(self, data: Any) -> None:
        data.draw(st.sampled_from(self.calls))[0].released.set()

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
        until_in_thread(self._rests)

    def teardown(self) -> None:
        for call, _ in self.calls:
            call.released.set()
        until_in_thread(lambda: all(future.done() for _, future in self.calls))
        if not self.closed:
            until_in_thread(lambda: self.pool._spare_count == self.pool._started_count <= self.thread_count)
            assert not self.pool._hung
            self.pool.shutdown()
        until_in_thread(lambda: self.pool._started_count == 0)

    def _rests(self) -> bool:
        """Whether nothing is about to happen: what was let go has returned, and what may run runs."""
        under_way = [
            (call, future) for call, future in self.calls if call.begun.is_set() and not future.done()
        ]
        # What was let go may return while this looks, and its thread begin the next call.
        held_count = sum(
            future not in self.given_up for call, future in under_way if not call.released.is_set()
        )
        assert held_count <= self.thread_count
        if any(call.released.is_set() for call, _ in under_way):
            return False
        waiting = [call for call, future in self.calls if not (call.begun.is_set() or future.done())]
        return not waiting or held_count == self.thread_count


TestPoolInAnyOrder = PoolInAnyOrder.TestCase
