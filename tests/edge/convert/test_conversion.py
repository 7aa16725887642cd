"""Files of every packing are converted beside the original: whole or not at all, with their lineage."""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import json
import lzma
import os
from pathlib import Path
from typing import Any

import pytest
import zstandard

from bulk_upload.core.purposes import PURPOSES, unknown_to_us
from bulk_upload.edge.convert import Conversion, ConvertRequest, convert_file, default_output
from bulk_upload.edge.convert import conversion as conversion_module
from bulk_upload.errors import UsageError

CHAT = PURPOSES["fine-tune"]
RECORDS = [{"instruction": f"i{number}", "output": "\u00e4"} for number in range(3)]
MADE = [
    {"messages": [{"role": "user", "content": f"i{number}"}, {"role": "assistant", "content": "\u00e4"}]}
    for number in range(3)
]
LINES = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in RECORDS)
CSV = "instruction,output\n" + "".join(f"{one['instruction']},{one['output']}\n" for one in RECORDS)


def convert(path: Path, **settings: Any) -> Conversion:
    """Convert a file to conversations."""
    request = ConvertRequest(
        path=str(path),
        purpose=settings.pop("purpose", CHAT),
        output=settings.pop("output", default_output(str(path))),
        **settings,
    )
    return convert_file(request)


def lines_of(path: str | None) -> list[Any]:
    """Return the values of a file's lines."""
    assert path is not None
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]


PACKED = {
    "lines": ("a.jsonl", LINES.encode()),
    "no line end": ("a.jsonl", LINES.rstrip().encode()),
    "crlf": ("a.jsonl", LINES.replace("\n", "\r\n").encode()),
    "cr": ("a.jsonl", LINES.replace("\n", "\r").encode()),
    "mark": ("a.jsonl", b"\xef\xbb\xbf" + LINES.encode()),
    "utf-16": ("a.jsonl", LINES.encode("utf-16")),
    "utf-16 without a mark": ("a.jsonl", LINES.encode("utf-16-be")),
    "utf-32": ("a.jsonl", LINES.encode("utf-32")),
    "array": ("a.json", json.dumps(RECORDS).encode()),
    "array over lines": ("a.json", json.dumps(RECORDS, indent=2).encode()),
    "array, an object a line": ("a.json", ("[\n" + ",\n".join(LINES.splitlines()) + "\n]\n").encode()),
    "array in an object": ("a.json", json.dumps({"data": RECORDS}).encode()),
    "array in an object over lines": ("a.json", json.dumps({"rows": RECORDS}, indent=2).encode()),
    "objects over lines": ("a.json", "\n".join(json.dumps(one, indent=1) for one in RECORDS).encode()),
    "csv": ("a.csv", CSV.encode()),
    "csv of a spreadsheet": ("a.csv", b"\xef\xbb\xbf" + CSV.replace(",", ";").replace("\n", "\r\n").encode()),
    "csv in utf-16": ("a.csv", CSV.replace(",", "\t").encode("utf-16")),
    "csv by another name": ("a.txt", CSV.encode()),
    "gzip": ("a.jsonl.gz", gzip.compress(LINES.encode())),
    "gzip in two parts": ("a.jsonl.gz", gzip.compress(LINES[:20].encode()) + gzip.compress(LINES[20:].encode())),
    "zstd": ("a.jsonl.zst", zstandard.compress(LINES.encode())),
    "zstd in two parts": ("a.jsonl.zst", zstandard.compress(LINES[:20].encode()) + zstandard.compress(LINES[20:].encode())),
    "bzip2": ("a.jsonl.bz2", bz2.compress(LINES.encode())),
    "xz": ("a.jsonl.xz", lzma.compress(LINES.encode())),
    "gzip of csv": ("a.csv.gz", gzip.compress(CSV.encode())),
    "gzip of an array": ("a.json.gz", gzip.compress(json.dumps(RECORDS).encode())),
}  # fmt: skip


@pytest.mark.parametrize(("name", "data"), PACKED.values(), ids=PACKED)
def test_every_packing(tmp_path: Path, name: str, data: bytes) -> None:
    """The same lines come out, the original stays, and the lineage says what both are."""
    (tmp_path / name).write_bytes(data)
    made = convert(tmp_path / name)
    assert lines_of(made.output) == MADE
    assert made.left is None
    assert (tmp_path / name).read_bytes() == data
    assert made.output == str(tmp_path / "a.converted.jsonl")
    lineage = json.loads(Path(str(made.lineage)).read_bytes())
    assert lineage["original_sha256"] == hashlib.sha256(data).hexdigest()
    assert lineage["original_bytes"] == len(data)
    assert lineage["output_sha256"] == hashlib.sha256(Path(made.output).read_bytes()).hexdigest()
    assert sum(lineage["converted"].values()) == 3
    assert sorted(os.listdir(tmp_path)) == sorted(
        [name, "a.converted.jsonl", "a.converted.jsonl.lineage.json"]
    )


@pytest.mark.parametrize("layout", ["lines", "array", "csv"])
def test_more_than_one_piece(tmp_path: Path, layout: str) -> None:
    """A file of several pieces is converted like a small one, whatever is cut where."""
    records = [{"instruction": "x" * (number % 977), "output": f"\u4f60 {number}"} for number in range(1800)]
    text = {
        "lines": "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records),
        "array": json.dumps(records, ensure_ascii=False, indent=1),
        "csv": "output,instruction\n" + "".join(f"{one['output']},{one['instruction']}\n" for one in records),
    }[layout]
    path = tmp_path / ("a.csv" if layout == "csv" else "a.jsonl")
    path.write_bytes(text.encode())
    assert path.stat().st_size > 700_000
    made = convert(path)
    # The first has an empty instruction, and no question to make a conversation of.
    assert made.tally.left == sum(not one["instruction"] for one in records)
    wanted = [[one["instruction"], one["output"]] for one in records if one["instruction"]]
    assert [[turn["content"] for turn in line["messages"]] for line in lines_of(made.output)] == wanted


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Not the file that was to be converted, which is there."""
    (tmp_path / "a.jsonl").write_text(LINES)
    with pytest.raises(UsageError, match=r"cannot write .*nowhere/b\.jsonl: No such file"):
        convert(tmp_path / "a.jsonl", output=str(tmp_path / "nowhere" / "b.jsonl"))


def test_an_array_that_does_not_end_is_not_passed_over(tmp_path: Path) -> None:
    """The records of a file that was cut off between two of them are written, and the cut is named."""
    text = json.dumps(RECORDS, indent=2).rpartition("\n")[0]
    (tmp_path / "a.json").write_text(text)
    made = convert(tmp_path / "a.json")
    assert lines_of(made.output) == MADE
    (left,) = lines_of(f"{made.left}.reasons.jsonl")
    assert "the array does not end" in left["reason"]


def test_json_in_a_cell_is_what_was_said(tmp_path: Path) -> None:
    """An answer that is JSON stays a text, digit by digit; a conversation or a history in a cell is read."""
    history = '[["h", "g"]]'
    rows = [
        ("p", '{"a": 1.0, "b": [1]}', "", "[1]"),
        ("p", "[1, 2]", history, '{"n": 1}'),
        ("p", '[{"role": "assistant", "content": "c"}]', "", ""),
    ]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("prompt", "completion", "history", "extra"), *rows])
    made = convert(tmp_path / "a.csv")
    assert made.left is None
    said = [[turn["content"] for turn in line["messages"]] for line in lines_of(made.output)]
    assert said == [["p", rows[0][1]], ["h", "g", "p", "[1, 2]"], ["p", "c"]]
    assert [line["extra"] for line in lines_of(made.output)] == [[1], {"n": 1}, ""]


def test_what_is_left_is_kept_beside_with_its_reason(tmp_path: Path) -> None:
    """Every record is in one of two files, byte for byte where it was not converted."""
    bad = [b'{"a": 1}', b"not json", b'{"instruction": 1}']
    (tmp_path / "a.jsonl").write_bytes(LINES.encode() + b"\n".join(bad) + b"\n\n")
    made = convert(tmp_path / "a.jsonl")
    assert lines_of(made.output) == MADE
    assert Path(str(made.left)).read_bytes().splitlines() == bad
    reasons = lines_of(f"{made.output}.left.reasons.jsonl")
    assert [(one["record"], one["left_line"]) for one in reasons] == [(4, 1), (5, 2), (6, 3)]
    assert all(one["reason"] for one in reasons)
    assert (made.tally.left, made.tally.blank, made.tally.record_count) == (3, 1, 7)
    (tmp_path / "a.jsonl").write_bytes(LINES.encode())
    assert convert(tmp_path / "a.jsonl").left is None
    assert not (tmp_path / "a.converted.jsonl.left").exists()
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(bad))
    assert convert(tmp_path / "a.jsonl").output is None
    assert not (tmp_path / "a.converted.jsonl").exists()


def test_fix_mends_lines(tmp_path: Path) -> None:
    """Without it they are left and the reason names it; with it each kind is counted."""
    first, second, third = LINES.splitlines()
    quoted = '"' + third.replace('"', '""') + '"'
    spoiled = f"{first},\n{json.dumps(second)}\n{quoted}\n"
    (tmp_path / "a.jsonl").write_text(spoiled)
    made = convert(tmp_path / "a.jsonl")
    assert made.output is None
    assert all(
        "--fix" in one["reason"]
        for one in lines_of(f"{default_output(str(tmp_path / 'a.jsonl'))}.left.reasons.jsonl")
    )
    made = convert(tmp_path / "a.jsonl", fix=True)
    assert lines_of(made.output) == MADE
    assert len(made.tally.repaired) == 3


def test_fix_without_a_purpose_keeps_the_shape(tmp_path: Path) -> None:
    """Line separators become escapes, which are the same text; nothing else changes."""
    (tmp_path / "a.jsonl").write_bytes('{"a": "x\u2028y\u0085z", "n": 9007199254740993},\n'.encode())
    made = convert(tmp_path / "a.jsonl", purpose=unknown_to_us(""), fix=True)
    assert Path(str(made.output)).read_bytes() == b'{"a": "x\\u2028y\\u0085z", "n": 9007199254740993}\n'


def test_what_would_be_lost_is_left_unless_it_may_be(tmp_path: Path) -> None:
    """An image has no place in a text: the record is left, or the place is named in the account."""
    parts = [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "x"}}]
    record = {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "a"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(record))
    place = "messages[].content[].image_url"
    assert convert(tmp_path / "a.jsonl").output is None
    assert convert(tmp_path / "a.jsonl", drop=("other",)).output is None
    for settings in ({"lossy": True}, {"drop": (place,)}):
        made = convert(tmp_path / "a.jsonl", **settings)
        assert made.tally.lost == {place: 1}
        assert lines_of(made.output)[0]["messages"][0]["content"] == "t"


def test_nothing_that_is_not_ours_is_replaced(tmp_path: Path) -> None:
    """Neither the original nor a file that no conversion wrote; an earlier conversion is."""
    source = tmp_path / "a.jsonl"
    source.write_text(LINES)
    with pytest.raises(UsageError, match="the file itself"):
        convert(source, output=str(source))
    (tmp_path / "b.jsonl").write_text("mine")
    with pytest.raises(UsageError, match="not from a conversion"):
        convert(source, output=str(tmp_path / "b.jsonl"))
    assert (tmp_path / "b.jsonl").read_text() == "mine"
    assert source.read_text() == LINES
    assert convert(source).output == convert(source).output
    (tmp_path / "a.csv").write_text(CSV)
    with pytest.raises(UsageError, match="is the conversion of "):
        convert(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl.gz", gzip.compress(LINES.encode() * 100)[:-20]),
        ("a.jsonl.gz", gzip.compress(LINES.encode())[:-8] + b"\0" * 8),
        ("a.jsonl.xz", lzma.compress(LINES.encode())[:-20]),
        ("a.jsonl.zst", b"\x28\xb5\x2f\xfd" + b"\xff" * 40),
        ("a.jsonl", LINES.encode("utf-16")[:-1]),
        ("a.csv", b"prompt,completion\na,\xff\n"),
        ("a.jsonl", b"PAR1\0\0"),
        ("a.jsonl", b"PK\x03\x04\0"),
        ("a.jsonl.gz", gzip.compress(b"%PDF-1.7")),
    ],
)
def test_what_cannot_be_read_leaves_nothing_behind(tmp_path: Path, name: str, data: bytes) -> None:
    """A file that is cut off or in another encoding is an error, and no half of it is written."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError):
        convert(tmp_path / name)
    assert os.listdir(tmp_path) == [name]


def test_a_pipe_with_a_name_does_not_hang(tmp_path: Path) -> None:
    """Nobody may ever write to it."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="not a regular file"):
        convert(tmp_path / "pipe")


def test_a_file_that_changes_meanwhile_is_not_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of one version and half of another is neither."""
    source = tmp_path / "a.jsonl"
    source.write_text(LINES)
    write = conversion_module._Run.write

    def write_and_change(*arguments: Any) -> Conversion:
        made = write(*arguments)
        source.write_text(LINES * 2)
        return made

    monkeypatch.setattr(conversion_module._Run, "write", write_and_change)
    with pytest.raises(UsageError, match="changed while it was read"):
        convert(source)
    assert os.listdir(tmp_path) == ["a.jsonl"]
