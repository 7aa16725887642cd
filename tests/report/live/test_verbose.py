from __future__ import annotations

from msgspec.structs import replace

from bulk_upload.report.live.verbose import verbose_line
from tests.report.scripted_run import receipt, settled


def test_what_was_only_compared_is_not_told_as_accepted() -> None:
    """A touched file with its old content has its receipt and sent no bytes: one word for it everywhere."""
    sent = settled("a", receipt=receipt("a"))
    file_id = receipt("a").file_id
    assert verbose_line(sent, 1) == f"accepted: a: {file_id}, 1.0 MB"
    assert verbose_line(replace(sent, unchanged=True), 1) == f"unchanged: a: {file_id}, nothing was sent"
