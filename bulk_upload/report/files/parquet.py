"""Export rows as Parquet, with the optional extra: real numbers and times, one row group at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from bulk_upload.core.report.export import ExportRow
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk_upload.core.report.member_rows import MemberRow

GROUP_ROWS = 16_384
"""About 10 MB of Python objects, and groups large enough to be compressed well."""

NUMBERS = ("bytes", "attempts", "http_status", "first_line", "lines")
TIMES = ("first_seen_utc", "settled_utc")


def write_parquet(
    rows: Iterable[ExportRow | MemberRow],
    stream: BinaryIO,
    kind: type[ExportRow | MemberRow] = ExportRow,
) -> int:
    """Write all rows as one Parquet file; return how many.

    Raises:
        UsageError: the extra is not installed.
        OSError: the stream cannot be written.
    """
    arrow, parquet = _pyarrow()
    schema = arrow.schema([arrow.field(name, _type_of(arrow, name)) for name in kind._fields])
    remaining = iter(rows)
    count = 0
    with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        while group := list(islice(remaining, GROUP_ROWS)):
            columns = zip(*group, strict=True)
            arrays = [
                arrow.array([_cell(name, value) for value in values], schema.field(name).type)
                for name, values in zip(kind._fields, columns, strict=True)
            ]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))
            count += len(group)
    return count


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, and slow to import
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise UsageError(
            "Parquet needs the package pyarrow",
            hint="pip install 'bulk-upload[parquet]', or use --format jsonl",
        ) from None
    return pa, pq


def _type_of(arrow: Any, name: str) -> Any:  # noqa: ANN401 - pyarrow has no types
    if name in NUMBERS:
        return arrow.int64()
    return arrow.timestamp("us", tz="UTC") if name in TIMES else arrow.string()


def _cell(name: str, value: str | int | None) -> str | int | datetime | None:
    if not isinstance(value, str):
        return value
    if name in TIMES:
        return datetime.fromisoformat(value).astimezone(UTC)
    # Parquet's texts are UTF-8: other bytes of a file name are spelled out.
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
