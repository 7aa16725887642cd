"""Twins, entries that a listing cannot tell apart, are sent one at a time, so that no id can reach the wrong file."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.text.name_forms import twin_form

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.engine.limits.drain import Drain


class TwinKey(NamedTuple):
    """All that distinguishes files in a listing."""

    sent_name: str
    file_bytes: int
    purpose: str

    @classmethod
    def of(cls, sent_name: str, file_bytes: int, purpose: str) -> TwinKey:
        """Return the key of an upload: names that a server may make one name of, such as `f 1` and `f_1`, are one."""
        return cls(twin_form(sent_name), file_bytes, purpose)


class HeldKey:
    """A key while it is held. `in_doubt` is set where its holder ends in doubt: no twin may start in this run then."""

    __slots__ = ("in_doubt",)

    def __init__(self) -> None:
        self.in_doubt = False


class TwinGate:
    """Admits one entry of each key at a time; the others wait in order."""

    def __init__(self, drain: Drain) -> None:
        drain.closes(self.close)
        self._held: dict[TwinKey, deque[asyncio.Future[bool]]] = {}
        self._barred: set[TwinKey] = set()
        self._closed = False

    def try_hold(self, key: TwinKey) -> bool:
        """Take the key if it is free."""
        if self._closed or key in self._held or key in self._barred:
            return False
        self._held[key] = deque()
        return True

    async def hold(self, key: TwinKey) -> bool:
        """Wait for the key; False when a twin is in doubt and stays so in this run, or the run drains."""
        if self.try_hold(key):
            return True
        if self._closed or key in self._barred:
            return False
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._held[key].append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.result():
                self.release(key)
            raise

    @contextmanager
    def holding(self, key: TwinKey) -> Iterator[HeldKey]:
        """Release a key that was taken, or bar it: after an error the state of its holder is unknown."""
        held = HeldKey()
        try:
            yield held
        except BaseException:
            self.bar(key)
            raise
        if held.in_doubt:
            self.bar(key)
        else:
            self.release(key)

    def release(self, key: TwinKey) -> None:
        """Admit the next entry; none once the key is barred."""
        waiting = self._held.get(key)
        if waiting is None:
            return
        while waiting:
            future = waiting.popleft()
            if not future.done():
                future.set_result(True)
                return
        del self._held[key]

    def bar(self, key: TwinKey) -> None:
        """Admit no further entry of this key: its holder stays in doubt."""
        self._barred.add(key)
        _turn_away(self._held.pop(key, deque()))

    def close(self) -> None:
        """Admit no further entry: the run drains."""
        self._closed = True
        for waiting in self._held.values():
            _turn_away(waiting)


def _turn_away(waiting: deque[asyncio.Future[bool]]) -> None:
    while waiting:
        future = waiting.popleft()
        if not future.done():
            future.set_result(False)
