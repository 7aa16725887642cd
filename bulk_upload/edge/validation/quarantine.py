"""Bad lines set apart: a repaired copy without them, the lines themselves, what is wrong with each, and the lineage."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from bulk_upload.core.file_magic import BOM
from bulk_upload.core.line_splitter import PIECE_BYTES, HugeLine, LineSplitter, Run
from bulk_upload.core.purposes import rules_of
from bulk_upload.core.quarantine import LineSorter, findings_line, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.edge.validation.reading import CheckTask

LINEAGE_SUFFIX = ".lineage.json"


class QuarantineFailed(Exception):
    """A file could not be set apart; the message says why. Nothing half-written has a final name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """What was written. `repaired` is None where no good line was left."""

    repaired: str | None
    bad: str
    lineage: str
    good_count: int
    bad_count: int


class _Written:
    """Files under temporary names in one folder; they get their names together, the last one last."""

    def __init__(self) -> None:
        self._open: list[tuple[IO[bytes], str, str]] = []

    def add(self, name: str) -> IO[bytes]:
        """Begin a file."""
        partial = os.path.join(os.path.dirname(name), f".bulk-upload-{secrets.token_hex(8)}.tmp")
        file = open(partial, "xb")  # noqa: SIM115 - closed by `name` or `drop`
        self._open.append((file, partial, name))
        return file

    def name(self, *, without: str | None) -> None:
        """Make all of it durable, then give each file its name; the one called `without` is dropped."""
        for file, _, _ in self._open:
            file.flush()
            os.fsync(file.fileno())
            file.close()
        for _, partial, name in self._open:
            if name == without:
                os.unlink(partial)
            else:
                os.rename(partial, name)
        if self._open:
            _sync_folder(os.path.dirname(self._open[0][2]))

    def drop(self) -> None:
        """Take away what has no name yet."""
        for file, partial, _ in self._open:
            file.close()
            with contextlib.suppress(OSError):
                os.unlink(partial)


class Quarantine:
    """A folder for what was set apart. Originals are only read.

    Args:
        folder: is made where it is not there.
        version: of the program, for the lineage.
    """

    def __init__(self, folder: str, *, version: str) -> None:
        self._folder = os.path.abspath(folder)
        self._version = version

    def set_apart(self, descriptor: int, task: CheckTask) -> Quarantined:
        """Write the good lines of an open file to a repaired copy, and the bad ones with their findings beside it.

        Raises QuarantineFailed.
        """
        target = os.path.join(self._folder, place_of(task.path))
        written = _Written()
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _require_ours(descriptor, target)
            before = os.fstat(descriptor)
            made = self._write(descriptor, task, target, written)
            after = os.fstat(descriptor)
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise QuarantineFailed("the file changed while it was read")
            written.name(without=None if made.repaired is not None else target)
            return made
        except OSError as error:
            raise QuarantineFailed(
                f"cannot write beneath {self._folder}: {error.strerror or error}"
            ) from error
        finally:
            written.drop()

    def _write(self, descriptor: int, task: CheckTask, target: str, written: _Written) -> Quarantined:
        repaired, bad, notes = (written.add(target + suffix) for suffix in ("", ".bad", ".findings.jsonl"))
        sorter = LineSorter(task.purpose, where=task.path, known=task.known)
        original, copy = hashlib.sha256(), hashlib.sha256()
        bad_line_nos: list[int] = []
        bad_count = 0
        for item in _items(descriptor, task.purpose.schema.line_bytes_max, original):
            if isinstance(item, HugeLine):
                line_no, findings = sorter.sort_huge(item)
                bad_line_nos.append(line_no)
                notes.write(findings_line(line_no, None, findings))
                continue
            done = sorter.sort(item)
            for line_no, line, findings in done.bad:
                bad_count += 1
                bad.write(line)
                notes.write(findings_line(line_no, bad_count, findings))
                bad_line_nos.append(line_no)
            good = b"".join(done.good)
            copy.update(good)
            repaired.write(good)
        good_count = sorter.line_count - sorter.blank_count - len(bad_line_nos)
        lineage = {
            "original": task.path,
            "original_bytes": os.fstat(descriptor).st_size,
            "original_sha256": original.hexdigest(),
            "original_lines": sorter.line_count,
            "purpose": task.purpose.name,
            "rules": rules_of(task.purpose),
            "bad_lines": bad_line_nos,
            "blank_lines_left_out": sorter.blank_count,
            "repaired": os.path.basename(target) if good_count else None,
            "repaired_sha256": copy.hexdigest() if good_count else None,
            "repaired_lines": good_count,
            "made_by": f"bulk-upload {self._version}",
        }
        written.add(target + LINEAGE_SUFFIX).write(json.dumps(lineage, indent=1).encode() + b"\n")
        return Quarantined(
            repaired=target if good_count else None,
            bad=f"{target}.bad",
            lineage=target + LINEAGE_SUFFIX,
            good_count=good_count,
            bad_count=len(bad_line_nos),
        )


def _items(descriptor: int, line_bytes_max: int, hasher: hashlib._Hash) -> Iterator[Run]:
    """Read a file from its start; return its lines in blocks, without a byte order mark."""
    splitter = LineSplitter(line_bytes_max)
    position = 0
    while piece := os.pread(descriptor, PIECE_BYTES, position):
        hasher.update(piece)
        if position == 0:
            yield from splitter.split(piece.removeprefix(BOM))
        else:
            yield from splitter.split(piece)
        position += len(piece)
    yield from splitter.rest()


def _require_ours(descriptor: int, target: str) -> None:
    """Refuse to replace the original, or anything that no quarantine made."""
    try:
        there = os.stat(target)
    except FileNotFoundError:
        return
    if os.path.samestat(there, os.fstat(descriptor)):
        raise QuarantineFailed(f"{target} is the file itself; name another folder")
    if not os.path.exists(target + LINEAGE_SUFFIX):
        raise QuarantineFailed(f"{target} exists and is not from a quarantine; name another folder")


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems know no such thing.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
