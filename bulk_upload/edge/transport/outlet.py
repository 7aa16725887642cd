"""A plain connection as a reading thread writes to it, so that a block goes out in the hop that reads it."""

from __future__ import annotations

import os
import select
import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import asyncio

ROOM_WAIT_MS = 5
"""How long to wait for room in the send buffer. A server that reads as fast as a file is hashed makes some in less; where it
takes longer, the event loop waits for it, and the thread reads for others."""


class Outlet:
    """A second descriptor of a connection, for one thread at a time.

    The event loop must have nothing left to write to it, and write nothing while a thread does.

    Attributes:
        sent_bytes: how many bytes the system took so far.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        # Held while the descriptor is in use: once closed, its number may be another file's.
        self._in_use = threading.Lock()
        self._closed = False
        self.sent_bytes = 0

    @classmethod
    def of(cls, transport: asyncio.WriteTransport) -> Self | None:
        """Return one for a transport that does not encrypt; None where the system has no descriptor left."""
        connection = transport.get_extra_info("socket")
        if connection is None:
            return None
        try:
            same = socket.socket(fileno=os.dup(connection.fileno()))
        except OSError:
            return None
        same.setblocking(False)
        return cls(same)

    def send(self, data: bytes) -> int:
        """Return how many bytes the system took; never waits long, and raises nothing.

        What it did not take is for the event loop to write, which then also meets what broke the connection.
        """
        rest = memoryview(data)
        while rest:
            count = self._send(rest)
            if count is None or (not count and not self._has_room()):
                break
            rest = rest[count:]
        return len(data) - len(rest)

    def close(self) -> None:
        """Let go of the connection; nothing is sent from here on."""
        with self._in_use:
            self._closed = True
            self._connection.close()

    def _send(self, data: memoryview) -> int | None:
        """Return how many bytes went out, 0 without room, None where no more will."""
        with self._in_use:
            if self._closed:
                return None
            try:
                count = self._connection.send(data)
            except BlockingIOError:
                return 0
            except OSError:
                return None
            self.sent_bytes += count
            return count

    def _has_room(self) -> bool:
        poll = select.poll()
        with self._in_use:
            if self._closed:
                return False
            poll.register(self._connection.fileno(), select.POLLOUT)
        # Not under the lock. Closed meanwhile, it is seen by the next send.
        return bool(poll.poll(ROOM_WAIT_MS))
