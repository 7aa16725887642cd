from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.report.export import COLUMNS, ExportRow, csv_cells
from bulk_upload.report.files.rows import RowFormat, json_line, save_rows, write_csv, write_jsonl, write_rows

# A first letter that starts no formula, then any file name the disk can hold but for control characters.
_plain_bytes = st.binary(max_size=40).map(lambda raw: b"a" + bytes(b for b in raw if b > 0x1F and b != 0x7F))
_any_bytes = st.binary(min_size=1, max_size=40)


def _row(path: str = "a.jsonl", reason: str | None = None) -> ExportRow:
    return ExportRow(
        path=path,
        purpose="fine-tune",
        status="accepted",
        file_id="file-1",
        bytes=12,
        sha256="0" * 64,
        sent_name="a.jsonl",
        attempts=2,
        http_status=200,
        reason=reason,
        settled_utc="2026-06-18T09:30:00.000000Z",
    )


def _csv_of(*rows: ExportRow) -> bytes:
    stream = io.BytesIO()
    assert write_csv(rows, stream) == len(rows)
    return stream.getvalue()


def _read_csv(data: bytes) -> list[dict[str, str]]:
    text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")
    return list(csv.DictReader(text, strict=True))


def test_csv_begins_with_the_columns_and_ends_lines_with_a_newline() -> None:
    """The header is the contract's columns, and no carriage return is left for line tools to trip over."""
    data = _csv_of(_row())
    assert data.splitlines()[0].decode() == ",".join(COLUMNS)
    assert data.endswith(b"\n")
    assert b"\r" not in data


def test_an_export_without_rows_is_a_header() -> None:
    """An empty ledger makes a CSV that still can be read, and an empty JSON Lines file."""
    assert _csv_of() == (",".join(COLUMNS) + "\n").encode()
    stream = io.BytesIO()
    assert write_jsonl([], stream) == 0
    assert stream.getvalue() == b""


def test_the_csv_module_gives_back_every_row() -> None:
    """Commas, quotes, spaces and letters of any script survive."""
    paths = ["a,b.jsonl", 'say "hi".jsonl', " lead", "naïve/日本.jsonl", "quote'd", "🦀"]
    read = _read_csv(_csv_of(*(_row(path, reason="x, y") for path in paths)))
    assert [one["path"] for one in read] == paths
    assert read[0] == {
        "path": "a,b.jsonl",
        "purpose": "fine-tune",
        "status": "accepted",
        "file_id": "file-1",
        "bytes": "12",
        "sha256": "0" * 64,
        "sent_name": "a.jsonl",
        "attempts": "2",
        "http_status": "200",
        "reason": "x, y",
        "first_seen_utc": "",
        "agent": "",
        "blake3": "",
        "settled_utc": "2026-06-18T09:30:00.000000Z",
    }


def test_an_undecodable_name_is_the_raw_bytes_in_csv() -> None:
    """A name that is not UTF-8 is found in the file exactly as it is on disk."""
    raw = b"caf\xe9\xff.jsonl"
    data = _csv_of(_row(os.fsdecode(raw)))
    assert raw in data
    assert os.fsencode(_read_csv(data)[0]["path"]) == raw


@given(_plain_bytes)
def test_csv_keeps_any_name_without_control_characters(raw: bytes) -> None:
    """The bytes of a path come back, whatever its encoding; only what could steer is spelled out."""
    path = os.fsdecode(raw)
    cells = csv_cells(_row(path))
    assert _read_csv(_csv_of(_row(path)))[0]["path"] == cells[0]
    if path.isprintable():
        assert cells[0] == path


@given(_any_bytes, st.text(max_size=20))
def test_csv_is_always_one_line_a_row_without_control_bytes(raw: bytes, reason: str) -> None:
    """No name or reason breaks the table, steers a terminal or starts a formula."""
    data = _csv_of(_row(os.fsdecode(raw), reason))
    assert data.count(b"\n") == 2
    assert not any(byte < 0x20 or byte == 0x7F for byte in data.replace(b"\n", b""))
    (read,) = _read_csv(data)
    assert not any(cell[:1] in set("=+-@|\t\r") for cell in read.values() if cell)


@given(st.text(st.characters(), max_size=30))
def test_csv_takes_any_text_at_all(text: str) -> None:
    """A lone surrogate in a server's words does not end an export."""
    assert len(_read_csv(_csv_of(_row(reason=text)))) == 1


@given(_any_bytes, st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_jsonl_gives_back_exactly_the_row(raw: bytes, reason: str) -> None:
    """Every value survives JSON Lines, undecodable names and control characters included."""
    row = _row(os.fsdecode(raw), reason)
    line = json_line(row)
    assert line.isascii()
    assert line.count(b"\n") == 1
    read = json.loads(line)
    assert read == row._asdict()
    assert os.fsencode(read["path"]) == raw


def test_jsonl_has_exactly_the_columns_in_order() -> None:
    """Keys and their order are the contract; what is not known is null."""
    read = json.loads(json_line(ExportRow(path="a", purpose="p", status="pending")))
    assert tuple(read) == COLUMNS
    assert read["file_id"] is None


@pytest.mark.parametrize("row_format", [RowFormat.CSV, RowFormat.JSONL])
def test_rows_are_streamed(row_format: RowFormat) -> None:
    """A row is written before the next one is asked for, as far as the stream's own buffer goes."""
    stream = io.BytesIO()
    seen = []

    def rows() -> Iterator[ExportRow]:
        for number in range(3):
            seen.append(stream.tell())
            yield _row(str(number))

    write_rows(rows(), stream, row_format)
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("row_format", RowFormat)
def test_saved_rows_are_the_written_rows(tmp_path: Path, row_format: RowFormat) -> None:
    """The file has the same bytes as the stream, and the number of rows is told."""
    path = str(tmp_path / "out")
    rows = [_row(str(number)) for number in range(10)]
    assert save_rows(iter(rows), path, row_format) == 10
    stream = io.BytesIO()
    write_rows(rows, stream, row_format)
    assert Path(path).read_bytes() == stream.getvalue()


def test_rows_that_fail_midway_leave_the_old_file(tmp_path: Path) -> None:
    """When the ledger cannot be read to its end, the older export stays whole."""
    path = str(tmp_path / "out.csv")
    save_rows([_row()], path, RowFormat.CSV)
    old = Path(path).read_bytes()

    def rows() -> Iterator[ExportRow]:
        yield _row("new")
        raise OSError("the ledger went away")

    with pytest.raises(OSError, match="went away"):
        save_rows(rows(), path, RowFormat.CSV)
    assert Path(path).read_bytes() == old
    assert os.listdir(tmp_path) == ["out.csv"]
