"""Quarantines bad lines: a repaired copy without them, the lines themselves, their findings, and the lineage."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.text.text_bytes import BOM
from bulk_upload.core.validation.line_splitter import PIECE_BYTES, HugeLine, LineSplitter, Run
from bulk_upload.core.validation.quarantine import LineSorter, findings_line, place_of
from bulk_upload.edge.output import FileSet, require_safe
from bulk_upload.edge.validation.packed import MAGIC_BYTES, is_packed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from bulk_upload.edge.validation.reading import CheckTask

LINEAGE_SUFFIX = ".lineage.json"


class QuarantineFailed(Exception):
    """A file could not be quarantined; the message says why. Nothing half-written has a final name."""


class FileIsPacked(Exception):
    """A compressed file has no lines to set apart before it is unpacked."""


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """What was written. `repaired` is None where no good line was left."""

    repaired: str | None
    bad: str
    lineage: str
    good_count: int
    bad_count: int


class Quarantine:
    """A folder for quarantined files. Originals are only read.

    Args:
        folder: created if missing.
        version: of the program, for the lineage.
        private: files and folders that are made are for their owner alone.
    """

    def __init__(self, folder: str, *, version: str, private: bool = False) -> None:
        self._folder = os.path.abspath(folder)
        self._version = version
        self._private = private

    def set_apart(self, descriptor: int, task: CheckTask) -> Quarantined:
        """Write the good lines of an open file to a repaired copy, and the bad ones with their findings beside it.

        Raises QuarantineFailed, FileIsPacked.
        """
        if is_packed(os.pread(descriptor, MAGIC_BYTES, 0)):
            raise FileIsPacked
        target = os.path.join(self._folder, place_of(task.path))
        written = FileSet(private=self._private)
        try:
            require_safe(self._folder)
            self._make_folders(os.path.dirname(target))
            _require_ours(descriptor, target)
            before = os.fstat(descriptor)
            repaired = written.add(target)
            made = self._write(descriptor, task, target, repaired, written)
            after = os.fstat(descriptor)
            if _identity(before) != _identity(after):
                raise QuarantineFailed("the file changed while it was read")
            written.commit(without=None if made.repaired is not None else repaired)
            return made
        except OSError as error:
            raise QuarantineFailed(f"cannot write to {self._folder}: {error.strerror or error}") from error
        finally:
            written.drop()

    def _make_folders(self, folder: str) -> None:
        if os.path.isdir(folder):
            return
        self._make_folders(os.path.dirname(folder))
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700 if self._private else 0o777)

    def _write(
        self, descriptor: int, task: CheckTask, target: str, repaired: BinaryIO, written: FileSet
    ) -> Quarantined:
        bad, notes = (written.add(target + suffix) for suffix in (".bad", ".findings.jsonl"))
        sorter = LineSorter(
            task.purpose, where=task.path, known=task.known, choice=task.choice, command=task.command
        )
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
            "rules": task.choice.version_of(task.purpose),
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
    """Refuse to replace the original, or any file that was not made by a quarantine."""
    try:
        there = os.stat(target)
    except FileNotFoundError:
        return
    if os.path.samestat(there, os.fstat(descriptor)):
        raise QuarantineFailed(f"{target} is the file itself; name another folder")
    if not os.path.exists(target + LINEAGE_SUFFIX):
        raise QuarantineFailed(f"{target} exists and is not from a quarantine; name another folder")


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    # ctime too: a writer that restores mtime cannot restore ctime.
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
