"""Marks of chat templates in texts: data that was rendered once would be rendered again."""

from __future__ import annotations

import json

import pytest

from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.validation.checker import Checker
from bulk_upload.core.validation.examples.template_marks import BYTES_SEARCHED_MAX, RULE
from bulk_upload.core.validation.quarantine import LineSorter
from bulk_upload.core.validation.report import FileReport
from bulk_upload.core.validation.rules import RuleChoice

CHAT = PURPOSES["fine-tune"]


def line(text: str, *, encoded: bool = False) -> bytes:
    """Return a line of data with a text."""
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "b"}]
    written = json.dumps({"messages": messages}, ensure_ascii=False)
    if encoded:
        written = written.replace("<", "\\u003c").replace(">", "\\u003e")
    return written.encode() + b"\n"


def look(data: bytes, *, piece: int = 1 << 20) -> FileReport:
    """Check data that comes in pieces."""
    checker = Checker(CHAT, where="f")
    for start in range(0, len(data), piece):
        checker.feed(data[start : start + piece])
    checker.finish()
    return checker.report()


MARKED = [
    "<|im_start|>user\nhi<|im_end|>",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>",
    "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nhi [/INST]",
    "[INST] hi [/INST]",
    "<s>hi",
    "hi</s>",
    "<start_of_turn>user\nhi<end_of_turn>",
    "<|user|>\nhi<|end|>",
    "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>hi",
    "<|start|>user<|message|>hi<|end|>",
    "<\uff5cbegin\u2581of\u2581sentence\uff5c><\uff5cUser\uff5c>hi",
    '[TOOL_CALLS] [{"name": "f"}]',
]
PLAIN = [
    "a <| b |> c, as F# writes it",
    "| a | b |\n|---|---|",
    "the <s>old</s> price in HTML",
    "list[INST], if <b>bold</b> && x<y|z>1",
    "INST and [inst] and <start>",
    "a <|> b <||> c",
]


@pytest.mark.parametrize("text", MARKED)
def test_a_rendered_text_is_a_warning(text: str) -> None:
    """By the marks of each family of models; the finding names some of them."""
    report = look(line("fine") + line(text))
    assert report.counts == {RULE: 1}
    assert (report.findings[0].line_no, report.is_valid) == (2, True)
    assert report.findings[0].found.endswith("marks of a chat template")


@pytest.mark.parametrize("text", PLAIN)
def test_text_that_only_resembles_one_is_none(text: str) -> None:
    """Code, tables and HTML are data."""
    assert look(line(text)).counts == {}


def test_marks_are_found_as_encoders_for_html_write_them() -> None:
    """Go's encoder writes `<` as an escape; the finding shows what is meant."""
    report = look(line("<|im_start|>user", encoded=True))
    assert report.findings[0].found == "the line holds <|im_start|>: marks of a chat template"


@pytest.mark.parametrize("piece", [1, 777, 100_000, 1 << 20])
def test_all_lines_count_once_the_beginning_has_one(piece: int) -> None:
    """However the file is read: a count that depended on that would differ between two runs."""
    good = b"".join(
        line(f"{number} {'x' * 500}")
        for number in range(BYTES_SEARCHED_MAX // 500 // (40 if piece == 1 else 1))
    )
    late = line("late [INST]") + line("fine") + line("later [INST]")
    assert look(line("first [INST]") + good + late, piece=piece).counts == {RULE: 3}
    if piece > 1:
        assert look(good + late, piece=piece).counts == {}


def test_what_a_person_raised_is_set_apart() -> None:
    """The quarantine agrees with the verdict, and keeps the order of lines."""
    sorter = LineSorter(CHAT, where="f", known=(), choice=RuleChoice(errors=frozenset({RULE})))
    lines = [line("fine"), b"{]\n", line("[INST]"), b"[]\n"]
    made = sorter.sort(lines)
    assert [(number, [one.rule for one in found]) for number, _, found in made.bad] == [
        (2, ["bad-json"]), (3, [RULE]), (4, ["not-an-object"]),
    ]  # fmt: skip
    assert made.good == [line("fine")]
    assert LineSorter(CHAT, where="f", known=()).sort(lines).good == [line("fine"), line("[INST]")]
