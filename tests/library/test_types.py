"""The types of the public API, as a type checker sees them: this module is checked, and never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_type

from bulk_upload import (
    Entry,
    EntrySettled,
    EntryState,
    ExitStatus,
    ExportRow,
    Job,
    JobLedger,
    JobRun,
    LedgerReader,
    Result,
    Uploader,
    plan,
    read_ledger,
    upload,
    upload_async,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulk_upload.engine.plan import Plan


def calls(path: Path, entries: Iterator[Entry]) -> None:
    """What may be uploaded, and what comes back."""
    assert_type(upload("m.jsonl", api_key="k"), Result)
    assert_type(upload(path, purpose="fine-tune", ledger=path, progress=True).file_id, str)
    assert_type(upload(entries, ledger=path), Result)
    assert_type(upload([{"path": path, "purpose": "fine-tune"}, path, "a"], ledger="l"), Result)
    assert_type(upload(Job(path, root=path), api_key=lambda: "k", concurrency=4, validate="off"), Result)
    assert_type(plan(path), Plan)
    assert_type(read_ledger(path), list[dict[str, Any]])
    upload("m.jsonl", concurency=4)  # type: ignore[call-arg]
    upload("m.jsonl", concurrency="4")  # type: ignore[arg-type]
    upload(7)  # type: ignore[arg-type]


async def runs(path: Path) -> None:
    """What a run yields."""
    assert_type(await upload_async(path), Result)
    async with Uploader.from_env(rate_per_s=2.5) as up:
        run = up.run(path, purpose="fine-tune")
        assert_type(run, JobRun)
        async for entry in run:
            assert_type(entry, EntrySettled)
            assert_type(entry.file_id, str | None)
            assert_type(entry.state, EntryState)
        assert_type(await run, Result)


def results(result: Result, path: Path) -> None:
    """What a result and a ledger have."""
    assert_type(result.ok, bool)
    assert_type(result.status, ExitStatus)
    assert_type(result.failures, list[ExportRow])
    assert_type(result.raise_for_status(), Result)
    assert_type(Job(path).manifest, str)
    JobLedger(path, api_key="k")
    with LedgerReader(path) as reader:
        for row in reader:
            assert_type(row, ExportRow)


def test_the_functions_above_are_checked() -> None:
    """They are there for the type checker; running them would need a server."""
    assert all(map(callable, (calls, runs, results)))
