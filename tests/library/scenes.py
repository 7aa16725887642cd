"""Jobs of small files for tests of the library, and what must be true of their ledgers when a call is over."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from bulk_upload import LedgerReader
from bulk_upload.edge.ledger import run_is_at_work
from tests.waiting import until_in_thread

if TYPE_CHECKING:
    from bulk_upload.sandbox import Sandbox


def text_files(folder: Path, count: int) -> list[Path]:
    """Write so many small files; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"file-{number}.jsonl" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_text(json.dumps({"text": f"number {number}"}) + "\n", encoding="utf-8")
    return paths


def manifest_of(folder: Path, count: int) -> Path:
    """Write so many small files and their manifest; return its path."""
    lines = [{"path": path.name, "purpose": "pre-train"} for path in text_files(folder, count)]
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return manifest


def assert_at_rest(ledger: str | Path) -> None:
    """Nobody works on the ledger, and it has the outcome of every attempt."""
    assert not run_is_at_work(str(ledger))
    with LedgerReader(ledger) as reader:
        assert [one for one in reader.attempts() if one.ended_utc is None] == []


def assert_nothing_goes_on() -> None:
    """No thread of a run is left."""
    until_in_thread(lambda: our_threads() == [])


def our_threads() -> list[str]:
    """Return the names of the threads of this process that belong to runs."""
    # A reading thread is kept for a moment for the next file, and does nothing meanwhile.
    names = [one.name for one in threading.enumerate()]
    return [one for one in names if one.startswith("bulk-upload") and one != "bulk-upload-sandbox"]


def assert_each_once(sandbox: Sandbox, count: int) -> None:
    """The server has every file, and none twice."""
    names = sorted(one.filename for one in sandbox.files)
    assert names == sorted({f"file-{number}.jsonl" for number in range(count)})
