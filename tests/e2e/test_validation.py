"""Bad lines among good files: found, named, set apart; everything else is uploaded.

Long versions, a job of 10 GB and the memory of a file of 2 GB: pytest -n 0 -s -m soak tests/e2e/test_validation.py
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.stage import COMMAND, Stage, require_linux, staged
from tests.e2e.trees import MIB
from tests.e2e.witness import rows_of, uploads_of

PEAK_MIB_MAX = 250
"""Of a process that looks into one file: the interpreter, the longest lines, the hashes of a million lines."""

WORDS = "the tide comes and goes twice a day and the harbour master writes it down " * 6
BAD_LINES = {
    # file, line: what stands there, rule, place
    (1, 40): (b'{"messages": [{"role": "user", "content": "a"}, {"role": "bot", "content": "b"}]}\n', "wrong-role"),
    (3, 1): (b'{"messages": [{"role": "user", "content": "a"}]\n', "bad-json"),
    (6, 77): (b'{"messages": [{"role": "user", "content": 5}]}\n', "wrong-type"),
}  # fmt: skip


def chat(number: int, words: str = WORDS) -> bytes:
    messages = [{"role": "user", "content": f"{number} {words}"}, {"role": "assistant", "content": words}]
    return json.dumps({"messages": messages}).encode() + b"\n"


def write_job(stage: Stage, *, file_count: int, file_bytes: int) -> None:
    """Write files of about one size, three of them with one bad line each, and a manifest of them."""
    good = [chat(number) for number in range(200)]
    block = b"".join(good)
    data = stage.folder / "data"
    data.mkdir()
    for index in range(file_count):
        with (data / f"{index:03d}.jsonl").open("wb") as file:
            for number, line in enumerate(good, start=1):
                file.write(BAD_LINES.get((index, number), (line, ""))[0])
            file.write(chat(10_000 + index))
            while file.tell() < file_bytes:
                file.write(block)
    lines = (
        json.dumps({"path": f"data/{index:03d}.jsonl", "purpose": "fine-tune"}) for index in range(file_count)
    )
    stage.manifest.write_text("\n".join(lines) + "\n")


def check_job(stage: Stage, *, file_count: int, timeout_s: float) -> None:
    """Run, and see that the three bad lines are named and all else is uploaded; then set them apart and upload that."""
    bad = {f"data/{index:03d}.jsonl": (line_no, rule) for (index, line_no), (_, rule) in BAD_LINES.items()}
    ended = stage.run(expect=3, timeout_s=timeout_s)
    states = {os.fsdecode(row.path): row for row in rows_of(stage)}
    for path, row in states.items():
        if path in bad:
            line_no, rule = bad[path]
            assert row.status == "invalid"
            assert row.reason is not None
            assert row.reason.startswith(f"line {line_no}, ")
            assert f"({rule})" in row.reason
            assert f"invalid: {path}: line {line_no}, " in ended.stderr
        else:
            assert row.status == "accepted", path
    assert len(uploads_of(stage)) == file_count - len(bad)

    ended = stage.call(
        "validate", str(stage.manifest), "--quarantine", "mended", "--format", "json", timeout_s=timeout_s
    )
    assert ended.code == 10
    errors = [one for one in map(json.loads, ended.stdout.splitlines()) if one["severity"] == "error"]
    assert {one["file"]: (one["line"], one["rule"]) for one in errors} == bad
    assert len(errors) == 3
    mended = [stage.folder / "mended" / path for path in bad]
    assert all(path.exists() for path in mended)
    ended = stage.call("validate", "--purpose", "fine-tune", *map(str, mended), timeout_s=timeout_s)
    assert ended.code == 0, ended.stdout
    for copy in mended:
        os.replace(copy, stage.folder / copy.relative_to(stage.folder / "mended"))
    stage.run(expect=0, timeout_s=timeout_s)
    assert len(uploads_of(stage)) == file_count


def test_three_bad_lines(tmp_path: Path) -> None:
    """Eight files, three bad lines: five are uploaded, three named; mended by quarantine, they follow."""
    with staged(tmp_path) as stage:
        write_job(stage, file_count=8, file_bytes=400 * 1024)
        check_job(stage, file_count=8, timeout_s=60)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_three_bad_lines_in_ten_gigabytes(tmp_path: Path) -> None:
    """The same with a hundred files of 100 MB."""
    with staged(tmp_path) as stage:
        write_job(stage, file_count=100, file_bytes=100_000_000)
        began = time.monotonic()
        check_job(stage, file_count=100, timeout_s=3000)
        print(f"\n10 GB run, validated, set apart and run again in {time.monotonic() - began:.0f} s")


def test_what_was_validated_is_not_read_again(tmp_path: Path) -> None:
    """After a run that could not send, the next one remembers what was found, and sends."""
    with staged(tmp_path, "401*8") as stage:
        write_job(stage, file_count=1, file_bytes=400 * 1024)
        assert stage.run().code == 12
        with closing(sqlite3.connect(stage.ledger)) as ledger:
            (before,) = ledger.execute("SELECT checked_utc FROM validations").fetchone()
        stage.use_faults("")
        stage.run(expect=0)
        with closing(sqlite3.connect(stage.ledger)) as ledger:
            assert ledger.execute("SELECT checked_utc, error_count FROM validations").fetchall() == [
                (before, 0)
            ]


def _lines_of(size: int) -> Iterator[bytes]:
    written = number = 0
    while written < size:
        block = b"".join(chat(number + one) for one in range(500))
        number += 500
        written += len(block)
        yield block


def peak_mib_of_validating(path: Path) -> float:
    """Return the most memory that any process of `validate` held."""
    script = (
        "import resource, subprocess, sys;"
        "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode;"
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [COMMAND, "validate", "--purpose", "fine-tune", "--quiet", str(path)]
    ended = subprocess.run(
        [sys.executable, "-c", script, *command], capture_output=True, text=True, check=True
    )
    code, peak_kib = ended.stdout.split()
    assert code == "0"
    return int(peak_kib) / 1024


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_file_of_two_gigabytes_needs_little_memory(tmp_path: Path) -> None:
    """The most that any process holds is the same for 2 GB as for 200 MB, but for the hashes of more lines."""
    require_linux()
    peaks = {}
    for size in (200 * MIB, 2000 * MIB):
        path = tmp_path / f"{size}.jsonl"
        with path.open("wb") as file:
            file.writelines(_lines_of(size))
        peaks[size] = peak_mib_of_validating(path)
        path.unlink()
    print("\n" + ", ".join(f"{size / MIB:,.0f} MiB: peak RSS {peak:.0f} MiB" for size, peak in peaks.items()))
    assert max(peaks.values()) < PEAK_MIB_MAX
