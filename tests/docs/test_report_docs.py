from __future__ import annotations

from pathlib import Path

from bulk_upload.report.page.distribution import BINS_PER_DECADE
from bulk_upload.report.page.page import ROWS_MAX

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "report.md").read_text("utf-8")


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    """Rows in a table, rows on paper, width of bins."""
    script = (Path(__file__).parents[2] / "bulk_upload/report/page/script.js").read_text("utf-8")
    assert f"{ROWS_MAX:,} rows at most" in PAGE
    assert "first 200\nrows" in PAGE
    assert "PRINTED_MAX = 200;" in script
    assert f"{100 * (10 ** (1 / BINS_PER_DECADE) - 1):.0f} % wide" in PAGE
