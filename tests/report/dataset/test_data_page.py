"""The page about data: numbers of every purpose, and nothing in it that a browser would interpret."""

from __future__ import annotations

import io
from html.parser import HTMLParser

from bulk_upload.core.dataset.comparison import Comparison, Place
from bulk_upload.core.dataset.example import ExampleReader
from bulk_upload.core.dataset.statistics import Statistics
from bulk_upload.core.finding import Finding, Severity
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.report.dataset.lines import survey_lines
from bulk_upload.report.dataset.page import write_data_page
from bulk_upload.report.dataset.survey_result import SurveyResult
from bulk_upload.report.live.data_findings import GroupedFindings, Totals

EVIL = '<script>alert("\u202e")</script>'
OPEN_ENDED = {"meta", "link", "br", "input"}


class _Checker(HTMLParser):
    """Fails for a tag that is not closed, and collects those there are."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in OPEN_ENDED:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def result() -> SurveyResult:
    """What was found in data with names that mean something to a browser."""
    found = {}
    for purpose, record in (
        (
            "fine-tune",
            {"messages": [{"role": EVIL, "content": "x" * 90, "tool_calls": [{"function": {"name": EVIL}}]}]},
        ),
        (
            "preference-fine-tune",
            {name: [{"role": "user", "content": name}] for name in ("messages", "chosen", "rejected")},
        ),
        ("pre-train", {"text": "Once."}),
    ):
        statistics = Statistics(file_count=1, other_count=1)
        example = ExampleReader(PURPOSES[purpose].schema).read(record)
        assert example is not None
        statistics.add(example, EVIL, 3)
        statistics.add_tokens(12, EVIL, 3)
        statistics.over_count = 1
        found[purpose] = statistics
    comparison = Comparison([0, 1].__getitem__)
    comparison.add_same([Place(0, 1), Place(0, 2), Place(1, 7)])
    return SurveyResult(
        statistics=found,
        max_tokens=10,
        comparison=comparison,
        compared_count=9,
        paths=[EVIL, "b.jsonl"],
        group_names=("train", EVIL),
        group_example_counts={0: 8, 1: 1},
    )


def page() -> str:
    """Write the page."""
    grouped = GroupedFindings()
    grouped.add_one(
        Finding(rule="crlf", where=EVIL, found=EVIL, remedy=EVIL, place=EVIL, severity=Severity.WARNING)
    )
    stream = io.BytesIO()
    write_data_page(
        stream,
        what=EVIL,
        made_utc="2026-01-31",
        version="1",
        totals=Totals(file_count=3, error_count=1, invalid_count=1),
        findings=grouped.by_rule(),
        result=result(),
    )
    return stream.getvalue().decode("utf-8")


def test_nothing_of_the_data_is_interpreted() -> None:
    """Names, roles, tools and words of findings are text; every element ends, and every id is there once."""
    checker = _Checker()
    checker.feed(page())
    assert checker.open == []
    assert "script" not in checker.tags
    assert len(set(checker.ids)) == len(checker.ids)
    assert "\u202e" not in page()


def test_every_purpose_has_its_numbers() -> None:
    """Amounts, roles, tools, answers, what is the same and what groups have in common."""
    text = page()
    for words in (
        "<h1>1 error in 1 invalid file</h1>",
        "<h2>preference-fine-tune</h2>",
        "Tokens per example",
        "chosen 6 characters on average, rejected 8",
        "1 example of more than 10 tokens",
        "Of 9 examples, 1 repeated within a file",
        "of 1 example 1 in both (100.0 %)",
    ):
        assert words in text


def test_lines_for_a_terminal_have_no_control_characters() -> None:
    """Whatever names hold."""
    lines = list(survey_lines(result()))
    assert all(line.isprintable() for line in lines)
    assert any("of 1 example 1 in both" in line for line in lines)
