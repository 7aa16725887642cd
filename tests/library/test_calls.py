"""`upload` and its twin: what may be uploaded, and what comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload import (
    Entry,
    EntryState,
    Job,
    LedgerReader,
    ManifestInvalid,
    Uploader,
    UsageError,
    plan,
    read_ledger,
    upload,
)
from bulk_upload.core.run.plan import Step
from tests.cli.stage import run_here
from tests.library.scenes import assert_at_rest, manifest_of, text_files

if TYPE_CHECKING:
    from bulk_upload.sandbox import Sandbox


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
