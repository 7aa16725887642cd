"""docs/reference/log.md and docs/reference/log.schema.json say what the log is."""

from __future__ import annotations

import re
from pathlib import Path

from bulk_upload.core.report.log_records import LOG_VERSION, Level, name_of
from tests.docs import log_schema

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "log.md").read_text("utf-8")


def test_the_schema_is_up_to_date() -> None:
    """The schema is made of the records as they are now."""
    assert log_schema.FILE.read_text("utf-8") == log_schema.text(), f"run: {log_schema.COMMAND}"


def test_every_event_is_explained() -> None:
    """The table has each event once, with a level that exists; the page names the version."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+)", PAGE, re.MULTILINE))
    assert set(rows) == {name_of(one.__name__) for one in log_schema.RECORDS}
    assert set(rows.values()) <= {one.name.lower() for one in Level}
    assert f"now {LOG_VERSION})" in PAGE
