"""Checks a Parquet file: its ends, its footer, and every row by the rules for lines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from bulk_upload.core.machine.read_errors import is_transient
from bulk_upload.core.validation.line_schema import LineRules
from bulk_upload.core.validation.parquet import TAIL_BYTES, ends_complaint, footer_complaints
from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk_upload.core.purposes import Purpose, Schema

_BATCH_BYTES = 16 * 1024 * 1024
_BATCH_ROWS_MAX = 16 * 1024
_BUFFER_BYTES = 1024 * 1024
_REASON_CHARACTERS = 200

RowComplaint = tuple[int | None, Complaint]
"""A complaint with the number of its row, counted from 1; None for one about the file."""


def check_parquet(
    descriptor: int,
    purpose: Purpose,
    *,
    head: bytes,
    byte_count: int,
    known: tuple[Purpose, ...],
    on_rows: Callable[[int], None],
) -> Iterator[RowComplaint]:
    """Yield what is wrong with an open file, its rows included.

    `on_rows` is called with how many rows were read. Raises OSError when the file system fails.
    """
    tail = os.pread(descriptor, TAIL_BYTES, max(0, byte_count - TAIL_BYTES))
    complaint = ends_complaint(head, tail, byte_count)
    if complaint is not None:
        yield None, complaint
        return
    try:
        from pyarrow import parquet  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        yield None, Complaint("parquet-unread", "only the magic bytes were checked: pyarrow is not installed")
        return
    with os.fdopen(os.dup(descriptor), "rb") as file:
        try:
            opened = parquet.ParquetFile(file, buffer_size=_BUFFER_BYTES, page_checksum_verification=True)
            columns = [str(name) for name in opened.schema_arrow.names]
            row_count = int(opened.metadata.num_rows)
        except Exception as error:  # noqa: BLE001 - pyarrow raises whatever the bytes lead it to
            yield None, _unreadable("the footer cannot be read", error)
            return
        with opened:
            complaints = footer_complaints(columns, row_count, purpose, known)
            yield from ((None, one) for one in complaints)
            if not any(one.rule == "purpose-mismatch" for one in complaints):
                yield from _rows(opened, purpose.schema, on_rows)


def parquet_columns(descriptor: int) -> tuple[str, ...] | None:
    """Return the columns of an open Parquet file; None where they cannot be read, also for want of pyarrow."""
    try:
        from pyarrow import parquet  # noqa: PLC0415 - an extra, and slow to import

        with os.fdopen(os.dup(descriptor), "rb") as file, parquet.ParquetFile(file) as opened:
            return tuple(str(name) for name in opened.schema_arrow.names)
    except Exception:  # noqa: BLE001 - pyarrow raises errors of its own for each kind of damage
        return None


def parquet_rows(descriptor: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of an open Parquet file that can be read, some at a time. Raises OSError as `check_parquet` does."""
    try:
        from pyarrow import parquet  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        return
    with os.fdopen(os.dup(descriptor), "rb") as file:
        try:
            opened = parquet.ParquetFile(file, buffer_size=_BUFFER_BYTES)
        except Exception:  # noqa: BLE001 - what cannot be read was reported by the check
            return
        with opened:
            for _, batch in _batches(opened):
                if not isinstance(batch, Complaint):
                    yield batch.to_pylist()


def _rows(opened: Any, schema: Schema, on_rows: Callable[[int], None]) -> Iterator[RowComplaint]:  # noqa: ANN401 (pyarrow has no types)
    from bulk_upload.edge.validation.tables.screening import suspects  # noqa: PLC0415 - imports pyarrow

    rules = LineRules(schema)
    # A cell of an optional column is null where a line would lack the key.
    optional = frozenset(opened.schema_arrow.names) - frozenset(schema.required_names)
    # Missing columns were reported with the footer.
    columns = {f"$.{field.name}" for field in schema.fields}
    for first, batch in _batches(opened):
        if isinstance(batch, Complaint):
            yield first, batch
            continue
        found = sorted(suspects(batch, schema))
        for index, row in zip(found, batch.take(found).to_pylist() if found else (), strict=True):
            value = {key: cell for key, cell in row.items() if cell is not None or key not in optional}
            for complaint in rules.complaints(value):
                if complaint.rule != "missing-key" or complaint.place not in columns:
                    yield first + index, complaint
        on_rows(batch.num_rows)


def _batches(opened: Any) -> Iterator[tuple[int, Any]]:  # noqa: ANN401
    """Yield the number of a row, and the rows from there on or why they cannot be read."""
    batch_rows = _batch_rows(opened.metadata)
    group_first = 1
    for number in range(opened.metadata.num_row_groups):
        first, end = group_first, group_first + opened.metadata.row_group(number).num_rows
        batches = opened.iter_batches(batch_size=batch_rows, row_groups=[number], use_threads=False)
        while first < end:
            try:
                batch = next(batches)
            except Exception as error:  # noqa: BLE001 - as above; the rows of the next group may be good
                yield first, _unreadable(f"rows {first:,} to {end - 1:,} cannot be read", error)
                break
            yield first, batch
            first += batch.num_rows
        group_first = end


def _batch_rows(metadata: Any) -> int:  # noqa: ANN401 (pyarrow has no types)
    byte_count = sum(int(metadata.row_group(one).total_byte_size) for one in range(metadata.num_row_groups))
    row_bytes = max(1, byte_count // max(1, int(metadata.num_rows)))
    return max(1, min(_BATCH_ROWS_MAX, _BATCH_BYTES // row_bytes))


def _unreadable(what: str, error: Exception) -> Complaint:
    if isinstance(error, OSError) and is_transient(error):
        raise error
    words = str(error).strip().splitlines() or [type(error).__name__]
    return Complaint("bad-parquet", f"{what}: {words[0][:_REASON_CHARACTERS]}")
