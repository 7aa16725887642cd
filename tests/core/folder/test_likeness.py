"""What a file is for, by its content."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bulk_upload.core.folder.likeness import FileHead, Likeness, likeness
from bulk_upload.core.purposes import PURPOSES, Field, Kind, Purpose, Schema

CHAT = {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}
QUESTION = {"messages": [{"role": "user", "content": "Why?"}]}
ANSWER = [{"role": "assistant", "content": "So."}]
EXAMPLES: dict[str, dict[str, Any]] = {
    "fine-tune": CHAT,
    "preference-fine-tune": {**QUESTION, "chosen": ANSWER, "rejected": ANSWER},
    "reinforcement-fine-tune": {**QUESTION, "reference_answer": "28"},
    "pre-train": {"text": "The tide."},
}


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in values)


def like(
    path: str,
    content: bytes,
    *,
    whole: bool = True,
    columns: tuple[str, ...] | None = None,
    purposes: tuple[Purpose, ...] = tuple(PURPOSES.values()),
) -> Likeness:
    return likeness(path, FileHead(content=content, is_whole=whole, columns=columns), purposes)


@pytest.mark.parametrize("purpose", EXAMPLES)
def test_every_schema_is_recognised(purpose: str) -> None:
    """Lines with the fields of one purpose are for it, whatever else is on them."""
    sure = Likeness(purpose=purpose, is_sure=True)
    assert like("a.jsonl", lines(EXAMPLES[purpose])) == sure
    assert like("a.JSONL", b"\xef\xbb\xbf\n" + lines({**EXAMPLES[purpose], "id": 7, "split": "x"})) == sure


@pytest.mark.parametrize("first", EXAMPLES)
@pytest.mark.parametrize("second", EXAMPLES)
def test_lines_of_two_purposes_are_not_sure(first: str, second: str) -> None:
    """A file whose lines are for different purposes has none."""
    found = like("a.jsonl", lines(EXAMPLES[first], EXAMPLES[second]))
    assert found.is_sure == (first == second)
    assert found.is_sure or "several purposes" in found.reason


def test_fields_of_two_purposes_are_not_sure() -> None:
    """Where neither purpose covers the other, nobody can tell which is meant."""
    found = like("a.jsonl", lines({**CHAT, "text": "the same as text"}))
    assert found == Likeness(reason="may be for fine-tune or pre-train")


def test_one_good_line_is_enough() -> None:
    """Bad lines are for validation to report; a file without any good line is not sure."""
    bad = {"messages": [{"role": "bot", "content": "So."}]}
    assert like("a.jsonl", lines(bad, CHAT) + b'{"messages": [').is_sure
    found = like("a.jsonl", lines(bad, bad))
    assert not found.is_sure
    assert found.purpose == "fine-tune"
    assert 'the role "bot"' in found.reason


def test_only_whole_lines_count() -> None:
    """The last line of a beginning is cut off, and says nothing; without another one, nothing is known."""
    content = lines(CHAT) + lines({"text": "a"})[:8]
    assert like("a.jsonl", content, whole=False).is_sure
    assert "too long" in like("a.jsonl", b'{"text": "a', whole=False).reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b" \n\n", "no line of JSON"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"[\n", "one JSON array"),
        (b"{\n", "pretty-printed JSON: one object spans several lines"),
        (b"path;a\n1;2\n", "CSV"),
        (b"Once upon a time\n", "plain text"),
        (b"17\n", "lines that are not objects"),
        (lines({"instruction": "a", "input": "b", "output": "c"}), "Alpaca"),
        (lines({"conversations": [{"from": "human", "value": "a"}]}), "ShareGPT"),
        (lines({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}), "lines with a, b, c, d, …"),
        (lines({"text": 5}), "lines with text"),
        (lines({"messages": "a"}), "lines with messages"),
        (b'{\0"\0a\0"\0:\0', "UTF-16"),
        (b"\1\0\2\3\4\5\6\7\0\1\2", "binary data"),
    ],
)
def test_other_content_has_a_reason(content: bytes, reason: str) -> None:
    """What no purpose takes is never sure, and the reason says what it is."""
    found = like("a.jsonl", content)
    assert not found.is_sure
    assert found.purpose is None
    assert reason in found.reason


@pytest.mark.parametrize(
    ("line", "purposes"),
    [
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, ("preference-fine-tune",)),
        ({"instruction": "a", "input": "b", "output": "c"}, ("fine-tune",)),
        ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, ("fine-tune",)),
        ({"a": 1}, ()),
    ],
)
def test_what_can_be_converted_says_for_which_purpose(
    line: dict[str, Any], purposes: tuple[str, ...]
) -> None:
    """The purpose is one that `convert` has a place for all of the line in, not the first in a table."""
    found = like("a.jsonl", lines(line))
    assert found.convert_to == purposes
    assert ("to be converted" in found.reason) is bool(purposes)


@pytest.mark.parametrize(
    ("records", "purposes", "words"),
    [
        ([{"instruction": "a", "output": "c"}], ("fine-tune",), "a JSON array of Alpaca"),
        ([CHAT, CHAT], ("fine-tune",), "a JSON array, to be converted to lines"),
        ([{"a": 1}], (), "text"),
        ([1, 2], (), "text"),
    ],
)
def test_an_array_of_records_is_no_document(
    records: list[Any], purposes: tuple[str, ...], words: str
) -> None:
    """Training data in one array is to be converted; as a document it would be sent for the wrong purpose."""
    content = json.dumps(records, indent=1).encode()
    for whole in (True, False):
        found = like("a.json", content, whole=whole)
        assert found.convert_to == purposes
        assert found.reason.startswith(words)


def test_a_file_that_begins_like_a_purpose_is_a_guess() -> None:
    """The next lines are for validation to report; the option that is named has the purpose."""
    found = like("a.jsonl", lines(CHAT, {"messages": "x"}))
    assert (found.purpose, found.is_sure) == ("fine-tune", False)
    assert found.reason == "like fine-tune, but not on each of its first lines"


def test_an_unusual_suffix_is_a_guess() -> None:
    """Content alone does not decide where no file of the purpose has such a name."""
    for path in ("part-00000", "a.json", "a.ndjson", "a.txt"):
        found = like(path, lines(CHAT))
        assert (found.purpose, found.is_sure) == ("fine-tune", False)
        assert ".jsonl" in found.reason


@pytest.mark.parametrize(
    ("path", "content", "is_sure"),
    [
        ("a.pdf", b"%PDF-1.7 ...", True),
        ("a.docx", b"PK\x03\x04...", True),
        ("a.rtf", b"{\\rtf1 ...", True),
        ("a.pdf", b"<html>404</html>", False),
        ("a.docx", b"\xd0\xcf\x11\xe0", False),
    ],
)
def test_documents_show_their_type(path: str, content: bytes, *, is_sure: bool) -> None:
    """A document of a type that its first bytes show is for the one purpose that takes it."""
    found = like(path, content)
    assert found.is_sure == is_sure
    assert found.purpose == ("alignment" if is_sure else None)


@pytest.mark.parametrize("path", ["README.md", "a.txt", "a.html", "a.csv"])
def test_text_may_be_anything(path: str) -> None:
    """A text is only guessed to be a document: a folder of data has a README, too."""
    found = like(path, b"# Tides\n\nabout tides\n")
    assert (found.purpose, found.is_sure) == ("alignment", False)
    assert "may be a document" in found.reason


@pytest.mark.parametrize(
    ("path", "content", "reason", "purposes"),
    [
        ("a.csv", b'"prompt",completion\r\np,"c\nd"\r\n', "CSV of `prompt` and `completion`", ("fine-tune",)),
        ("a.tsv", b"instruction\toutput\na\tb\n", "TSV of Alpaca", ("fine-tune",)),
        ("a.csv", b"prompt;completion\np, and so on;c\n", "CSV of `prompt` and `completion`", ("fine-tune",)),
        ("a.csv", b"instruction\toutput\na\tb\n", "CSV of Alpaca", ("fine-tune",)),
        ("a.csv", b"prompt,chosen,rejected\n1,2,3\n", "CSV of preference pairs", ("preference-fine-tune",)),
        ("a.csv", b"prompt,completion,label\np,c,False\n", "text", ()),
        ("a.csv", b"port,depth\nWick,3\n", "text", ()),
        ("a.csv", b"port;depth\nWick;3\n", "text", ()),
        ("a.csv", b"prompt,completion\n", "text", ()),
        ("a.txt", b"prompt,completion\np,c\n", "text", ()),
    ],
)
def test_a_table_by_its_columns(path: str, content: bytes, reason: str, purposes: tuple[str, ...]) -> None:
    """A table with the columns of training data is to be converted; any other one may be a document."""
    found = like(path, content)
    assert not found.is_sure
    assert found.reason.startswith(reason)
    assert found.convert_to == purposes
    assert found.purpose == (None if purposes else "alignment")


def test_parquet_by_its_columns() -> None:
    """A Parquet file is sure if its columns are those of the purpose that takes such files."""
    assert like("a.parquet", b"PAR1", columns=("id", "messages")).is_sure
    assert like("a.parquet", b"PAR1", columns=("input_ids",)) == Likeness(
        purpose="fine-tune", reason="a Parquet file with input_ids"
    )
    assert not like("a.parquet", b"PAR1").is_sure
    assert not like("a.bin", b"PAR1", columns=("messages",)).is_sure


def test_purposes_of_the_user() -> None:
    """A schema of the user's is recognised like a built-in one; two that fit equally are not sure."""
    schema = Schema(fields=(Field(name="q", kind=Kind.STRING), Field(name="a", kind=Kind.STRING)))
    own = Purpose(name="own", summary="", suffixes=(".jsonl",), schema=schema)
    other = Purpose(name="other", summary="", suffixes=(".jsonl",), schema=schema)
    content = lines({"q": "x", "a": "y"})
    assert like("a.jsonl", content, purposes=(*PURPOSES.values(), own)) == Likeness(
        purpose="own", is_sure=True
    )
    assert like("a.jsonl", content, purposes=(own, other)) == Likeness(reason="may be for own or other")
    assert like("a.jsonl", lines(CHAT), purposes=(own,)).purpose is None
