from __future__ import annotations

import re
from pathlib import Path

from bulk_upload.core.model import EntryState
from bulk_upload.core.report.export import COLUMNS
from bulk_upload.edge.ledger.reading.reader import DROPPED
from bulk_upload.report.files.parquet import GROUP_ROWS, NUMBERS, TIMES
from bulk_upload.report.files.rows import RowFormat

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "exports.md").read_text("utf-8")


def _first_cells(header: str) -> list[str]:
    """The names in the first column of the table whose header line is `header`."""
    _, _, rest = PAGE.partition(f"{header}\n")
    table, _, _ = rest.partition("\n\n")
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_the_page_names_exactly_the_columns() -> None:
    """Every column is explained, in order, and none that does not exist."""
    assert tuple(_first_cells("| column | meaning |")) == COLUMNS


def test_the_page_names_exactly_the_statuses() -> None:
    """Every value of `status` is explained."""
    assert set(_first_cells("| status | meaning |")) == {
        *(one.value for one in EntryState),
        "superseded",
        DROPPED,
    }


def test_the_page_names_the_formats_and_types_of_parquet() -> None:
    """Formats, group size and the columns that are no texts are those of the code."""
    assert f"--format {'|'.join(RowFormat)}`" in PAGE
    section = " ".join(PAGE.partition("## Parquet")[2].partition("## ")[0].split())
    assert f"{GROUP_ROWS:,} rows" in section
    numbers = ", ".join(f"`{name}`" for name in NUMBERS[:-1])
    assert f"{numbers} and `{NUMBERS[-1]}` are 64-bit integers" in section
    assert " and ".join(f"`{name}`" for name in TIMES) + " are timestamps" in section
