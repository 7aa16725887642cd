from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bulk_upload.core.events import ReceiptWithdrawn
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.export import COLUMNS
from bulk_upload.report.files.results_stream import READER_GONE, ResultStream
from tests.report.scripted_run import FILE_BYTES, receipt, settled, started

NOW = "2026-06-18T10:00:00.000000Z"


def _utc_now() -> str:
    return NOW


def _lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def test_each_settled_entry_is_one_line_at_once() -> None:
    """An accepted entry's line has the receipt, a failed one's the reason; each carries exactly the columns."""
    stream = io.BytesIO()
    results = ResultStream(stream, _utc_now)
    results.on_event(started("a", attempt_no=2))
    results.on_event(settled("a", receipt=receipt("a")))
    accepted, *rest = _lines(stream.getvalue())
    assert rest == []
    assert tuple(accepted) == COLUMNS
    assert accepted == {
        "path": "a",
        "purpose": "fine-tune",
        "status": "accepted",
        "file_id": "file-1",
        "bytes": FILE_BYTES,
        "sha256": "0" * 64,
        "sent_name": "a",
        "attempts": 2,
        "http_status": None,
        "reason": None,
        "first_seen_utc": None,
        "agent": None,
        "blake3": None,
        "settled_utc": "2026-06-18T09:30:00.000000Z",
    }
    results.on_event(settled("b", EntryState.REJECTED, reason="HTTP 400: no", http_status=400))
    rejected = _lines(stream.getvalue())[1]
    assert tuple(rejected) == COLUMNS
    assert (rejected["status"], rejected["reason"], rejected["http_status"]) == (
        "rejected",
        "HTTP 400: no",
        400,
    )
    assert (rejected["settled_utc"], rejected["attempts"]) == (NOW, 0)


def test_what_is_not_settled_makes_no_line() -> None:
    """Entries left pending or in doubt are not results yet."""
    stream = io.BytesIO()
    results = ResultStream(stream, _utc_now)
    results.on_event(settled("a", EntryState.PENDING))
    results.on_event(settled("b", EntryState.IN_DOUBT))
    assert stream.getvalue() == b""


def test_a_file_is_added_to_and_a_torn_line_is_ended(tmp_path: Path) -> None:
    """A second run goes on where the first ended, even where a crash cut its last line."""
    path = tmp_path / "results.jsonl"
    for text in ("a", "b"):
        with ResultStream.append_to(str(path), _utc_now) as results:
            results.on_event(settled(text, receipt=receipt(text)))
    assert [one["path"] for one in _lines(path.read_bytes())] == ["a", "b"]
    path.write_bytes(path.read_bytes() + b'{"path": "to')
    with ResultStream.append_to(str(path), _utc_now) as results:
        results.on_event(settled("c", receipt=receipt("c")))
    lines = path.read_bytes().splitlines()
    assert lines[2] == b'{"path": "to'
    assert json.loads(lines[3])["path"] == "c"


def test_a_stream_that_was_lent_is_not_closed() -> None:
    """Leaving the block closes only what the stream opened itself."""
    stream = io.BytesIO()
    with ResultStream(stream, _utc_now):
        pass
    assert not stream.closed


def test_a_reader_that_leaves_silences_the_stream() -> None:
    """A closed pipe ends no run: the rest is not written, nothing is raised, not even by closing it, and it is kept."""
    source, target = os.pipe()
    os.close(source)
    with os.fdopen(target, "wb") as stream:
        results = ResultStream(stream, _utc_now)
        for number in range(3):
            results.on_event(settled(str(number), receipt=receipt(str(number))))
    assert results.failure == READER_GONE


def test_a_reader_of_stdout_that_leaves_does_not_spoil_the_exit_code() -> None:
    """Python's last flush of stdout must not turn a good run into exit code 120."""
    program = """
import sys
from bulk_upload.core.report.export import ExportRow
from bulk_upload.report.files.results_stream import ResultStream
results = ResultStream(sys.stdout.buffer, str)
for _ in range(20_000):
    results.write(ExportRow(path="a" * 100, purpose="p", status="accepted"))
sys.exit(3)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 3


class _FullDisk(io.BytesIO):
    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_remembered_and_does_not_end_the_run() -> None:
    """The ledger has every result, so a stream that cannot be written is only told about."""
    results = ResultStream(_FullDisk(), _utc_now)
    results.on_event(settled("a", receipt=receipt("a")))
    results.on_event(settled("b", receipt=receipt("b")))
    assert results.failure is not None
    assert "No space left" in results.failure


@pytest.mark.parametrize("state", [EntryState.IN_DOUBT, EntryState.WITHDRAWN])
def test_a_withdrawn_receipt_is_a_second_line(state: EntryState) -> None:
    """A reader that has the id of the first line learns that it does not hold."""
    stream = io.BytesIO()
    results = ResultStream(stream, _utc_now)
    results.on_event(settled("a", receipt=receipt("a")))
    results.on_event(
        ReceiptWithdrawn(
            path="a", purpose="fine-tune", file_id="file-1", file_bytes=7, state=state, reason="no"
        )
    )
    _, last = _lines(stream.getvalue())
    assert (last["path"], last["status"], last["file_id"], last["reason"]) == ("a", state.value, None, "no")
    assert last["settled_utc"] == (NOW if state.settled else None)
