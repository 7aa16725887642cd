"""Takes a few records of data files by chance; everything blocks, and memory holds no more than those."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from bulk_upload.core.convert.framing import Framing, batches, framing_of
from bulk_upload.core.convert.reservoir import Reservoir
from bulk_upload.core.shapes.json_values import on_one_line
from bulk_upload.core.text.printable import printable
from bulk_upload.core.validation.file_types import PARQUET_MAGIC, other_format
from bulk_upload.edge.convert.source import STANDARD_INPUT, explained, long_cells, opened
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ROWS_AT_ONCE = 1024
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Sampled(NamedTuple):
    """A record that was taken: its file, its number there, counted from 1, and its text on one line.

    `is_line` says that the number is the line's.
    """

    path: str
    number: int
    text: bytes
    is_line: bool


class Sampler:
    """Takes records of files, one file after the other.

    Args:
        size: how many are taken in all.
        chance: the same numbers take the same records of the same files.
    """

    def __init__(self, size: int, chance: Callable[[], float]) -> None:
        self._reservoir = Reservoir(size, chance)
        self._taken: dict[int, tuple[int, Sampled]] = {}
        self._file_count = 0
        self.record_count = 0
        self.unreadable_count = 0

    def add(self, path: str, *, name: str, on_bytes: Callable[[int], None] | None = None) -> None:
        """Read a file, `-` for standard input; `name` is what it is called. Raises UsageError where it cannot be read."""
        self._file_count += 1
        with explained(name, doing="sample"):
            if path != STANDARD_INPUT and _is_parquet(path):
                self._add_rows(path, name)
            else:
                self._add_records(path, name, on_bytes)

    def taken(self) -> list[Sampled]:
        """Return what was taken, in the order of the files and of their records."""
        ordered = sorted(self._taken.values(), key=lambda one: (one[0], one[1].number))
        return [one for _, one in ordered]

    def _add_records(self, path: str, name: str, on_bytes: Callable[[int], None] | None) -> None:
        with opened(path, on_bytes) as (source, _), long_cells():
            other = other_format(source.head)
            if other is not None:
                raise UsageError(f"{printable(name)}: {other.found}", hint=other.remedy)
            framing = framing_of(source.head, path, is_whole=source.is_whole)
            is_line = framing in (Framing.LINES, Framing.CR_LINES)
            number = 1
            for batch in batches(source.pieces(), framing):
                if not isinstance(batch, list):
                    self.unreadable_count += 1
                    number += 1
                    continue
                self._offer(name, number, batch, is_line=is_line)
                number += len(batch)

    def _offer(self, name: str, first: int, records: Sequence[bytes], *, is_line: bool) -> None:
        filled = [index for index, one in enumerate(records) if one.strip()]
        self.record_count += len(filled)
        for place, slot in self._reservoir.offer(len(filled)):
            index = filled[place]
            text = on_one_line(records[index].strip())
            self._taken[slot] = self._file_count, Sampled(name, first + index, text, is_line)

    def _add_rows(self, path: str, name: str) -> None:
        try:
            from pyarrow import parquet  # noqa: PLC0415 - an extra, and slow to import
        except ImportError:
            raise UsageError(
                f"{printable(name)} is a Parquet file, and the package to read it is not installed",
                hint="pip install 'bulk-upload[parquet]'",
            ) from None
        try:
            with open(path, "rb") as stream, parquet.ParquetFile(stream) as file:
                row_count = int(file.metadata.num_rows)
                self.record_count += row_count
                # A later one of the same file may take the place of an earlier one.
                wanted = {slot: index for index, slot in self._reservoir.offer(row_count)}
                rows = _rows(file, sorted(wanted.values()))
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - pyarrow raises whatever the bytes lead it to
            words = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UsageError(f"{printable(name)} cannot be read: {printable(words)}") from None
        for slot, index in wanted.items():
            self._taken[slot] = self._file_count, Sampled(name, index + 1, rows[index], is_line=False)


def _rows(file: Any, wanted: Sequence[int]) -> dict[int, bytes]:  # noqa: ANN401 (pyarrow has no types)
    """Return rows by their index, as JSON; only the groups that have one are read."""
    found: dict[int, bytes] = {}
    first = 0
    for group in range(file.metadata.num_row_groups):
        end = first + int(file.metadata.row_group(group).num_rows)
        if any(first <= index < end for index in wanted):
            at = first
            for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], use_threads=False):
                here = [index for index in wanted if at <= index < at + batch.num_rows]
                if here:
                    rows = batch.take([index - at for index in here]).to_pylist()
                    found.update(zip(here, map(_encode, rows), strict=True))
                at += batch.num_rows
        first = end
    return found


def _is_parquet(path: str) -> bool:
    # To open a pipe would disturb who writes to it.
    if not stat.S_ISREG(os.stat(path).st_mode):
        return False
    with open(path, "rb") as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
