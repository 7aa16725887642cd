from __future__ import annotations

import pytest

from bulk_upload.cli.job_options import without_retry


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["run", "m.jsonl"], ["run", "m.jsonl"]),
        (["run", "--retry", "rejected", "m.jsonl"], ["run", "m.jsonl"]),
        (["run", "m.jsonl", "--retry=failed,invalid", "--quiet"], ["run", "m.jsonl", "--quiet"]),
        (["run", "m.jsonl", "--retry"], ["run", "m.jsonl"]),
    ],
)
def test_a_proposed_command_has_one_retry_at_most(typed: list[str], kept: list[str]) -> None:
    """What is to be tried again next stands alone, not behind what was tried again now."""
    assert without_retry(typed) == kept
