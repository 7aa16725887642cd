"""Converts one file: the new file, the records that were left, and the lineage, each whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from bulk_upload.core.convert.converter import Converter, Left, Tally
from bulk_upload.core.convert.framing import Framing, batches, framing_of
from bulk_upload.core.purposes import PURPOSES, Purpose, rules_of
from bulk_upload.core.text.printable import printable
from bulk_upload.core.validation.file_types import PARQUET_MAGIC, other_format
from bulk_upload.edge.convert.source import STANDARD_INPUT, Source, explained, long_cells, opened
from bulk_upload.edge.output import FileSet, is_stream, replaced
from bulk_upload.errors import UsageError
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LINEAGE_SUFFIX = ".lineage.json"
LEFT_SUFFIX = ".left"
REASONS_SUFFIX = ".left.reasons.jsonl"
_LINEAGE_BYTES_MAX = 16 * 1024 * 1024


class ConvertRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to convert, and how.

    `output` is where the lines go; `known` are the purposes that records may look like; the other settings are those
    of `Converter`. `private` makes the files that are written readable by their owner only.
    """

    path: str
    purpose: Purpose
    output: str
    fix: bool = False
    lossy: bool = False
    drop: tuple[str, ...] = ()
    known: tuple[Purpose, ...] = tuple(PURPOSES.values())
    private: bool = False


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """What was written. `output` is None where no record could be converted, `left` where none was left.

    `mended` names what was done to the bytes of the file as a whole.
    """

    path: str
    output: str | None
    left: str | None
    lineage: str | None
    tally: Tally
    mended: tuple[str, ...] = ()


def convert_file(request: ConvertRequest, *, on_bytes: Callable[[int], None] | None = None) -> Conversion:
    """Convert a file; the original is only read. `on_bytes` is called with how many more bytes were read.

    Raises UsageError where the file cannot be read or the new one cannot be written; nothing is left behind then.
    """
    with (
        explained(request.path, doing="convert"),
        opened(request.path, on_bytes) as (source, descriptor),
        long_cells(),
    ):
        if is_stream(request.output):
            with replaced(request.output) as stream:
                return _Run(request, source).write(stream, None)
        return _into_files(request, source, descriptor)


_PARQUET_HINT = "Parquet is not converted: export its rows as JSON Lines; `validate` reads it as it is"


def default_output(path: str) -> str:
    """Return the name of the new file beside the old one."""
    folder, name = os.path.split(path)
    for packed in (".gz", ".zst", ".bz2", ".xz"):
        name = name.removesuffix(packed)
    stem = name.rpartition(".")[0] or name
    return os.path.join(folder, f"{stem}.converted.jsonl")


def _into_files(request: ConvertRequest, source: Source, descriptor: int) -> Conversion:
    before = os.fstat(descriptor)
    _require_free(request.output, before, request.path)
    files = FileSet(private=request.private)
    try:
        output = _begun(files, request.output)
        run = _Run(request, source)
        made = run.write(output, files)
        if request.path != STANDARD_INPUT and _identity(before) != _identity(os.fstat(descriptor)):
            raise UsageError(f"{printable(request.path)} changed while it was read", hint="convert it again")
        lineage = request.output + LINEAGE_SUFFIX
        files.add(lineage).write(_lineage(request, source, made, run.sha256))
        files.commit(without=None if made.output is not None else output)
    finally:
        files.drop()
    _remove_old(request, made)
    return msgspec.structs.replace(made, lineage=lineage)


def _begun(files: FileSet, output: str) -> BinaryIO:
    try:
        return files.add(output)
    except OSError as error:
        raise UsageError(
            f"cannot write {printable(output)}: {error.strerror or error}", hint="name another place with -o"
        ) from error


class _Run:
    """The conversion of one file into open streams."""

    def __init__(self, request: ConvertRequest, source: Source) -> None:
        self._request = request
        self._source = source
        self._converter = Converter(
            request.purpose, fix=request.fix, lossy=request.lossy, drop=request.drop, known=request.known
        )
        self._hasher = hashlib.sha256()
        self._left: tuple[BinaryIO, BinaryIO] | None = None
        self._left_count = 0

    @property
    def sha256(self) -> str:
        """The hash of the lines that were written."""
        return self._hasher.hexdigest()

    def write(self, output: BinaryIO, files: FileSet | None) -> Conversion:
        """Write all lines; records that are left go to files beside, where those can be."""
        source, request = self._source, self._request
        other = other_format(source.head)
        if other is not None:
            hint = _PARQUET_HINT if source.head.startswith(PARQUET_MAGIC) else other.remedy
            raise UsageError(f"{printable(request.path)}: {other.found}", hint=hint)
        fields = {one.name for one in request.purpose.schema.fields} or None
        framing = framing_of(source.head, request.path, is_whole=source.is_whole, fields=fields)
        for batch in batches(source.pieces(), framing):
            if not isinstance(batch, list):
                self._leave([self._converter.leave(batch.text, batch.reason)], files)
                continue
            done = self._converter.convert(batch)
            text = b"".join(done.lines)
            self._hasher.update(text)
            output.write(text)
            if done.left:
                self._leave(done.left, files)
        tally = self._converter.tally
        is_empty = not (tally.kept or tally.converted)
        mended = [one for one in (source.packing, source.mended) if one is not None]
        return Conversion(
            path=request.path,
            output=None if is_empty else request.output,
            left=None if self._left is None else request.output + LEFT_SUFFIX,
            lineage=None,
            tally=tally,
            mended=(*mended, *([] if framing is Framing.LINES else [framing.value])),
        )

    def _leave(self, left: list[Left], files: FileSet | None) -> None:
        if files is None:
            return
        if self._left is None:
            self._left = (
                files.add(self._request.output + LEFT_SUFFIX),
                files.add(self._request.output + REASONS_SUFFIX),
            )
        records, reasons = self._left
        for one in left:
            self._left_count += bool(one.text)
            said = {
                "record": one.record_no,
                "left_line": self._left_count if one.text else None,
                "reason": one.reason,
            }
            reasons.write(json.dumps(said).encode() + b"\n")
            if one.text:
                records.write(one.text)
                records.write(b"\n")


def _lineage(request: ConvertRequest, source: Source, made: Conversion, sha256: str) -> bytes:
    tally = made.tally
    said: Mapping[str, object] = {
        "original": request.path,
        "original_bytes": source.byte_count,
        "original_sha256": source.sha256,
        "original_records": tally.record_count,
        "purpose": request.purpose.name,
        "rules": rules_of(request.purpose),
        "fix": request.fix,
        "lossy": request.lossy,
        "drop": request.drop,
        "unpacked_or_decoded": made.mended,
        "kept": tally.kept,
        "converted": tally.converted,
        "repaired": tally.repaired,
        "lost": tally.lost,
        "empty_left_out": tally.empty,
        "blank_lines_left_out": tally.blank,
        "left": tally.left,
        "output": None if made.output is None else os.path.basename(made.output),
        "output_sha256": None if made.output is None else sha256,
        "made_by": f"bulk-upload {__version__}",
    }
    return json.dumps(said, indent=1).encode() + b"\n"


class _Lineage(msgspec.Struct):
    original: str


def _require_free(output: str, source: os.stat_result, path: str) -> None:
    """Refuse to replace the original, or any file that was not made by a conversion of such a file."""
    try:
        there = os.stat(output)
    except FileNotFoundError:
        return
    if os.path.samestat(there, source):
        raise UsageError(f"{printable(output)} is the file itself", hint="name another place with -o")
    original = _original_of(output)
    if original is None or os.path.basename(original) != os.path.basename(path):
        whose = (
            "is not from a conversion" if original is None else f"is the conversion of {printable(original)}"
        )
        raise UsageError(f"{printable(output)} exists and {whose}", hint="name another place with -o")


def _original_of(output: str) -> str | None:
    """Return what an earlier conversion into this file was made of, None where there was none."""
    try:
        with open(output + LINEAGE_SUFFIX, "rb") as file:
            return msgspec.json.decode(file.read(_LINEAGE_BYTES_MAX), type=_Lineage).original
    except (OSError, ValueError):
        return None


def _remove_old(request: ConvertRequest, made: Conversion) -> None:
    """Remove what an earlier conversion wrote and this one did not."""
    old = [request.output] if made.output is None else []
    if made.left is None:
        old += [request.output + LEFT_SUFFIX, request.output + REASONS_SUFFIX]
    for path in old:
        with suppress(FileNotFoundError):
            os.unlink(path)


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    # ctime too: a writer that restores mtime cannot restore ctime.
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
