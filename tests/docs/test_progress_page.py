from __future__ import annotations

import inspect
import re
from pathlib import Path

from bulk_upload.core.text.printable import COLUMNS_MAX
from bulk_upload.report.live import slow_uploads
from bulk_upload.report.live.frame import MESSAGE_ROWS_SHARE
from bulk_upload.report.live.notable_events import FAILURES_SHOWN_MAX
from bulk_upload.report.live.plain_lines import PAUSE_S_TOLD_MIN

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "reference" / "progress.md").read_text("utf-8").split())


def test_the_page_says_what_an_upload_can_be_doing() -> None:
    """The words in the table are those of the display."""
    table = re.findall(r"\| ([a-z ,0-9]+) \|", PAGE.partition("| words |")[2])[0::1]
    source = inspect.getsource(slow_uploads)
    words = [
        one.replace("8 s", "{left_s} s") for one in table if f'"{one.replace("8 s", "{left_s} s")}"' in source
    ]
    assert len(words) == 10


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    """When uploads are shown and where, which pauses and failures are told."""
    numbers = {2: "two", 3: "three", 5: "five", 6: "six", 10: "ten"}
    assert f"after {numbers[int(slow_uploads.SHOWN_AFTER_S)]} seconds" in PAGE
    assert {4: "a quarter"}[MESSAGE_ROWS_SHARE] in PAGE
    assert f"at most {COLUMNS_MAX} columns" in PAGE
    assert f"more than {numbers[int(PAUSE_S_TOLD_MIN)]} seconds" in PAGE
    assert f"the first {numbers[FAILURES_SHOWN_MAX]} in full" in PAGE
