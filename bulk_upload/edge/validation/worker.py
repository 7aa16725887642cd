"""A process that checks one file after the other, and ends when its parent closes the socket.

It is started as a fresh interpreter, never forked: the parent process has threads and an event loop. Files come
as open descriptors over the socket that is its standard input, so that it opens nothing by name.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

from bulk_upload.edge.validation.protocol import (
    Answer,
    Broken,
    Done,
    Progress,
    Unreadable,
    receive_with_file,
    send,
)
from bulk_upload.edge.validation.reading import CheckTask, check_file

PROGRESS_BYTES = 4 * 1024 * 1024


def main() -> None:
    """Serve until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as channel:
        try:
            while True:
                task, descriptor = receive_with_file(channel, CheckTask)
                try:
                    answer = _answer(channel, task, descriptor)
                finally:
                    os.close(descriptor)
                send(channel, answer)
        except (EOFError, OSError):
            # No reader is left.
            sys.exit(0)


class _Progress:
    """Reports the progress of a check at intervals; this also detects that the other side is gone."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._untold = 0

    def on_bytes(self, byte_count: int) -> None:
        """Record that more bytes were read."""
        self._untold += byte_count
        if self._untold >= PROGRESS_BYTES:
            try:
                send(self._channel, Progress(self._untold))
            except OSError:
                raise EOFError from None
            self._untold = 0


def _answer(channel: socket.socket, task: CheckTask, descriptor: int) -> Answer:
    try:
        return Done(check_file(descriptor, task, on_bytes=_Progress(channel).on_bytes))
    except EOFError:
        raise
    except OSError as error:
        return Unreadable(error.errno or 0, error.strerror or str(error))
    except Exception as error:  # noqa: BLE001 - a bug in one check is reported, the next file is checked all the same
        return Broken(f"{type(error).__name__}: {error}")
