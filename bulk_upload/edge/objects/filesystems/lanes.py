"""Connections to filesystems, each with a thread of its own: most clients serve one thread, and every call blocks."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_Call = tuple["Future[Any]", "Callable[[], Any]"]


class Lane:
    """One connection: a filesystem of fsspec, made by the thread that alone uses it.

    A call that hangs for ever costs the thread, which does not keep the program from ending.

    Args:
        make: makes the filesystem; called again where that failed.

    Attributes:
        is_stuck: whether a call of it was given up: what comes after would wait behind that.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._made: Any = None
        self.is_stuck = False

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def submit(self, call: Callable[[Any], T]) -> Future[T]:
        """Run a call with the filesystem on the thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="bulk-upload-filesystem", daemon=True)
            self._thread.start()
        future: Future[T] = Future()
        self._calls.put((future, lambda: call(self._filesystem())))
        return future

    def close(self) -> None:
        """End the thread when its calls have ended."""
        self._calls.put(None)

    def _filesystem(self) -> Any:  # noqa: ANN401 - fsspec has no types
        if self._made is None:
            self._made = self._make()
        return self._made

    def _serve(self) -> None:
        while (waiting := self._calls.get()) is not None:
            future, call = waiting
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - raised to whoever waits
                future.set_exception(error)
            else:
                future.set_result(result)
            # Keep no block in memory while the thread waits.
            del waiting, future, call
