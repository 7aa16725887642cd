"""`bulk-upload sample`: examples of any file, the same ones for the same seed."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.cli.commands.test_validate_streams import piped
from tests.cli.stage import run_here

LINES = b"".join(b'{"text": "t%d"}\n' % number for number in range(300))
RECORDS = [json.loads(line) for line in LINES.splitlines()]


def numbers(*arguments: str) -> list[int]:
    """Return the numbers in the examples that `--json` shows."""
    ended = run_here("sample", *arguments, "--json", "--quiet")
    assert (ended.status, ended.stderr) == (0, "")
    return [int(json.loads(line)["text"][1:]) for line in ended.stdout.splitlines()]


@pytest.fixture
def files(desk: Path) -> dict[str, str]:
    """The same records in every format."""
    table = pa.Table.from_pylist(RECORDS)
    parquet.write_table(table, desk / "a.parquet", row_group_size=40)
    contents = {
        "plain.jsonl": LINES,
        "packed.jsonl.gz": gzip.compress(LINES),
        "array.json": json.dumps(RECORDS, indent=1).encode(),
        "table.csv": b"text\n" + b"".join(b"t%d\n" % number for number in range(300)),
        "wide.jsonl": LINES.decode().encode("utf-16"),
    }
    for name, content in contents.items():
        (desk / name).write_bytes(content)
    return {name: name for name in (*contents, "a.parquet")}


def test_every_format_gives_the_same_examples(files: dict[str, str]) -> None:
    """By their order in the file; another seed gives others."""
    first = numbers("plain.jsonl", "-n", "20", "--seed", "1")
    assert len(set(first)) == 20
    assert first == sorted(first)
    for name in files.values():
        if name != "a.parquet":
            assert numbers(name, "-n", "20", "--seed", "1") == first, name
    rows = numbers("a.parquet", "-n", "20", "--seed", "1")
    assert (rows, numbers("a.parquet", "-n", "20", "--seed", "2") != rows) == (first, True)
    assert numbers("plain.jsonl", "-n", "20", "--seed", "2") != first
    assert numbers("plain.jsonl", "-n", "1000") == list(range(300))
    ended = piped(LINES, "sample", "-", "-n", "20", "--seed", "1", "--json", "--quiet")
    assert [int(json.loads(line)["text"][1:]) for line in ended.stdout.splitlines()] == first


def test_examples_are_shown_with_their_lines(desk: Path) -> None:
    """Blank lines count as lines, and are no examples; what was not shown is said, with the seed."""
    (desk / "a.jsonl").write_bytes(b'\n{"text": "one"}\n\n{]\n')
    ended = run_here("sample", "a.jsonl", "-n", "5", "--seed", "9")
    assert ended.stdout.decode() == "--- a.jsonl:2\ntext: one\n\n--- a.jsonl:4\n{]\n"
    assert ended.stderr == "2 of 2 examples (--seed 9 shows the same)\n"
    ended = run_here("sample", "a.jsonl", "-n", "5", "--json", "--quiet")
    assert (ended.stdout, ended.stderr) == (b'{"text": "one"}\n', "left out: a.jsonl:4 is not JSON\n")


def test_the_files_of_a_manifest_are_one_sample(desk: Path, files: dict[str, str]) -> None:
    """Each of their examples has the same chance; what is no data is left out with a word."""
    (desk / "m.jsonl").write_text(
        "".join(
            json.dumps({"path": path, "purpose": purpose}) + "\n"
            for path, purpose in (
                ("plain.jsonl", "pre-train"),
                ("a.parquet", "fine-tune"),
                ("no.jsonl", "pre-train"),
                ("doc.pdf", "alignment"),
            )
        )
    )
    (desk / "doc.pdf").write_bytes(b"%PDF-1.7 %%EOF")
    ended = run_here("sample", "m.jsonl", "-n", "40", "--seed", "1")
    places = [line for line in ended.stdout.decode().splitlines() if line.startswith("--- ")]
    assert {place.split()[1].rstrip(",").partition(":")[0] for place in places} == {
        "plain.jsonl",
        "a.parquet",
    }
    assert "there is no file" in ended.stderr
    assert "doc.pdf is a document" in ended.stderr
    assert "40 of 600 examples" in ended.stderr


def test_what_is_no_data_is_said(desk: Path) -> None:
    """Without a traceback, and without waiting for a writer of a pipe."""
    os.mkfifo(desk / "pipe")
    (desk / "torn.parquet").write_bytes(b"PAR1" + b"\0" * 30)
    (desk / "a.jsonl").write_bytes(b"PK\x03\x04")
    for name, said in {
        "pipe": "not a regular file", "torn.parquet": "cannot be read", "a.jsonl": "ZIP archive", "no.jsonl": "No such file", "data": "is a folder",
    }.items():  # fmt: skip
        ended = run_here("sample", name)
        assert (ended.status, said in ended.stderr) == (2, True), ended.stderr


def test_json_is_harmless_on_a_terminal(desk: Path) -> None:
    """Controls beyond ASCII are legal in JSON; as escapes they mean the same."""
    (desk / "a.jsonl").write_text('{"text": "\u009b31m \u202e x\u0085 \U0001f600"}\n')
    ended = run_here("sample", "a.jsonl", "--json", "--quiet")
    assert ended.stdout == b'{"text": "\\u009b31m \\u202e x\\u0085 \\ud83d\\ude00"}\n'
