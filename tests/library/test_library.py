"""The library as a script uses it, against a real server on loopback."""

from __future__ import annotations

import asyncio
import json
import pydoc
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast, get_args

import pytest
from msgspec.structs import replace

import bulk_upload
from bulk_upload import (
    FLOW,
    EntrySettled,
    EntryState,
    ExitStatus,
    Job,
    JobLedger,
    LedgerMismatch,
    LedgerReader,
    LedgerUnusable,
    LimitChanged,
    ManifestInvalid,
    Noticed,
    RunSettings,
    UndoScope,
    Uploader,
    UsageError,
    log_record,
    upload,
)
from bulk_upload.core.limits.adaptive.slots import FIRST
from bulk_upload.core.run.plan import Step
from bulk_upload.edge.ledger import Staging
from bulk_upload.engine.after.undo import Undone
from bulk_upload.engine.after.verify import Verifier
from bulk_upload.engine.plan import Preparation
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulk_upload import Event, JobRun, Result
    from bulk_upload.sandbox import Sandbox

QUICK = RunSettings(concurrency=4, settle_s=1.0)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig()) as running:
        yield running


def manifest_of(folder: Path, count: int) -> str:
    """Write so many small files and their manifest; return its path."""
    with open(folder / "manifest.jsonl", "w", encoding="utf-8") as manifest:
        for number in range(count):
            name = f"file-{number}.jsonl"
            (folder / name).write_text(json.dumps({"text": f"number {number}"}) + "\n", encoding="utf-8")
            manifest.write(json.dumps({"path": name, "purpose": "pre-train"}) + "\n")
    return str(folder / "manifest.jsonl")


async def test_receipts_come_as_they_are_recorded(tmp_path: Path, sandbox: Sandbox) -> None:
    """Iterating a run gives every receipt once, and the ledger holds each before it comes."""
    manifest = manifest_of(tmp_path, 6)
    async with Uploader(api_key="key", base_url=sandbox.url, settings=QUICK) as up:
        run = up.run(manifest)
        ids = {}
        async for receipt in run:
            with LedgerReader(up.ledger_path(Job(manifest=manifest))) as ledger:
                recorded = {row.path: row.file_id for row in ledger.rows() if row.status == "accepted"}
            assert recorded[receipt.path] == receipt.file_id
            ids[receipt.path] = receipt.file_id
    assert len(ids) == 6
    assert set(ids.values()) == {file.file_id for file in sandbox.files}
    assert run.result is not None
    assert run.result.status is ExitStatus.DONE


async def test_a_run_begins_where_the_last_one_was(tmp_path: Path, sandbox: Sandbox) -> None:
    """The last good values of the endpoint are in its ledger: the next run begins with them, within its caps."""
    manifest = manifest_of(tmp_path, 3)
    limits: list[int] = []

    async def run(settings: RunSettings) -> str:
        up = Uploader(
            api_key="key",
            base_url=sandbox.url,
            settings=settings,
            on_event=lambda one: limits.append(one.limit) if isinstance(one, LimitChanged) else None,
        )
        async with up:
            return (await up.run(manifest)).ledger

    ledger = await run(RunSettings())
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute(
            "INSERT OR REPLACE INTO warm_starts SELECT endpoint, 42, NULL, created_utc FROM job"
        )
    await run(RunSettings())
    await run(RunSettings(concurrency_max=5))
    assert limits == [FIRST, 21, 5]


async def test_leaving_early_leaves_a_ledger_to_go_on_with(tmp_path: Path, sandbox: Sandbox) -> None:
    """Whoever leaves the iteration ends the run; the next one sends the rest and nothing twice."""
    manifest = manifest_of(tmp_path, 30)
    async with Uploader(api_key="key", base_url=sandbox.url, settings=QUICK) as up:
        run = up.run(manifest)
        async for _ in run:
            break
        await run.aclose()
        result = await up.run(manifest)
    assert result.status is ExitStatus.DONE
    assert len(sandbox.files) == 30


async def test_one_call_inside_a_running_loop(tmp_path: Path, sandbox: Sandbox) -> None:
    """`upload` also works where a loop is running already, as in a notebook."""
    result = upload(manifest_of(tmp_path, 2), api_key="key", base_url=sandbox.url)
    assert result.states == {EntryState.ACCEPTED: 2}


def test_one_call(tmp_path: Path, sandbox: Sandbox) -> None:
    """`upload` runs a job to its end and tells every event on the way."""
    heard: list[object] = []
    result = upload(manifest_of(tmp_path, 3), api_key="key", base_url=sandbox.url, on_event=heard.append)
    assert result.status is ExitStatus.DONE
    assert sum(isinstance(event, EntrySettled) for event in heard) == 3


def test_an_event_becomes_a_line_of_the_log(tmp_path: Path, sandbox: Sandbox) -> None:
    """`log_record` returns any event of a run as values that JSON can hold."""
    heard: list[Event] = []
    upload(manifest_of(tmp_path, 1), api_key="key", base_url=sandbox.url, on_event=heard.append)
    records = [log_record(event, at_utc="2026-01-01T00:00:00Z") for event in heard]
    (settled,) = (one for one in records if one["event"] == "entry_settled")
    assert json.loads(json.dumps(settled)) == settled
    assert (settled["path"], settled["state"]) == ("file-0.jsonl", "accepted")


def test_a_plan_is_for_the_ledgers_own_endpoint(tmp_path: Path, sandbox: Sandbox) -> None:
    """A plan refuses the ledgers that a run would refuse."""
    manifest = manifest_of(tmp_path, 1)
    ledger = str(tmp_path / "job.ledger.db")
    upload(Job(manifest=manifest, ledger=ledger), api_key="key", base_url=sandbox.url)
    with pytest.raises(LedgerMismatch, match="endpoint"):
        Uploader(api_key="key", base_url="http://127.0.0.1:9").plan(Job(manifest=manifest, ledger=ledger))


def test_a_bad_manifest_touches_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    """What is wrong with a manifest is raised before a ledger is made or a byte is sent."""
    manifest = manifest_of(tmp_path, 1)
    with open(manifest, "a", encoding="utf-8") as lines:
        lines.write('{"path": "gone.jsonl", "purpose": "pre-train"}\n')
    with pytest.raises(ManifestInvalid) as caught:
        upload(Job(manifest=manifest, strict_paths=True), api_key="key", base_url=sandbox.url)
    assert [finding.line_no for finding in caught.value.findings] == [2]
    with open(manifest, "a", encoding="utf-8") as lines:
        lines.write('{"path": "gone-too.jsonl", "purpose": "pre-train"}\n')
    with pytest.raises(ManifestInvalid, match="2 of 3 files") as caught:
        upload(manifest, api_key="key", base_url=sandbox.url)
    assert [finding.line_no for finding in caught.value.findings] == [2, 3]
    assert sandbox.request_count == 0
    assert not list(tmp_path.glob("*.db*"))


def test_a_missing_file_holds_up_no_other(tmp_path: Path, sandbox: Sandbox) -> None:
    """Its entry fails with the reason, the others are accepted, and it is sent once it is there."""
    manifest = manifest_of(tmp_path, 3)
    with open(manifest, "a", encoding="utf-8") as lines:
        lines.write('{"path": "gone.jsonl", "purpose": "pre-train"}\n')
        lines.write('{"path": "../elsewhere.jsonl", "purpose": "pre-train"}\n')
    result = upload(manifest, api_key="key", base_url=sandbox.url)
    assert result.status is ExitStatus.SOME_FAILED
    assert result.states == {EntryState.ACCEPTED: 3, EntryState.FAILED_LOCAL: 2}
    with LedgerReader(result.ledger) as reader:
        reasons = [one.reason for one in reader.rows(states=frozenset({EntryState.FAILED_LOCAL}))]
    assert reasons[0] == 'there is no file "gone.jsonl"'
    assert str(reasons[1]).startswith('"../elsewhere.jsonl" is not beneath the root')
    (tmp_path / "gone.jsonl").write_text('{"text": "here"}\n')
    result = upload(manifest, api_key="key", base_url=sandbox.url)
    assert result.states == {EntryState.ACCEPTED: 4, EntryState.FAILED_LOCAL: 1}
    assert len(sandbox.files) == 4


@pytest.mark.parametrize("count", [1, 2])
def test_a_mistyped_address_costs_nothing(tmp_path: Path, sandbox: Sandbox, count: int) -> None:
    """A run of few files at a wrong path stops with the address as the suspect; the corrected command goes on."""
    job = Job(manifest=manifest_of(tmp_path, count))
    events: list[object] = []
    result = upload(job, api_key="key", base_url=f"{sandbox.url}/v2")
    assert (result.status, result.states) == (ExitStatus.UNFINISHED, {EntryState.PENDING: count})
    assert result.stop is not None
    assert "--base-url" in result.stop.hint
    planned = Uploader(api_key="key", base_url=sandbox.url).plan(job)
    assert planned.total(Step.SEND).entry_count == count
    result = upload(job, api_key="key", base_url=sandbox.url, on_event=events.append)
    assert (result.status, result.states) == (ExitStatus.DONE, {EntryState.ACCEPTED: count})
    assert [one.message for one in events if isinstance(one, Noticed)] == [
        f"the ledger now belongs to endpoint {sandbox.url}: nothing was sent to {sandbox.url}/v2"
    ]
    with pytest.raises(LedgerMismatch, match="endpoint"):
        upload(job, api_key="key", base_url=f"{sandbox.url}/v2")


def test_a_short_key_is_not_scrubbed_out_of_answers(tmp_path: Path, sandbox: Sandbox) -> None:
    """Only words that are shown lose the key: ids and names that contain its letters stay what they are."""
    manifest = manifest_of(tmp_path, 2)
    result = upload(manifest, api_key="f", base_url=sandbox.url)
    assert result.states == {EntryState.ACCEPTED: 2}


def test_an_empty_address_is_not_the_real_one() -> None:
    """An empty base URL is a mistake, not the default."""
    with pytest.raises(UsageError):
        Uploader(api_key="key", base_url="")


def test_a_changed_file_is_not_accepted_until_it_is_sent(tmp_path: Path) -> None:
    """A run that ends before it comes to a changed file leaves it pending, not looking accepted."""
    manifest = manifest_of(tmp_path, 3)
    with sandbox_in_thread(SandboxConfig()) as sandbox:
        ledger = str(tmp_path / "job.ledger.db")
        job = Job(manifest=manifest, ledger=ledger)
        upload(job, api_key="key", base_url=sandbox.url)
        (tmp_path / "file-1.jsonl").write_text('{"text": "another text"}\n', encoding="utf-8")
        sandbox.use_faults(parse_faults("429:3600*9"))
        settings = RunSettings(patience_s=5.0)
        stopped = upload(job, api_key="key", base_url=sandbox.url, settings=settings)
        assert stopped.status is ExitStatus.UNFINISHED
        assert stopped.states == {EntryState.ACCEPTED: 2, EntryState.PENDING: 1}


def test_every_public_name_is_there() -> None:
    """`__all__` names what can be imported, and `dir` shows it."""
    for name in bulk_upload.__all__:
        assert getattr(bulk_upload, name) is not None
        assert name in dir(bulk_upload)


def test_a_deprecated_name_works_and_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning names what to use instead, and points at the caller."""
    monkeypatch.setitem(bulk_upload._DEPRECATED, "send", ("upload", "0.3"))
    with pytest.warns(DeprecationWarning, match=r"bulk_upload.send .* version 0.3: use upload") as caught:
        assert bulk_upload.send is upload
    assert caught[0].filename == __file__


def test_deprecated_names_are_removed_in_time() -> None:
    """Each leads to a public name, is none itself, and is gone in the version that it names."""
    major, minor, _ = bulk_upload.__version__.split(".", 2)
    for name, (instead, removed_in) in bulk_upload._DEPRECATED.items():
        assert instead in bulk_upload.__all__
        assert name not in bulk_upload.__all__
        assert tuple(map(int, removed_in.split("."))) > (int(major), int(minor))


def test_every_event_can_be_imported() -> None:
    """A listener tells events apart by their classes."""
    assert {one.__name__ for one in get_args(bulk_upload.Event)} <= set(bulk_upload.__all__)


def test_help_knows_every_public_name() -> None:
    """`help` describes each public name, with the signature of what can be made; it evaluates all annotations."""
    for name in set(bulk_upload.__all__) - {"__version__"}:
        assert pydoc.render_doc(getattr(bulk_upload, name))


def test_public_values_are_changed_by_keyword() -> None:
    """`msgspec.structs.replace` gives settings, jobs and profiles with other values; the old ones stay as they were."""
    assert replace(QUICK, concurrency=8) == RunSettings(concurrency=8, settle_s=1.0)
    assert replace(Job(manifest="a"), manifest="b") == Job(manifest="b")
    assert (QUICK.concurrency, replace(FLOW, name="other").files_path) == (4, FLOW.files_path)


async def test_a_job_is_verified_resolved_and_taken_back(tmp_path: Path, sandbox: Sandbox) -> None:
    """The three things one can do with a finished job need its ledger and the key, nothing else."""
    async with Uploader(api_key="key", base_url=sandbox.url, settings=QUICK) as up:
        result = await up.run(manifest_of(tmp_path, 3))
    job = JobLedger(result.ledger, api_key="key")
    async with job.verifying() as verifier:
        assert [one async for one in verifier.verify(content=False)] == []
        assert verifier.verified.receipt_count == 3
    async with job.resolving(decided_by="test") as resolving:
        assert await resolving.reconcile() == []
    undone: list[Undone] = []
    async with job.undoing(asked_by="test", on_undone=undone.append) as undoing:
        await undoing.receipts(UndoScope.ALL)
    assert {one.path for one in undone} == {f"file-{number}.jsonl" for number in range(3)}
    assert sandbox.files == ()


async def test_a_ledger_of_no_job_cannot_be_verified(tmp_path: Path) -> None:
    """What is no ledger is refused before anything is asked."""
    with pytest.raises(LedgerUnusable, match="there is no ledger"):
        JobLedger(str(tmp_path / "none.ledger.db"), api_key="key")


@pytest.mark.parametrize("nothing", [None, "", " \n", b"sk-x"])
def test_no_key_is_a_usage_error(tmp_path: Path, nothing: str) -> None:
    """`os.environ.get` of a variable that is not set, and whatever else is no key, is told in words."""
    manifest = manifest_of(tmp_path, 1)
    with pytest.raises(UsageError, match="API key"):
        upload(manifest, api_key=nothing)
    with pytest.raises(UsageError, match="API key"):
        Uploader(api_key=lambda: nothing)


async def test_a_plan_is_closed_after_its_thread_is_done_with_it(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller who is cancelled does not wait for the plan; SQLite would crash if its connection were closed meanwhile."""
    order: list[str] = []
    began, goes_on, closed = threading.Event(), threading.Event(), threading.Event()
    close = Staging.close

    def plan(self: Preparation, lines: object) -> None:
        began.set()
        goes_on.wait()
        order.append("planned")
        with pytest.raises(LedgerUnusable, match="given up"):
            self.staging.totals()

    def closes(self: Staging) -> None:
        order.append("closed")
        close(self)
        closed.set()

    monkeypatch.setattr(Preparation, "plan", plan)
    monkeypatch.setattr(Staging, "close", closes)
    manifest = manifest_of(tmp_path, 3)
    try:
        async with Uploader(api_key="key", base_url=sandbox.url, settings=QUICK) as up:
            waiting = asyncio.create_task(_finished(up.run(manifest)))
            assert await asyncio.to_thread(began.wait, 60)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert order == []
    finally:
        goes_on.set()
    assert await asyncio.to_thread(closed.wait, 60)
    assert order == ["planned", "closed"]


async def _finished(run: JobRun) -> Result:
    return await run


async def test_a_cancelled_verification_waits_for_its_query() -> None:
    """The inventory is closed next: no thread may be at work with it then."""
    order: list[str] = []
    began, goes_on = threading.Event(), threading.Event()

    def query() -> None:
        began.set()
        goes_on.wait()
        order.append("queried")

    nothing = cast("Any", None)
    verifier = Verifier(nothing, nothing, profile=FLOW, job_began_utc_s=0.0, questions_max=1)
    waiting = asyncio.create_task(verifier._on_thread(query))
    assert await asyncio.to_thread(began.wait, 60)
    waiting.cancel()
    timer = threading.Timer(0.1, goes_on.set)
    timer.start()
    verifier.close()
    order.append("closed")
    timer.join()
    assert order == ["queried", "closed"]
