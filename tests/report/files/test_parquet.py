"""The export as Parquet: the same rows, with numbers and times as such."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.report.export import COLUMNS, ExportRow
from bulk_upload.errors import UsageError
from bulk_upload.report.files.parquet import GROUP_ROWS, NUMBERS, TIMES, write_parquet

ROW = ExportRow(
    path="a/b.jsonl",
    purpose="fine-tune",
    status="accepted",
    file_id="file-1",
    bytes=12,
    attempts=1,
    first_seen_utc="2026-06-18T09:30:00.123456Z",
)


def written(rows: list[ExportRow]) -> pa.Table:
    stream = io.BytesIO()
    assert write_parquet(rows, stream) == len(rows)
    stream.seek(0)
    return pq.read_table(stream)


def test_columns_have_their_types() -> None:
    """Names and order are those of every export; sizes are numbers and times are times."""
    table = written([ROW])
    assert tuple(table.column_names) == COLUMNS
    for name in COLUMNS:
        kind = table.schema.field(name).type
        wanted = (
            pa.int64() if name in NUMBERS else pa.timestamp("us", "UTC") if name in TIMES else pa.string()
        )
        assert kind == wanted, name


def test_values_come_back() -> None:
    """What is not known is null."""
    (row,) = written([ROW]).to_pylist()
    assert row["path"] == "a/b.jsonl"
    assert row["bytes"] == 12
    assert row["first_seen_utc"] == datetime(2026, 6, 18, 9, 30, 0, 123456, UTC)
    assert row["settled_utc"] is None
    assert row["http_status"] is None


def test_no_rows_are_a_file_too() -> None:
    """An empty ledger's export has the columns and no rows."""
    table = written([])
    assert table.num_rows == 0
    assert tuple(table.column_names) == COLUMNS


def test_many_rows_are_written_in_groups() -> None:
    """A million rows are never in memory at once."""
    stream = io.BytesIO()
    write_parquet((ROW._replace(bytes=number) for number in range(GROUP_ROWS + 1)), stream)
    stream.seek(0)
    file = pq.ParquetFile(stream)
    assert file.metadata.num_row_groups == 2
    assert file.read().column("bytes").to_pylist() == list(range(GROUP_ROWS + 1))


@given(st.lists(st.text(st.characters(exclude_categories=())), max_size=5))
def test_any_name_can_be_written(names: list[str]) -> None:
    """However odd a path is; a byte that is not UTF-8 is spelled out."""
    paths = written([ROW._replace(path=name) for name in names]).column("path").to_pylist()
    assert paths == [name.encode("utf-8", "backslashreplace").decode() for name in names]


def test_without_the_extra_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is not installed with the rest: it is large, and few need it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError) as caught:
        write_parquet([ROW], io.BytesIO())
    assert "bulk-upload[parquet]" in str(caught.value.hint)
