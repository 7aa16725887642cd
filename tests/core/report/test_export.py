from __future__ import annotations

import csv
import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.report.export import COLUMNS, ExportRow, csv_cells, plain_csv_line

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=10) | st.sampled_from(
    ["=1", "@x", "a\x1b", "\ud800", "", 'a"b', "a,b", "a b"]
)


def _row(path: str) -> ExportRow:
    return ExportRow(path=path, purpose="fine-tune", status="accepted", bytes=0, attempts=1)


def test_the_columns_are_the_contract() -> None:
    """Scripts depend on these names in this order; new columns go to the end."""
    assert COLUMNS == (
        "path", "purpose", "status", "file_id", "bytes", "sha256", "sent_name", "attempts", "http_status",
        "reason", "first_seen_utc", "settled_utc", "agent", "blake3",
    )  # fmt: skip


def test_a_row_has_a_cell_for_each_column() -> None:
    """Numbers are digits, zero included, and what is not known is empty."""
    assert csv_cells(_row("a")) == [
        "a",
        "fine-tune",
        "accepted",
        "",
        "0",
        "",
        "",
        "1",
        "",
        "",
        "",
        "",
        "",
        "",
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "|", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_a_cell_that_would_be_a_formula_is_made_text(start: str) -> None:
    """A leading apostrophe tells a spreadsheet that this is text; elsewhere the character is harmless."""
    assert csv_cells(_row(f"{start}cmd()"))[0] == f"'{start}cmd()"
    assert csv_cells(_row(f"a{start}b"))[0] == f"a{start}b"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "|", "\uff1d"])
def test_no_formula_starts_after_a_semicolon(start: str) -> None:
    """Spreadsheets of many countries split lines at semicolons, whatever was meant."""
    assert csv_cells(_row(f"a;{start}cmd()"))[0] == f"a;'{start}cmd()"
    assert csv_cells(_row(f'a;"{start}cmd()'))[0] == f"a;\"'{start}cmd()"
    assert csv_cells(_row("a;b"))[0] == "a;b"
    assert plain_csv_line(_row(f"a;{start}cmd()")) is None


@given(path=ANY_TEXT, reason=st.none() | ANY_TEXT, size=st.none() | st.integers())
def test_a_plain_line_is_what_a_csv_writer_makes_of_the_cells(
    path: str, reason: str | None, size: int | None
) -> None:
    """The quick way to a line of CSV leads to the same line, or says that it cannot."""
    row = _row(path)._replace(reason=reason, bytes=size)
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(csv_cells(row))
    assert plain_csv_line(row) in (text.getvalue(), None)


def test_most_rows_are_plain() -> None:
    """Spaces and letters of any script take the quick way."""
    row = ExportRow(path="a b/ü雪.jsonl", purpose="p", status="accepted", bytes=0)
    assert plain_csv_line(row) == "a b/ü雪.jsonl,p,accepted,,0,,,0,,,,,,"


def test_numbers_are_never_made_text() -> None:
    """A count stays a number for the spreadsheet."""
    assert csv_cells(ExportRow(path="a", purpose="p", status="s", bytes=-1))[4] == "-1"


@pytest.mark.parametrize(
    ("path", "cell"),
    [
        ("a\nb", r"a\x0ab"),
        ("\t=1", r"\x09=1"),
        ("\r=1", r"\x0d=1"),
        ("a\x00b\x7f", r"a\x00b\x7f"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b2J", r"\x9b2J"),
        ("a\u202eb\u2028", r"a\u202eb\u2028"),
        ("a\ud800b", r"a\ud800b"),
        ("no\u00a0break", "no\u00a0break"),
        ("caf\udce9", "caf\udce9"),
    ],
)
def test_what_could_steer_is_spelled_out_and_the_rest_stays(path: str, cell: str) -> None:
    """Controls, overrides and impossible characters are spelled; spaces and undecodable bytes are kept."""
    assert csv_cells(_row(path))[0] == cell


@given(st.text(st.characters()))
def test_any_text_makes_a_cell_that_can_be_written(text: str) -> None:
    """A cell has no control character, starts no formula, and encodes with surrogate escapes."""
    cell = csv_cells(_row(text))[0]
    assert not any(one < " " or "\x7f" <= one <= "\x9f" for one in cell)
    assert cell[:1] not in {"=", "+", "-", "@", "|"}
    cell.encode("utf-8", "surrogateescape")


@given(st.binary())
def test_a_printable_path_is_its_own_cell(raw: bytes) -> None:
    """Nothing is changed without need."""
    path = os.fsdecode(raw)
    if path.isprintable() and path[:1] not in set("=+-@|\uff1d\uff0b\uff0d\uff20"):
        assert csv_cells(_row(path))[0] == path
