from __future__ import annotations

import pytest

from bulk_upload.cli.options.job import shown_command, without_retry


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


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (
            ["run", "m", "--proxy", "http://me:hunter2@proxy:1"],
            "bulk-upload run m --proxy http://...@proxy:1",
        ),
        (
            ["run", "m", "--proxy=http://me:hunter2@proxy:1"],
            "bulk-upload run m --proxy=http://...@proxy:1",
        ),
        (["run", "--proxy", "me:hunter2@proxy:1", "m"], "bulk-upload run --proxy ...@proxy:1 m"),
        (["run", "http://me:hunter2@x"], "bulk-upload run http://...@x"),
        (["run", "--proxy", "http://proxy:1", "a b"], "bulk-upload run --proxy http://proxy:1 'a b'"),
        (["run", "m", "--retry", "failed", "--proxy", "u:p@x"], "bulk-upload run m --proxy ...@x"),
    ],
)
def test_a_proposed_command_repeats_no_password(typed: list[str], shown: str) -> None:
    """Everything else is as it was typed."""
    assert shown_command(typed) == shown
