from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from bulk_upload.core.report.export import ExportRow
from bulk_upload.report.files.mapping_table import mapping_table


def _row(path: str = "train/a.jsonl", file_id: str | None = "file-0123456789abcdef") -> ExportRow:
    status = "pending" if file_id is None else "accepted"
    size = None if file_id is None else 1_500_000
    return ExportRow(path=path, purpose="fine-tune", status=status, file_id=file_id, bytes=size)


def _shown(rows: list[ExportRow], limit: int = 10, *, row_count: int | None = None, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as capture:
        console.print(mapping_table(rows, limit, row_count))
    return capture.get()


def test_a_row_shows_path_purpose_status_id_and_size() -> None:
    """The mapping is read off one line at 80 columns."""
    (line,) = (line for line in _shown([_row()]).splitlines() if "train" in line)
    assert line.split() == ["train/a.jsonl", "fine-tune", "accepted", "file-0123456789abcdef", "1.5", "MB"]


def test_what_has_no_id_shows_a_dash() -> None:
    """An entry that is not there yet has no id and no size."""
    (line,) = (line for line in _shown([_row(file_id=None)]).splitlines() if "train" in line)
    assert line.split() == ["train/a.jsonl", "fine-tune", "pending", "-", "-"]


@pytest.mark.parametrize("row_count", [None, 1234])
def test_rows_beyond_the_limit_are_counted(row_count: int | None) -> None:
    """The caption says honestly how many rows are not shown, by counting or by being told."""
    text = _shown([_row(f"f{number}") for number in range(1234)], 2, row_count=row_count)
    assert "f1 " in text
    assert "f2 " not in text
    assert "... and 1,232 more" in text


def test_rows_are_not_read_to_the_end_when_their_number_is_known() -> None:
    """A ledger of a million rows is not walked for a table of ten."""
    taken = []

    def rows() -> Iterator[ExportRow]:
        for number in range(1_000_000):
            taken.append(number)
            yield _row(str(number))

    mapping_table(rows(), 10, 1_000_000)
    assert len(taken) == 10


def test_a_table_that_shows_all_has_no_caption() -> None:
    """Nothing more is hinted at where there is nothing more."""
    assert "more" not in _shown([_row()])


def test_ids_and_paths_are_never_cut() -> None:
    """What does not fit goes on in the next line, so that it can be copied."""
    path, file_id = "p" * 100, "file-" + "i" * 60
    text = _shown([_row(path, file_id)])
    assert text.count("p") - text.count("path") - text.count("purpose") * 2 >= 100
    assert "…" not in text


def test_names_are_neither_markup_nor_control() -> None:
    """A file called like markup is shown under its own name."""
    text = _shown([_row("[red]a[/x]\x1b[2J")])
    assert r"[red]a[/x]\x1b[2J" in text
