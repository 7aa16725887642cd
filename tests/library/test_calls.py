"""`upload` and its twin: what may be uploaded, what comes back, and where they may be called."""

from __future__ import annotations

import asyncio
import contextvars
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload import (
    BulkUploadError,
    CredentialsRefused,
    EntriesFailed,
    EntriesInDoubt,
    Entry,
    EntrySettled,
    EntryState,
    ExitStatus,
    Job,
    JobIncomplete,
    LedgerLocked,
    LedgerReader,
    ManifestInvalid,
    RunUnfinished,
    Uploader,
    UsageError,
    plan,
    read_ledger,
    upload,
    upload_async,
)
from bulk_upload.core.run.plan import Step
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.cli.stage import run_here
from tests.library.scenes import assert_at_rest, assert_nothing_goes_on, manifest_of, text_files
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig()) as running:
        yield running


@pytest.fixture
def server(sandbox: Sandbox) -> dict[str, Any]:
    """The arguments that name the server."""
    return {"api_key": "key", "base_url": sandbox.url}


def test_one_file_has_one_id(tmp_path: Path, sandbox: Sandbox, server: dict[str, Any]) -> None:
    """A data file is a part of its folder's job, as on the command line: a run of either knows what the other sent."""
    first, second = text_files(tmp_path / "data", 2)
    for one in (first, str(first)):
        file_id = upload(one, purpose="pre-train", **server).file_id
        assert [file_id] == [stored.file_id for stored in sandbox.files]
    (ledger,) = tmp_path.glob("data@*.ledger.db")
    assert_at_rest(ledger)
    folder = upload(tmp_path / "data", **server)
    assert (folder.ok, folder.ledger, len(sandbox.files)) == (True, str(ledger), 2)
    again = upload(second, purpose="pre-train", **server)
    assert (again.ledger, len(sandbox.files)) == (str(ledger), 2)
    assert again.file_id == sandbox.files[1].file_id
    assert [row.path for row in again.rows()] == ["file-1.jsonl"]
    typed = run_here(str(first), "--purpose", "pre-train", SEEKR_BASE_URL=server["base_url"])
    assert "Nothing to do" in typed.stderr
    assert len(sandbox.files) == 2
    rooted = upload(first, purpose="pre-train", root=tmp_path / "data", **server)
    assert rooted.ledger != str(ledger)


def test_a_manifest_may_be_a_path_object(tmp_path: Path, server: dict[str, Any]) -> None:
    """Manifest, ledger and root may be texts or path objects, in a call and in a Job."""
    manifest = manifest_of(tmp_path / "data", 2)
    first = upload(manifest, ledger=tmp_path / "a.ledger.db", root=tmp_path / "data", **server)
    job = Job(manifest, ledger=tmp_path / "b.ledger.db", root=tmp_path / "data")
    assert (job.manifest, job.ledger) == (str(manifest), str(tmp_path / "b.ledger.db"))
    second = upload(job, **server)
    assert first.ok
    assert second.ok
    assert (first.ledger, second.ledger) == (str(tmp_path / "a.ledger.db"), job.ledger)


def test_entries_come_in_any_form(tmp_path: Path, sandbox: Sandbox, server: dict[str, Any]) -> None:
    """A path, a mapping with a manifest's fields, and an Entry, from any iterable; absolute names are meant so."""
    first, second, third = text_files(tmp_path, 3)
    entries: Any = iter(
        [first, {"path": second, "remote_name": "b.jsonl"}, Entry(path=str(third), purpose="pre-train")]
    )
    result = upload(entries, purpose="pre-train", ledger=tmp_path / "x.ledger.db", **server)
    assert result.ok
    assert {one.filename for one in sandbox.files} == {"file-0.jsonl", "b.jsonl", "file-2.jsonl"}
    again = upload([third, second], purpose="pre-train", ledger=result.ledger, **server)
    assert (again.ok, again.dropped_count, len(sandbox.files)) == (True, 1, 3)


def test_relative_entries_start_from_the_current_folder(
    tmp_path: Path, server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in any other Python function; with `root` they start from there."""
    text_files(tmp_path / "data", 1)
    monkeypatch.chdir(tmp_path)
    arguments: dict[str, Any] = {"purpose": "pre-train", **server}
    assert upload(["data/file-0.jsonl"], ledger="a.ledger.db", **arguments).ok
    assert upload(["file-0.jsonl"], root=Path("data"), ledger="b.ledger.db", **arguments).ok


@pytest.mark.parametrize(
    ("what", "options", "words"),
    [
        (["a.jsonl"], {"ledger": "l.db"}, "entry 1, .* has no purpose"),
        (["a.jsonl"], {"purpose": "pre-train"}, "no place for their ledger"),
        ([], {"ledger": "l.db"}, "no entries"),
        ([7], {"ledger": "l.db"}, "entry 1 is of the type int"),
        ([{"pth": "a"}], {"purpose": "x"}, 'a field "pth"'),
        ([{"purpose": "x"}], {}, "entry 1 has no path"),
        (7, {}, "of the type int"),
        (b"a.jsonl", {}, "of the type bytes"),
        ({"path": "a"}, {}, "of the type dict"),
        (Job("m.jsonl"), {"purpose": "x"}, "purpose is given beside a Job"),
        ("gone.jsonl", {"purpose": "x"}, "cannot read"),
    ],
)
def test_what_cannot_be_uploaded_is_told_in_words(
    tmp_path: Path, what: Any, options: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong argument is a UsageError with a hint, before anything is sent."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=words):
        upload(what, api_key="key", base_url="http://127.0.0.1:9", **options)


def test_a_data_file_without_a_purpose_is_no_manifest(tmp_path: Path) -> None:
    """The two ways on are in the message: a purpose, or a manifest."""
    (path,) = text_files(tmp_path, 1)
    with pytest.raises(UsageError, match="not a manifest") as caught:
        upload(path, api_key="key")
    assert "purpose=" in str(caught.value.hint)


def test_a_job_is_a_manifest_or_entries() -> None:
    """A Job without either cannot be uploaded; the manifest may be given by position."""
    assert Job("m.jsonl") == Job(manifest="m.jsonl")
    with pytest.raises(UsageError, match="neither"):
        upload(Job(), api_key="key")
    with pytest.raises(UsageError, match="must be a path"):
        Job(b"m.jsonl")  # type: ignore[arg-type]


def test_failures_are_rows_with_their_reasons(
    tmp_path: Path, sandbox: Sandbox, server: dict[str, Any]
) -> None:
    """The result says which entries failed and why, and raises on request; a retry of failures sends those."""
    sandbox.use_faults(parse_faults("422,ok"))
    manifest = manifest_of(tmp_path, 2)
    result = upload(manifest, concurrency=1, **server)
    assert not result.ok
    ((failed,), (accepted,)) = result.failures, result.accepted
    assert (failed.status, failed.http_status) == ("rejected", 422)
    assert accepted.file_id == sandbox.files[0].file_id
    assert (result.in_doubt, result.pending) == ([], [])
    with pytest.raises(
        EntriesFailed, match=r"1 of 2 entries accepted, 1 rejected: file-.*HTTP 422"
    ) as caught:
        result.raise_for_status()
    assert caught.value.states == {"accepted": 1, "rejected": 1}
    assert caught.value.ledger == result.ledger
    assert caught.value.exit_status is caught.value.status is ExitStatus.SOME_FAILED
    assert upload(manifest, retry=["rejected"], **server).raise_for_status().ok


def test_every_file_rejected_is_not_mute(tmp_path: Path, sandbox: Sandbox, server: dict[str, Any]) -> None:
    """All entries are failures, and there is no id to take."""
    sandbox.use_faults(parse_faults("422*9"))
    result = upload(text_files(tmp_path, 1)[0], purpose="pre-train", **server)
    assert len(result.failures) == 1
    with pytest.raises(EntriesFailed):
        _ = result.file_id


def test_a_server_that_nobody_is_at_is_not_mute(tmp_path: Path) -> None:
    """The result has the reason, and `raise_for_status` raises it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    result = upload(manifest_of(tmp_path, 2), api_key="key", base_url=address, patience_s=0.2)
    assert not result.ok
    assert len(result.pending) == 2
    with pytest.raises(RunUnfinished, match=r"0 of 2 entries accepted, 2 pending: .+") as caught:
        result.raise_for_status()
    assert caught.value.hint


def test_a_refused_key_is_not_mute(tmp_path: Path) -> None:
    """A wrong key raises what names it."""
    with sandbox_in_thread(SandboxConfig(keys=("right",))) as sandbox:
        result = upload(manifest_of(tmp_path, 1), api_key="wrong-key", base_url=sandbox.url)
    with pytest.raises(CredentialsRefused, match="0 of 1 entries accepted"):
        result.raise_for_status()


def test_doubts_are_not_mute(tmp_path: Path, sandbox: Sandbox, server: dict[str, Any]) -> None:
    """An answer that was lost leaves a row in doubt, and raises its own kind."""
    sandbox.use_faults(parse_faults("drop-stored"))
    result = upload(manifest_of(tmp_path, 1), in_doubt="hold", **server)
    assert [one.path for one in result.in_doubt] == ["file-0.jsonl"]
    with pytest.raises(EntriesInDoubt) as caught:
        result.raise_for_status()
    assert isinstance(caught.value, JobIncomplete)


def test_several_entries_have_no_single_id(tmp_path: Path, server: dict[str, Any]) -> None:
    """`file_id` of a job of two is a mistake, told as one."""
    with pytest.raises(UsageError, match="2 entries"):
        _ = upload(manifest_of(tmp_path, 2), **server).file_id


async def test_iterating_gives_failures_too(tmp_path: Path, sandbox: Sandbox, server: dict[str, Any]) -> None:
    """Every entry that the run comes to is there with its state; accepted ones have their id."""
    sandbox.use_faults(parse_faults("422,ok*2"))
    async with Uploader(concurrency=1, **server) as up:
        found = [entry async for entry in up.run(manifest_of(tmp_path, 3))]
    assert sorted(one.state for one in found) == ["accepted", "accepted", "rejected"]
    assert all((one.file_id is not None) is (one.state is EntryState.ACCEPTED) for one in found)
    assert all((one.sha256 is not None) is (one.state is EntryState.ACCEPTED) for one in found)


def test_a_ledger_is_a_plain_iterable(tmp_path: Path, server: dict[str, Any]) -> None:
    """A reader yields its rows; `read_ledger` returns them as dicts with the columns of an export."""
    result = upload(manifest_of(tmp_path, 2), **server)
    with LedgerReader(Path(result.ledger)) as reader:
        rows = list(reader)
    dicts = read_ledger(Path(result.ledger))
    assert [row._asdict() for row in rows] == dicts
    assert dicts == read_ledger(result.ledger, states=["accepted"])
    assert read_ledger(result.ledger, states=[EntryState.REJECTED]) == []
    assert list(dicts[0]) == list(rows[0]._fields)


def test_a_plan_needs_no_key(tmp_path: Path, sandbox: Sandbox) -> None:
    """`plan` takes what `upload` takes, sends nothing, and leaves no ledger."""
    manifest = manifest_of(tmp_path, 2)
    steps: list[object] = []
    planned = plan(manifest, base_url=sandbox.url, on_entry=lambda one: steps.append(one.step))
    assert planned.total(Step.SEND).entry_count == 2
    assert steps == [Step.SEND, Step.SEND]
    assert sandbox.request_count == 0
    assert not list(tmp_path.glob("*.db"))
    manifest.write_text("nonsense\n")
    with pytest.raises(ManifestInvalid):
        plan(Job(manifest), base_url=sandbox.url)


def test_the_key_comes_from_the_environment_on_request(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`from_env`, and `upload` without a key, read the profile's variables; arguments prevail."""
    manifest = manifest_of(tmp_path, 1)
    for name in ("SEEKR_API_KEY", "SEEKR_BASE_URL", "SEEKR_TEAM_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="no API key is set") as caught:
        upload(manifest)
    assert "SEEKR_API_KEY" in str(caught.value.hint)
    monkeypatch.setenv("SEEKR_API_KEY", "key")
    monkeypatch.setenv("SEEKR_BASE_URL", "http://127.0.0.1:9")
    assert upload(manifest, base_url=sandbox.url).ok
    monkeypatch.setenv("SEEKR_BASE_URL", sandbox.url)

    async def whole() -> bool:
        async with Uploader.from_env(concurrency=1) as up:
            return (await up.run(manifest)).ok

    assert asyncio.run(whole())
    assert len(sandbox.files) == 1


async def test_both_twins_work_in_a_running_loop(
    tmp_path: Path, sandbox: Sandbox, server: dict[str, Any]
) -> None:
    """The synchronous one blocks the loop, the other one does not; they do the same."""
    manifest = manifest_of(tmp_path, 2)
    assert (await upload_async(manifest, **server)).ok
    assert upload(manifest, **server).ok
    assert len(sandbox.files) == 2


async def test_a_cancelled_caller_leaves_a_ledger_to_go_on_with(
    tmp_path: Path, sandbox: Sandbox, server: dict[str, Any]
) -> None:
    """Cancelling the asynchronous twin aborts and records; the next call completes the job."""
    sandbox.use_faults(parse_faults("answer-delay=3600"))
    manifest = manifest_of(tmp_path, 4)
    ledger = tmp_path / "job.ledger.db"
    task = asyncio.ensure_future(upload_async(manifest, ledger=ledger, **server))
    await until(lambda: sandbox.request_count)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert_nothing_goes_on()
    assert_at_rest(ledger)
    sandbox.use_faults(parse_faults(""))
    result = await upload_async(manifest, ledger=ledger, settle_s=0.5, settle_answered_s=0.5, **server)
    assert result.ok


async def test_two_uploaders_at_once(tmp_path: Path, server: dict[str, Any]) -> None:
    """Each works on its own ledger with its own key; a second run on one ledger is refused."""
    manifest = manifest_of(tmp_path, 5)
    with sandbox_in_thread(SandboxConfig(keys=("other",), faults=parse_faults("answer-delay=0.3"))) as other:
        theirs: dict[str, Any] = {"api_key": "other", "base_url": other.url}
        tasks = [
            asyncio.ensure_future(upload_async(manifest, ledger=tmp_path / "a.ledger.db", **server)),
            asyncio.ensure_future(upload_async(manifest, ledger=tmp_path / "b.ledger.db", **theirs)),
        ]
        await until(lambda: other.request_count)
        with pytest.raises(LedgerLocked):
            await upload_async(manifest, ledger=tmp_path / "b.ledger.db", **theirs)
        assert all([(await one).ok for one in tasks])
        assert len(other.files) == 5


def test_in_threads(tmp_path: Path, sandbox: Sandbox, server: dict[str, Any]) -> None:
    """Several threads upload at once, each with its own ledger."""
    manifest = manifest_of(tmp_path, 3)
    with ThreadPoolExecutor(3) as pool:
        calls = [
            pool.submit(partial(upload, manifest, ledger=tmp_path / f"{number}.ledger.db", **server))
            for number in range(3)
        ]
        assert all(one.result().ok for one in calls)
    assert len(sandbox.files) == 9
    assert_nothing_goes_on()


def test_the_callers_context_is_the_listeners(tmp_path: Path, server: dict[str, Any]) -> None:
    """A context variable of the caller is there in the thread of the run: what traces and logs rely on."""
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request")
    request.set("42")
    seen: set[tuple[str, str]] = set()
    upload(
        manifest_of(tmp_path, 1),
        on_event=lambda _: seen.add((request.get(), threading.current_thread().name)),
        **server,
    )
    assert seen == {("42", "bulk-upload-run")}


def test_a_listeners_error_ends_the_call(tmp_path: Path, server: dict[str, Any]) -> None:
    """It is raised as it is, after the run is over."""

    def listen(event: object) -> None:
        if isinstance(event, EntrySettled):
            raise ZeroDivisionError("listener")

    with pytest.raises(ZeroDivisionError, match="listener"):
        upload(manifest_of(tmp_path, 2), on_event=listen, **server)
    assert_nothing_goes_on()


def test_on_uvloop(tmp_path: Path, server: dict[str, Any]) -> None:
    """Both twins work inside uvloop."""
    uvloop = pytest.importorskip("uvloop")
    manifest = manifest_of(tmp_path, 2)

    async def whole() -> None:
        assert (await upload_async(manifest, **server)).ok
        assert upload(manifest, **server).ok

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(whole())


def test_beside_trio(tmp_path: Path, server: dict[str, Any]) -> None:
    """A thread of trio uploads, as does its loop where it may be blocked; the asynchronous twin says why it cannot."""
    trio = pytest.importorskip("trio")
    manifest = manifest_of(tmp_path, 2)

    async def whole() -> None:
        assert (await trio.to_thread.run_sync(partial(upload, manifest, **server))).ok
        assert upload(manifest, **server).ok
        with pytest.raises(UsageError, match="asyncio") as caught:
            await upload_async(manifest, **server)
        assert "trio.to_thread" in str(caught.value.hint)

    trio.run(whole)


def test_what_is_raised_has_one_base() -> None:
    """Whoever catches BulkUploadError catches what `raise_for_status` raises."""
    for kind in (EntriesFailed, EntriesInDoubt, RunUnfinished):
        assert issubclass(kind, JobIncomplete)
        assert issubclass(kind, BulkUploadError)


def test_a_folder_is_uploaded_with_what_its_files_are_for(
    tmp_path: Path, sandbox: Sandbox, server: dict[str, Any]
) -> None:
    """Files get the purpose that alone takes them; keywords choose files and purposes; a plan says the same."""
    text_files(tmp_path / "data" / "corpus", 2)
    (tmp_path / "data" / "notes.md").write_text("# Notes\n")
    folder = tmp_path / "data"
    mapping = {"*.md": "alignment"}
    planned = plan(folder, mapping=mapping, base_url=sandbox.url)
    assert planned.total(Step.SEND).entry_count == 3
    result = upload(folder, mapping=mapping, **server).raise_for_status()
    assert {one.path: one.purpose for one in result.accepted} == {
        "corpus/file-0.jsonl": "pre-train",
        "corpus/file-1.jsonl": "pre-train",
        "notes.md": "alignment",
    }
    assert_at_rest(result.ledger)
    some = upload(folder, purpose="pre-train", include=["file-0.*"], ledger=tmp_path / "x.db", **server)
    assert [one.path for one in some.accepted] == ["corpus/file-0.jsonl"]


def test_what_a_folder_leaves_out_is_not_mute(
    tmp_path: Path, sandbox: Sandbox, server: dict[str, Any]
) -> None:
    """A file whose purpose cannot be told is missing: the result says so, and raises."""
    text_files(tmp_path / "data", 1)
    (tmp_path / "data" / "notes.md").write_text("# Notes\n")
    result = upload(tmp_path / "data", **server)
    assert len(sandbox.files) == 1
    assert (result.ok, result.failures) == (False, [])
    with pytest.raises(
        EntriesFailed, match=r"1 of 1 entries accepted: left out 1 file without a purpose \(notes.md\)"
    ):
        result.raise_for_status()
    assert upload(tmp_path / "data", exclude=["*.md"], **server).ok


def test_a_folder_of_nothing_is_a_usage_error(tmp_path: Path, server: dict[str, Any]) -> None:
    """It is not taken for a job that is done."""
    with pytest.raises(UsageError, match="no file to upload"):
        upload(tmp_path, **server)
    text_files(tmp_path, 1)
    assert upload(tmp_path, ledger=tmp_path / "l.db", **server).ok
    (tmp_path / "file-0.jsonl").unlink()
    with pytest.raises(ManifestInvalid, match="1 of 1 files that the ledger has"):
        upload(tmp_path, ledger=tmp_path / "l.db", **server)
    text_files(tmp_path, 1)
    with pytest.raises(UsageError, match="a list of patterns"):
        upload(tmp_path, include="*.jsonl", **server)
    with pytest.raises(UsageError, match="chooses files of a folder"):
        upload(tmp_path / "file-0.jsonl", purpose="pre-train", include=["*"], **server)
