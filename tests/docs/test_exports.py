from __future__ import annotations

import re
from pathlib import Path

from bulk_upload.core.export import COLUMNS
from bulk_upload.core.model import EntryState

PAGE = (Path(__file__).parents[2] / "docs" / "exports.md").read_text("utf-8")


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
    assert set(_first_cells("| status | meaning |")) == {*(one.value for one in EntryState), "superseded"}
