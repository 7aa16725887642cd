"""A watched disk: a shim in the command's process notes what happens to the ledger's files, and can fail it.

The shim is disk.c, compiled when it is first needed.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import which
from tempfile import mkdtemp

import pytest

LEDGER, LOG, JOURNAL, SHARED, FOLDER, MAKING = range(6)
"""`MAKING` is the temporary file that becomes a new ledger."""
SUFFIXES = {LEDGER: "", LOG: "-wal", JOURNAL: "-journal"}
"""The names of what outlives the machine; the shared memory beside them does not."""

_SOURCE = Path(__file__).with_name("disk.c")
_HEAD = struct.Struct("=BBHIqq")


@dataclass(frozen=True, slots=True)
class Note:
    """One change of the ledger's files. `file` is the same for all names and openings of one file.

    `kind` is `o`pened, `c`reated, `l`inked to one more name, `w`ritten, `t`runcated, `s`ynced, `d`irectory synced, `u`nlinked, sync failed
    (`x`), or that the shim let a change `f`ail: `offset` is then the time in ns, `length` the number of the change.
    """

    kind: str
    name: int
    file: int
    offset: int
    length: int
    data: bytes


@cache
def shim() -> str:
    """Return the compiled shim; skips the test where there is none to be had."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the shim needs LD_PRELOAD as on Linux")
    compiler = which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) to build the shim with")
    library = os.path.join(mkdtemp(prefix="bulk-upload-shim-"), "disk.so")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", library, os.fspath(_SOURCE), "-ldl", "-pthread"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return library


def watched(
    ledger: Path,
    trace: Path,
    *,
    fail_at: int | None = None,
    fail_errno: int = 0,
    fail_on: bool = False,
    budget_bytes: int | None = None,
    sync_ms: int = 0,
) -> dict[str, str]:
    """Return the environment in which a command's ledger is watched, its changes noted in `trace`.

    Change number `fail_at` fails with `fail_errno`, and with `fail_on` so does every one after it. With
    `budget_bytes` the files can grow by so much before the disk is full. A sync takes `sync_ms` more than it does.
    """
    trace.unlink(missing_ok=True)
    values: dict[str, object] = {"LD_PRELOAD": shim(), "DISK_LEDGER": ledger, "DISK_TRACE": trace}
    values["DISK_SYNC_MS"] = sync_ms
    if fail_at is not None:
        values |= {"DISK_FAIL_AT": fail_at, "DISK_FAIL_ERRNO": fail_errno, "DISK_FAIL_ON": int(fail_on)}
    if budget_bytes is not None:
        values["DISK_BUDGET"] = budget_bytes
    return {name: str(value) for name, value in values.items()}


def notes_in(trace: Path) -> Iterator[Note]:
    """Yield the whole notes of a trace; a kill may have cut the last one, which then never became a change."""
    data = trace.read_bytes() if trace.exists() else b""
    at = 0
    while at + _HEAD.size <= len(data):
        kind, name, _, file, offset, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        content = b""
        if kind == ord("w"):
            content = data[at : at + length]
            at += length
            if len(content) < length:
                return
        yield Note(chr(kind), name, file, offset, length, content)


def failure_in(trace: Path) -> Note | None:
    """Return the note of the change that the shim let fail first."""
    return next((one for one in notes_in(trace) if one.kind == "f"), None)


def ledger_files(ledger: Path) -> dict[int, bytes]:
    """Return the contents of a ledger's files, by name."""
    paths = {name: Path(f"{ledger}{suffix}") for name, suffix in SUFFIXES.items()}
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def put_ledger_files(ledger: Path, contents: dict[int, bytes]) -> None:
    """Make a ledger's files these and no others, as after a restart of the machine."""
    for name, suffix in SUFFIXES.items():
        Path(f"{ledger}{suffix}").unlink(missing_ok=True)
        if name in contents:
            Path(f"{ledger}{suffix}").write_bytes(contents[name])
    Path(f"{ledger}-shm").unlink(missing_ok=True)
