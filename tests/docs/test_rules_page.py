"""docs/reference/rules.md: every rule with an example of wrong and right, each of which is what it says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bulk_upload.core.purposes import PURPOSES, unknown_to_us
from bulk_upload.core.validation.report import FileReport
from bulk_upload.core.validation.rules import RULES
from bulk_upload.core.validation.schema_file import read_schemas
from bulk_upload.edge.validation.reading import CheckTask, check_file
from tests.docs import rules_page


def look(folder: Path, content: str | bytes, example: rules_page.Example) -> FileReport:
    """Check a content as the example says."""
    path = folder / example.name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    purposes = read_schemas(example.schema.encode(), name="s.toml") if example.schema else PURPOSES
    purpose = purposes.get(example.purpose) or unknown_to_us(example.purpose)
    task = CheckTask(
        path=example.name, purpose=purpose, known=tuple(PURPOSES.values()), thorough=example.thorough
    )
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return check_file(descriptor, task)
    finally:
        os.close(descriptor)


def test_the_page_is_up_to_date() -> None:
    """The page is made of the rules, and every rule has an example or says what earns it."""
    assert {*rules_page.EXAMPLES, *rules_page.NO_EXAMPLE} == set(RULES)
    assert rules_page.FILE.read_text("utf-8") == rules_page.text(), f"run: {rules_page.COMMAND}"


@pytest.mark.parametrize("rule", rules_page.EXAMPLES)
def test_each_example_is_wrong_and_right(tmp_path: Path, rule: str) -> None:
    """What is shown as wrong earns the rule, and what is shown as right has no finding of an error or a warning."""
    example = rules_page.EXAMPLES[rule]
    assert rule in look(tmp_path, example.wrong, example).counts
    if example.right and rule not in ("unusual-suffix", "unknown-schema"):
        report = look(tmp_path, example.right, example)
        assert set(report.counts) <= {"torch-unread", "unusual-suffix"}
