"""What a settled entry means once its file, its manifest or its name is another one."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload import (
    EntrySettled,
    Event,
    ExitStatus,
    Job,
    JobLedger,
    LedgerReader,
    PlanMade,
    RunSettings,
    UndoScope,
    Uploader,
)
from bulk_upload.sandbox import SandboxConfig, sandbox_in_thread
from tests.waiting import until_the_clock_ticks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulk_upload import Result
    from bulk_upload.sandbox import Sandbox

A, B = "a.jsonl", "b.jsonl"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig()) as running:
        yield running


class Desk:
    """A folder with two files, a manifest and a ledger, and the server they go to."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.ledger = os.fspath(folder / "l.db")
        self.events: list[Event] = []
        for name in (A, B):
            (folder / name).write_text(json.dumps({"text": name}) + "\n", encoding="utf-8")

    def job(self, *lines: dict[str, Any], manifest: str = "m.jsonl", **more: Any) -> Job:
        """Write a manifest; return its job."""
        entries = [{"path": A, "purpose": "pre-train"} | line for line in lines]
        (self.folder / manifest).write_text("".join(json.dumps(one) + "\n" for one in entries))
        return Job(manifest=os.fspath(self.folder / manifest), ledger=self.ledger, **more)

    async def run(self, job: Job, **settings: Any) -> Result:
        """Run a job to its end."""
        self.events = []
        async with Uploader(
            api_key="key",
            base_url=self.sandbox.url,
            settings=RunSettings(settle_s=1.0, **settings),
            on_event=self.events.append,
        ) as up:
            return await up.run(job)

    def plan_made(self) -> PlanMade:
        """Return the plan of the last run."""
        (made,) = [one for one in self.events if isinstance(one, PlanMade)]
        return made

    def compared(self) -> list[str]:
        """Return what the last run only compared."""
        return [one.path for one in self.events if isinstance(one, EntrySettled) and one.unchanged]

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Read or change the ledger as another tool does."""
        with closing(sqlite3.connect(self.ledger)) as connection, connection:
            return connection.execute(statement).fetchall()

    def rows(self, *, all_entries: bool = False, all_receipts: bool = False) -> list[tuple[str, str, str]]:
        """Return path, purpose and status of each row of an export."""
        with LedgerReader(self.ledger) as reader:
            found = reader.rows(all_entries=all_entries, all_receipts=all_receipts)
            return [(row.path, row.purpose, row.status) for row in found]


@pytest.fixture
def desk(tmp_path: Path, sandbox: Sandbox) -> Desk:
    return Desk(tmp_path, sandbox)


async def test_an_edit_that_keeps_size_and_modification_time_is_sent(desk: Desk) -> None:
    """As rsync --inplace -t and archive tools leave a file: hashed, compared, sent anew; then nothing is to do."""
    job, path = desk.job({}), desk.folder / A
    await desk.run(job)
    before = path.stat()
    until_the_clock_ticks(desk.folder)
    path.write_text(json.dumps({"text": "A.jsonl"}) + "\n", encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    await desk.run(job)
    assert (desk.plan_made().compare_count, desk.plan_made().send_count) == (1, 0)
    assert desk.compared() == []
    assert len(desk.sandbox.files) == 2
    await desk.run(job)
    assert desk.plan_made().settled_count == 1


async def test_a_hard_link_has_a_file_compared_once_unless_change_times_are_ignored(desk: Desk) -> None:
    """A snapshot by hard links: with --ignore-ctime nothing is to do, without it one run hashes and sends nothing."""
    await desk.run(desk.job({}))
    until_the_clock_ticks(desk.folder)
    os.link(desk.folder / A, desk.folder / "snapshot")
    await desk.run(desk.job({}, ignore_ctime=True))
    assert desk.plan_made().settled_count == 1
    await desk.run(desk.job({}))
    assert desk.compared() == [A]
    await desk.run(desk.job({}))
    assert desk.plan_made().settled_count == 1
    assert len(desk.sandbox.files) == 1


async def test_a_ledger_without_change_times_gets_them_quietly(desk: Desk) -> None:
    """As a ledger of an earlier version: no file counts as touched, and from then on each is known by its change time."""
    job = desk.job({}, {"path": B})
    await desk.run(job)
    desk.sql("UPDATE entries SET ctime_ns = NULL")
    await desk.run(job)
    assert desk.plan_made().settled_count == 2
    found = [(desk.folder / name).stat().st_ctime_ns for name in (A, B)]
    assert desk.sql("SELECT ctime_ns FROM entries ORDER BY entry_id") == [(one,) for one in found]
    until_the_clock_ticks(desk.folder)
    (desk.folder / A).chmod(0o600)
    await desk.run(job)
    assert desk.compared() == [A]


async def test_results_are_those_of_the_manifest(desk: Desk) -> None:
    """A line that was taken out and a purpose that was corrected: their old entries are in no result but by `all`."""
    await desk.run(desk.job({}, {"path": B}))
    result = await desk.run(desk.job({"purpose": "fine-tune"}), sends_invalid=True)
    assert (result.status, result.dropped_count) == (ExitStatus.DONE, 2)
    async with Uploader(api_key="key", base_url=desk.sandbox.url) as up:
        assert up.plan(desk.job({"purpose": "fine-tune"})).dropped_count == 2
    assert desk.rows() == [(A, "fine-tune", "accepted")]
    every = [(A, "pre-train", "dropped"), (B, "pre-train", "dropped"), (A, "fine-tune", "accepted")]
    assert desk.rows(all_entries=True) == desk.rows(all_receipts=True) == every
    with LedgerReader(desk.ledger) as reader:
        assert (sum(reader.states().values()), reader.dropped_count()) == (1, 2)
        assert sum(reader.states(all_entries=True).values()) == 3
    again = await desk.run(desk.job({"path": B}, {"purpose": "fine-tune"}))
    assert again.dropped_count == 1
    assert desk.rows() == [(B, "pre-train", "accepted"), (A, "fine-tune", "accepted")]
    assert len(desk.sandbox.files) == 3


async def test_an_entry_that_failed_and_was_dropped_counts_for_nothing(desk: Desk) -> None:
    """The verdict, and what is shown, are about the manifest: whoever takes a bad line out is done."""
    (desk.folder / B).write_text("not JSON\n")
    first = await desk.run(desk.job({}, {"path": B}))
    assert first.status is ExitStatus.SOME_FAILED
    result = await desk.run(desk.job({}))
    assert (result.status, result.dropped_count) == (ExitStatus.DONE, 1)
    assert desk.rows(all_entries=True) == [(A, "pre-train", "accepted"), (B, "pre-train", "invalid")]


async def test_several_manifests_with_one_ledger(desk: Desk) -> None:
    """Results are those of the manifest that ran last, and the ledger knows that there were others."""
    await desk.run(desk.job({}, manifest="one.jsonl"))
    await desk.run(desk.job({"path": B}, manifest="two.jsonl"))
    assert desk.rows() == [(B, "pre-train", "accepted")]
    with LedgerReader(desk.ledger) as reader:
        assert reader.manifests() == [os.fspath(desk.folder / name) for name in ("two.jsonl", "one.jsonl")]
    await desk.run(desk.job({}, manifest="one.jsonl"))
    assert desk.rows() == [(A, "pre-train", "accepted")]
    assert len(desk.sandbox.files) == 2


async def test_the_files_of_dropped_entries_can_be_deleted_alone(desk: Desk) -> None:
    """The wrong purpose is taken back; the corrected one stays, and so does what the manifest still has."""
    await desk.run(desk.job({}, {"path": B}))
    await desk.run(desk.job({"purpose": "fine-tune"}, {"path": B}), sends_invalid=True)
    kept = {row for row in desk.rows() if row[2] == "accepted"}
    job = JobLedger(desk.ledger, api_key="key")
    undone: list[str] = []
    async with job.undoing(asked_by="me", on_undone=lambda one: undone.append(one.path)) as undoing:
        assert (await undoing.total(UndoScope.DROPPED, adopted=False))[0] == 1
        await undoing.receipts(UndoScope.DROPPED)
    assert undone == [A]
    assert {(A, "fine-tune", "accepted"), (B, "pre-train", "accepted")} == kept == set(desk.rows())
    assert sorted(file.purpose for file in desk.sandbox.files) == ["fine-tune", "pre-train"]


@pytest.mark.parametrize(
    ("line", "more"),
    [({"remote_name": "new-a.jsonl"}, {}), ({}, {"name_template": "new-{name}"})],
    ids=["remote_name", "template"],
)
async def test_another_name_is_said_and_sent_when_asked_for(
    desk: Desk, line: dict[str, Any], more: dict[str, Any]
) -> None:
    """No server renames a file: the plan says which have another name; asked to, the run sends them under the new one."""
    await desk.run(desk.job({}, {"path": B}))
    job = desk.job(line, {"path": B, "remote_name": B}, **more)
    result = await desk.run(job)
    (warning,) = desk.plan_made().warnings
    assert warning.startswith("1 accepted under another name than the manifest asks for: ")
    assert f'"{A}" as "{A}", not "new-a.jsonl"' in warning
    assert "--retry renamed" in warning
    assert result.status is ExitStatus.DONE
    assert {file.filename for file in desk.sandbox.files} == {A, B}

    await desk.run(job, retry_renamed=True)
    assert (desk.plan_made().send_count, desk.plan_made().warnings) == (1, ())
    assert sorted(file.filename for file in desk.sandbox.files) == [A, B, "new-a.jsonl"]
    with LedgerReader(desk.ledger) as reader:
        assert {row.path: row.sent_name for row in reader.rows()} == {A: "new-a.jsonl", B: B}
    await desk.run(job)
    assert (desk.plan_made().settled_count, desk.plan_made().warnings) == (2, ())
