"""`validate -`: data on standard input, read once, packed or not."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
import zstandard

from bulk_upload.core.validation.line_splitter import PIECE_BYTES
from bulk_upload.edge.validation.stream import DataStream
from tests.cli.stage import Ended, run_here

GOOD = b'{"messages": [{"role": "user", "content": "%d"}, {"role": "assistant", "content": "b"}]}\n'
OF_OTHERS = b'{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}\n'
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "Zstandard": zstandard.ZstdCompressor().compress,
}


def piped(data: bytes, *arguments: str) -> Ended:
    """Run a command with data, less than a pipe holds, on its standard input."""
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    before = os.dup(0)
    os.dup2(reader, 0)
    try:
        return run_here(*arguments)
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(reader)


@pytest.mark.parametrize("packing", PACKINGS)
def test_data_on_standard_input_is_validated(desk: Path, packing: str) -> None:
    """The same keys as of a file, and a command that converts what is piped into it."""
    data = PACKINGS[packing](GOOD % 1 + OF_OTHERS)
    ended = piped(data, "validate", "-", "--purpose", "fine-tune", "--json")
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    (found,) = (line for line in lines if line["rule"] == "foreign-schema")
    assert (ended.status, found["file"], found["line"], found["purpose"]) == (10, "<stdin>", 2, "fine-tune")
    assert found["remedy"] == (
        "Convert them: bulk-upload convert - --purpose fine-tune --output converted.jsonl"
    )
    assert [line["rule"] for line in lines if line["line"] is None] == ["compressed"] * (packing != "plain")
    command = found["remedy"].partition("bulk-upload ")[2].split()
    assert piped(data, *command).status == 0
    converted = (desk / "converted.jsonl").read_bytes()
    assert piped(converted, "validate", "-", "--purpose", "fine-tune").text.startswith("1 file, 2 lines, ")


def test_a_manifest_on_standard_input_is_one_still(desk: Path) -> None:
    """Its lines name files: --purpose is for those that have none."""
    lines = (desk / "good.jsonl").read_bytes()
    assert piped(lines, "validate", "-", "--root", ".", "--purpose", "pre-train").stderr.startswith(
        "2 files, 3 lines"
    )


def test_streams_and_files_are_validated_together(desk: Path) -> None:
    """In the order they were named in, each once."""
    (desk / "b.jsonl").write_bytes(OF_OTHERS)
    reader, writer = os.pipe()
    os.write(writer, OF_OTHERS)
    os.close(writer)
    try:
        stream = f"/dev/fd/{reader}"
        ended = run_here("validate", stream, "b.jsonl", "--purpose", "fine-tune", "--json")
    finally:
        os.close(reader)
    found = [json.loads(line)["file"] for line in ended.stdout.splitlines()]
    assert found == [stream, "b.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-", "-", "--purpose", "fine-tune"), "is named twice"),
        (("-", "--purpose", "fine-tune", "--quarantine", "q"), "standard input is read once"),
        (("-", "--purpose", "fine-toon"), "is not a known purpose"),
    ],
)
def test_what_a_stream_cannot_do_is_said(desk: Path, arguments: tuple[str, ...], said: str) -> None:
    """Before anything of it is read to the end."""
    ended = piped(GOOD % 1, "validate", *arguments)
    assert ended.status == 2
    assert said in ended.stderr


def test_an_empty_stream_is_a_finding(desk: Path) -> None:
    """As an empty file is: a producer that failed must not look like good data."""
    ended = piped(b"", "validate", "-", "--purpose", "fine-tune")
    assert (ended.status, b"<stdin>: the file is empty" in ended.stdout) == (10, True)


def test_a_beginning_that_was_looked_at_is_read_again() -> None:
    """However the pieces arrive: what was looked at is neither lost nor read twice."""
    data = b"".join(GOOD % number for number in range(5000))
    reader, writer = os.pipe()
    sender = Thread(target=_send, args=(writer, data))
    sender.start()
    stream = DataStream(reader)
    assert data.startswith(stream.beginning(line_count=10))
    assert stream.beginning(line_count=1).count(b"\n") >= 10
    pieces = bytearray()
    buffer = bytearray(PIECE_BYTES)
    while count := stream.readinto(buffer):
        pieces += buffer[:count]
    os.close(reader)
    assert (bytes(pieces), stream.byte_count) == (data, len(data))
    sender.join(60)


def _send(writer: int, data: bytes) -> None:
    with os.fdopen(writer, "wb", buffering=0) as file:
        for start in range(0, len(data), 7001):
            file.write(data[start : start + 7001])
