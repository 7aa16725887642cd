"""Files that change while they are sent by the real command."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.e2e.stage import Process, require_linux, staged
from tests.e2e.trees import MIB, written
from tests.e2e.witness import assert_all_accepted, assert_honest, stored_of, uploads_of

SIZE = 12 * MIB
"""More than the buffers between client and server hold."""

READ_RATE = MIB // 2
"""So slow that every file is half sent for seconds."""

Change = Callable[[bytes], None]


def grow(path: bytes) -> None:
    with open(path, "ab") as file:
        file.write(b"DELETE /v1/flow/files/file-1 HTTP/1.1\r\nHost: x\r\n\r\n" * 10)


def shrink(path: bytes) -> None:
    os.truncate(path, SIZE - 2 * MIB)


def rewrite(path: bytes) -> None:
    with open(path, "r+b") as file:
        file.write(b"new" * 1000)


def replace(path: bytes) -> None:
    with open(path + b".new", "wb") as file:
        file.write(b"another file of the same name")
    os.rename(path + b".new", path)


CHANGES: dict[bytes, Change] = {
    b"grows.txt": grow,
    b"shrinks.txt": shrink,
    b"is rewritten.txt": rewrite,
    b"is replaced.txt": replace,
    b"is deleted.txt": os.unlink,
}


def is_on_its_way(process: Process, path: bytes) -> bool:
    position = process.position_in(path)
    return position is not None and MIB <= position <= SIZE - 4 * MIB


def test_a_file_that_changes_is_never_given_a_receipt(tmp_path: Path) -> None:
    """Grown, shrunk, rewritten, replaced or deleted while sent: failed, exit 3, others unharmed; then sent anew."""
    require_linux()
    chance = random.Random(5)
    unharmed = {b"large.txt": chance.randbytes(SIZE), b"small.txt": b"small", b"empty.txt": b""}
    tree = written(tmp_path / "tree", {path: chance.randbytes(SIZE) for path in CHANGES} | unharmed)
    with staged(tmp_path, f"read-rate={READ_RATE}", keep=True) as stage:
        stage.use(tree)
        process = stage.start_run("--concurrency", "8")
        for path, change in CHANGES.items():
            process.until(partial(is_on_its_way, process, tree.full(path)), f"{path!r} to be half sent")
            change(tree.full(path))
        stage.use_faults("")
        ended = process.wait()
        assert ended.code == 3, ended.stderr
        rows = assert_honest(stage, tree)
        states = {path: row.status for path, row in rows.items()}
        assert states == dict.fromkeys(CHANGES, "failed_local") | dict.fromkeys(unharmed, "accepted")
        assert len(stored_of(stage)) == len(unharmed)

        written(tree.folder, {b"is deleted.txt": b"here again"})
        sent = len(uploads_of(stage))
        stage.run(expect=0)
        assert len(uploads_of(stage)) == sent + len(CHANGES)
        assert_all_accepted(stage, tree)
