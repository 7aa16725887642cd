"""Kinds of files that people really have: what is found, and that the advice fits; each stands for its siblings."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any, NamedTuple

import pytest

from bulk_upload.core.convert.converter import Converter
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.shapes.command import ConvertCommand
from bulk_upload.core.validation.checker import Checker
from bulk_upload.core.validation.report import FileReport

TUNE, PREFER, REINFORCE, TRAIN = "fine-tune", "preference-fine-tune", "reinforcement-fine-tune", "pre-train"
USER = {"role": "user", "content": "Is it raining?"}
SAID = {"role": "assistant", "content": "No."}


def lines(*values: Any) -> bytes:
    """Return values as JSON Lines."""
    return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in values)


def chat(*messages: Any) -> dict[str, Any]:
    """Return a conversation."""
    return {"messages": list(messages)}


GOOD = lines(*(chat({**USER, "content": str(number)}, SAID) for number in range(3)))


def pair(chosen: str, rejected: str) -> dict[str, Any]:
    """Return preference data."""
    answers = [[{**SAID, "content": one}] for one in (chosen, rejected)]
    return {**chat(USER), "chosen": answers[0], "rejected": answers[1]}


def archive() -> bytes:
    """Return a tar archive of a good file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        member = tarfile.TarInfo("data.jsonl")
        member.size = len(GOOD)
        made.addfile(member, io.BytesIO(GOOD))
    return buffer.getvalue()


def weights() -> bytes:
    """Return a file of safetensors."""
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    return len(header).to_bytes(8, "little") + header + bytes(4)


class Kind(NamedTuple):
    """A content, the one rule that it earns, and words of what was found and what to do."""

    purpose: str
    content: bytes
    rule: str
    found: str
    remedy: str


CONVERTED = "bulk-upload convert f.jsonl --purpose"
KINDS = {
    "a tar archive": Kind(TUNE, archive(), "compressed", "tar archive", "Unpack it"),
    "weights of a model": Kind(TUNE, weights(), "not-json-lines", "safetensors", "Name the file with the data"),
    "weights in GGUF": Kind(TUNE, b"GGUF\x03\0\0\0" + bytes(40), "not-json-lines", "GGUF", "Name the file"),
    "an Arrow stream": Kind(TUNE, b"\xff\xff\xff\xff\x10\1" + bytes(40), "not-json-lines", "Arrow stream", "Export"),
    "UTF-16 without a mark, of no Latin letters": Kind(
        TRAIN, lines({"text": "漢字" * 40}).decode().encode("utf-16-be"), "utf-16", "UTF-16", f"{CONVERTED} pre-train --fix"
    ),
    "UTF-16 without a mark, the other way round": Kind(
        TRAIN, lines({"text": "漢字" * 40}).decode().encode("utf-16-le"), "utf-16", "UTF-16", f"{CONVERTED} pre-train --fix"
    ),
    "arrays of conversations": Kind(
        TUNE, lines([[USER, SAID]], [[SAID, USER, SAID]]), "json-array", "one JSON array", f"{CONVERTED} fine-tune"
    ),
    "an error of a server": Kind(
        TUNE, lines({"error": {"code": 404, "message": "no such file"}}), "missing-key", "reports an error", "fetch the file again"
    ),
    "a problem report of a server": Kind(
        TRAIN, lines({"title": "Not Found", "status": 404, "detail": "x"}), "missing-key", "reports an error", "fetch the file again"
    ),
    "one message in the place of an array": Kind(
        PREFER, lines({**pair("a", "b"), "chosen": SAID}), "wrong-type", "this is one message", f"{CONVERTED} {PREFER}"
    ),
    "answers that differ in white space only": Kind(
        PREFER, lines(pair("Yes.", "Yes. \n")), "same-answers", "white space only", "two different answers"
    ),
    "a pair whose question holds the answer": Kind(
        PREFER, lines({**pair("No.", "Yes."), "messages": [USER, SAID]}), "answer-in-messages", "gives the answer away", f"{CONVERTED} {PREFER}"
    ),
    "a pair whose question holds the answer in other words": Kind(
        PREFER, lines({**pair("No. ", "Yes."), "messages": [USER, SAID]}), "answer-in-messages", "gives the answer away", "Remove the last message"
    ),
    "a null": Kind(TUNE, GOOD + lines(chat(USER, {**SAID, "content": None})), "wrong-type", "null", "or remove the line"),
    "true, which Python spells otherwise": Kind(
        TRAIN, lines({"text": True}), "wrong-type", "true or false", "Write it as a string, in quotes"
    ),
    "a number with a point": Kind(TRAIN, lines({"text": 3.10}), "wrong-type", "3.1", "Write it as a string, in quotes"),
    "a number beyond 64 bits": Kind(
        REINFORCE, b'{"messages": [{"role": "user", "content": "a"}], "reference_answer": 12345678901234567890123}\n',
        "wrong-type", "a number", "Write it as a string, in quotes",
    ),
    "a JSON text sequence": Kind(
        TUNE, b"".join(b"\x1e" + line for line in GOOD.splitlines(keepends=True)), "bad-json", "record separator", f"{CONVERTED} fine-tune --fix"
    ),
    "the end mark of DOS": Kind(TUNE, GOOD + b"\x1a", "bad-json", "(0x1a) outside of strings", "Remove it"),
    "a form feed between values": Kind(
        TUNE, GOOD + b'{"messages":\x0c[]}\n', "bad-json", "(0x0c) outside of strings", "Remove it"
    ),
    "an Office file": Kind(
        TUNE, b"PK\x03\x04\x14\0\6\0\x08\0\0\0!\0[Content_Types].xml" + bytes(40), "not-json-lines", "Office file", "Export the data"
    ),
    "records in one object": Kind(
        TUNE, lines({"data": [chat(USER, SAID), chat(USER, SAID)]}), "missing-key", "in the array `data`", "record of `data` on a line"
    ),
    "records of another tool in one object": Kind(
        TUNE, lines({"data": [{"instruction": "i", "output": "o"}]}), "missing-key", "in the array `data`", "record of `data` on a line"
    ),
    "a text under another key": Kind(
        TUNE, lines(chat({"role": "user", "message": "a"}, {"role": "assistant", "message": "b"})), "missing-key", 'but "message"', f"{CONVERTED} fine-tune"
    ),
    "a system prompt under another name": Kind(
        TUNE, lines({"preamble": "s", **chat(USER, SAID)}), "system-beside-messages", '"preamble"', f"{CONVERTED} fine-tune"
    ),
    "a weight that JSON has under another name": Kind(
        TUNE, lines(chat(USER, {**SAID, "weight": True})), "bad-weight", "the weight is true", "Write 1"
    ),
    "a small number": Kind(TRAIN, lines({"text": 42}), "wrong-type", "42", 'Write it as a string, in quotes: "42"'),
}  # fmt: skip


def report_of(kind: Kind) -> FileReport:
    """Check a content."""
    checker = Checker(
        PURPOSES[kind.purpose], where="f.jsonl", command=ConvertCommand(file="f.jsonl", purpose=kind.purpose)
    )
    checker.feed(kind.content)
    checker.finish()
    return checker.report()


def findings_of(content: bytes, rule: str) -> list[tuple[int | None, str]]:
    """Return the line and the remedy of each finding of a rule that is kept."""
    report = report_of(Kind(TUNE, content, rule, "", ""))
    return [(one.line_no, one.remedy) for one in report.findings if one.rule == rule]


def test_each_shape_of_a_file_is_named_with_its_own_advice() -> None:
    """One line that cannot be converted does not speak for the others, whatever their keys, and a few words are enough."""
    content = lines(
        {"instruction": "i", "input": 5, "output": "o"},
        {"instruction": "i", "input": "x", "output": "o"},
        {"conversations": [{"from": "human", "value": "h"}, {"from": "gpt", "value": "g"}]},
        *({"instruction": str(number), "input": 5, "output": "o"} for number in range(100)),
    )
    (first, bad), (second, good), (third, sharegpt) = findings_of(content, "foreign-schema")
    assert (first, second, third) == (1, 2, 3)
    assert bad == "They cannot be converted: such a line has input that is no text"
    assert good == sharegpt == f"Convert them: {CONVERTED} fine-tune"


@pytest.mark.parametrize("score", ["NaN", '"\\ud800"'])
def test_what_hides_a_shape_is_to_be_mended_first(score: str) -> None:
    """A line with a constant or half a character is not called beyond conversion."""
    content = f'{{"instruction": "i", "output": "o", "score": {score}}}\n'.encode()
    assert findings_of(content, "foreign-schema") == [(1, "Mend what other findings name, then convert them")]


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_named_with_advice_that_fits(name: str) -> None:
    """One rule, and no second one that says something else about the same fault."""
    kind = KINDS[name]
    report = report_of(kind)
    assert set(report.counts) == {kind.rule}
    (finding, *_) = report.findings
    assert kind.found in finding.found
    assert kind.remedy in finding.remedy


@pytest.mark.parametrize(
    "name", ["a number with a point", "a number beyond 64 bits", "true, which Python spells otherwise"]
)
def test_advice_quotes_no_value_that_it_would_change(name: str) -> None:
    """What was read as a number is not written with other digits, nor a constant in the words of Python."""
    assert report_of(KINDS[name]).findings[0].remedy == "Write it as a string, in quotes"


WITHOUT_ANSWER = [chat(USER), chat({"role": "system", "content": "Be brief."}), chat(USER, USER)]


@pytest.mark.parametrize("bad", WITHOUT_ANSWER)
def test_what_is_converted_is_valid(bad: dict[str, Any]) -> None:
    """A line with all its keys may still be one that no run would send: it is left, not kept."""
    converter = Converter(PURPOSES[TUNE])
    made = converter.convert([*lines(chat(USER, SAID)).splitlines(), *lines(bad).splitlines()])
    assert (len(made.lines), len(made.left), converter.tally.kept) == (1, 1, 1)
    assert "no-assistant" in made.left[0].reason


def table_checker() -> Checker:
    """Return a checker of a table."""
    return Checker(PURPOSES[TUNE], where="d.csv", command=ConvertCommand(file="d.csv", purpose=TUNE))


def test_a_table_with_a_history_is_converted() -> None:
    """A column that is empty in most rows, and JSON in the others, is no obstacle."""
    checker = table_checker()
    checker.feed(b"instruction,input,output,history,system\na,,b,,c\n")
    checker.finish()
    assert "convert d.csv" in checker.report().findings[0].remedy


def test_a_table_of_one_column_of_json_is_converted() -> None:
    """A program of csv and json alone would write the cells as texts."""
    checker = table_checker()
    cell = json.dumps([USER, SAID]).replace('"', '""')
    checker.feed(f'messages\n"{cell}"\n'.encode())
    checker.finish()
    (finding,) = checker.report().findings
    assert finding.remedy == "Write its rows as JSON Lines: bulk-upload convert d.csv --purpose fine-tune"
