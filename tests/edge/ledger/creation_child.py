"""Makes a ledger again and again, each time in a process that kills itself one line of code later.

Started by test_ledger_opening as a process of its own, which has no other threads and so may fork. The ledger of
the n-th try is FOLDER/n/a; the number of tries that were killed is printed.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from bulk_upload.edge.ledger.lock import RunLock
from bulk_upload.edge.ledger.opening import open_for_writing


def make(path: str, line_count: int) -> None:
    """Make a ledger as a run does; kill this process at so many lines of the way."""
    lines_left = line_count

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        nonlocal lines_left
        if "/bulk_upload/edge/" not in frame.f_code.co_filename:
            return None
        lines_left -= event == "line"
        if not lines_left:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    lock = RunLock.acquire(path)
    open_for_writing(path).close()
    lock.release()


def main(folder: Path) -> None:
    """Kill one process after the other, until one comes to its end."""
    for line_count in itertools.count(1):
        path = folder / str(line_count) / "a"
        path.parent.mkdir()
        child = os.fork()
        if not child:
            make(os.fspath(path), line_count)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            print(line_count - 1)
            return
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


if __name__ == "__main__":
    main(Path(sys.argv[1]))
