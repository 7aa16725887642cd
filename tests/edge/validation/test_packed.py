"""Compressed lines are validated without unpacking them."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bulk_upload.core.validation.report import FileReport
from bulk_upload.core.validation.rules import RuleChoice
from bulk_upload.edge.validation.reading import CheckTask, check_content, check_file
from tests.core.data_samples import CHAT, good

zstandard = pytest.importorskip("zstandard")

BAD = b'{"messages": []}\n'
DATA = good(CHAT, 5000) + BAD + good(CHAT, 1)
PACKERS = {"gz": gzip.compress, "zst": zstandard.ZstdCompressor().compress}


def look(path: Path, choice: RuleChoice | None = None) -> FileReport:
    """Check a file on disk, and see that its content in memory is judged likewise."""
    task = CheckTask(path=path.name, purpose=CHAT, known=(CHAT,), choice=choice or RuleChoice())
    descriptor = os.open(path, os.O_RDONLY)
    try:
        report = check_file(descriptor, task)
    finally:
        os.close(descriptor)
    assert check_content(path.read_bytes(), task) == report
    return report


@pytest.mark.parametrize("suffix", PACKERS)
def test_the_lines_in_a_compressed_file_are_judged(tmp_path: Path, suffix: str) -> None:
    """With their numbers, in a file of several parts too; and the compression itself is an error."""
    pack: Callable[[bytes], bytes] = PACKERS[suffix]
    path = tmp_path / f"data.jsonl.{suffix}"
    for content in (pack(DATA), pack(DATA[:100_000]) + pack(DATA[100_000:])):
        path.write_bytes(content)
        report = look(path)
        assert [(one.rule, one.line_no) for one in report.findings if one.rule != "unusual-suffix"] == [
            ("compressed", None),
            ("empty-messages", 5001),
            ("duplicate-line", 5002),
        ]
        assert (report.line_count, report.byte_count) == (5002, len(content))


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_person_may_let_compression_pass(tmp_path: Path, suffix: str) -> None:
    """What is in the file is judged all the same."""
    choice = RuleChoice(ignored=frozenset({"compressed"}))
    path = tmp_path / "data.jsonl"
    path.write_bytes(PACKERS[suffix](good(CHAT, 3)))
    assert look(path, choice).counts == {}
    path.write_bytes(PACKERS[suffix](BAD))
    assert list(look(path, choice).counts) == ["empty-messages"]


@pytest.mark.parametrize("suffix", PACKERS)
def test_damaged_compression_is_named(tmp_path: Path, suffix: str) -> None:
    """Cut off anywhere, or followed by something else: never as if the file ended there."""
    packed = PACKERS[suffix](DATA)
    path = tmp_path / "data.jsonl"
    for content in (packed[:-3], packed[: len(packed) // 2], packed[:12], packed + b"more"):
        path.write_bytes(content)
        report = look(path)
        assert "bad-compressed" in report.counts
        # What cannot be unpacked is not to be unpacked.
        assert "compressed" not in report.counts


def test_without_zstandard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A note says that nothing in the file was checked, and what has it checked."""
    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = tmp_path / "data.jsonl"
    path.write_bytes(PACKERS["zst"](DATA))
    report = look(path)
    assert list(report.counts) == ["compressed", "compressed-unread"]
    assert "bulk-upload[zstd]" in report.findings[1].remedy
