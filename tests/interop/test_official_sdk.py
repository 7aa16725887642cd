"""The official SDK against the sandbox: see docs/explanation/interop.md."""

from __future__ import annotations

import gc
import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bulk_upload import upload
from bulk_upload.sandbox import Sandbox, SandboxConfig, parse_faults, sandbox_in_thread

with warnings.catch_warnings():
    # The SDK is not ours to clean: its own deprecations must not fail the import.
    warnings.simplefilter("ignore")
    seekrai = pytest.importorskip(
        "seekrai", reason="the official SDK is not installed: see docs/explanation/interop.md"
    )

pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("ignore")]

KEY = "interop-key"
TEAM = "8d5b1a5e-0000-4000-8000-000000000001"


@pytest.fixture(autouse=True)
def _leaks_end_here() -> Iterator[None]:
    """Collect the SDK's unclosed connections while their warnings are ignored, not after the last test."""
    yield
    gc.collect()


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    config = SandboxConfig(directory=str(tmp_path / "server"), keys=(KEY,))
    with sandbox_in_thread(config) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("SEEKR_TEAM_ID", "SEEKR_BASE_URL", "SEEKR_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return seekrai.SeekrFlow(api_key=KEY, base_url=sandbox.url)


def training_file(folder: Path, name: str, lines: int) -> Path:
    path = folder / name
    path.write_text('{"messages": [{"role": "user", "content": "hi"}]}\n' * lines)
    return path


def test_upload_and_back(client: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    """The SDK uploads a file, finds it, renames it, gets the same bytes back and deletes it."""
    path = training_file(tmp_path, "naïve train%20 data.jsonl", 50_000)
    data = path.read_bytes()

    uploaded = client.files.upload(str(path), purpose="fine-tune")
    (stored,) = sandbox.files
    assert (uploaded.id, uploaded.bytes, uploaded.filename) == (stored.file_id, len(data), path.name)
    assert (uploaded.purpose.value, uploaded.type.value) == ("fine-tune", "jsonl")
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    assert client.files.retrieve(uploaded.id).filename == path.name

    assert client.files.rename(uploaded.id, "renamed.jsonl").filename == "renamed.jsonl"
    copy = tmp_path / "copy.jsonl"
    downloaded = client.files.retrieve_content(uploaded.id, output=copy)
    assert (copy.read_bytes(), downloaded.size) == (data, len(data))

    assert client.files.delete(uploaded.id).deleted is True
    assert client.files.list().data == []
    assert sandbox.unexpected == ()


def test_bulk_upload(client: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    """The SDK's bulk upload gives one id per file, in order; raw documents pass `validate_metadata` first."""
    paths = [training_file(tmp_path, f"{count}.md", count) for count in (1, 2, 3)]
    uploaded = client.files.bulk_upload([str(path) for path in paths], purpose="alignment")
    assert [file.id for file in uploaded] == [file.file_id for file in sandbox.files]
    assert [file.sha256 for file in sandbox.files] == [
        hashlib.sha256(p.read_bytes()).hexdigest() for p in paths
    ]
    assert [record.path for record in sandbox.journal] == ["/v1/flow/files/validate_metadata"] * 3 + [
        "/v1/flow/bulk_files"
    ]


def test_bundles_are_what_the_sdk_sends(client: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    """A bundle is on the wire what the SDK's bulk upload is: path, purpose, and the files with names and contents."""
    names = ["a.jsonl", "naïve 雪.jsonl", "c.jsonl"]
    paths = [training_file(tmp_path, name, count) for count, name in enumerate(names, 1)]
    client.files.bulk_upload([str(path) for path in paths], purpose="fine-tune")
    entries = [{"path": name, "purpose": "fine-tune"} for name in names]
    settings: dict[str, Any] = {
        "root": str(tmp_path),
        "ledger": str(tmp_path / "l.db"),
        "bundle": 8,
        "looks_first": False,
    }
    result = upload(entries, api_key=KEY, base_url=sandbox.url, validate="off", **settings)
    assert result.ok
    theirs, ours = sandbox.uploads
    assert (ours.method, ours.path, ours.purpose) == (theirs.method, theirs.path, theirs.purpose)
    assert [(one.filename, one.sha256) for one in ours.bulk_files] == [
        (one.filename, one.sha256) for one in theirs.bulk_files
    ]


def test_the_sdk_doubles_what_a_bundle_does_not(client: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    """A part is stored and the answer lost: the SDK sends all again, a bundle is looked up and sent where it is absent."""
    paths = [training_file(tmp_path, f"{count}.jsonl", count) for count in (1, 2, 3, 4)]
    sandbox.use_faults(parse_faults("drop-part"))
    client.files.bulk_upload([str(path) for path in paths], purpose="fine-tune")
    assert len(sandbox.files) == 6
    for file in sandbox.files:
        client.files.delete(file.file_id)
    sandbox.use_faults(parse_faults("drop-part"))
    entries = [{"path": path.name, "purpose": "fine-tune"} for path in paths]
    settings: dict[str, Any] = {
        "root": str(tmp_path),
        "ledger": str(tmp_path / "l.db"),
        "bundle": 8,
        "settle_s": 0.1,
    }
    assert upload(entries, api_key=KEY, base_url=sandbox.url, validate="off", **settings).ok
    assert len(sandbox.files) == 4


def test_list(client: Any, tmp_path: Path) -> None:
    """The SDK lists newest first, and by page, order and purpose."""
    for count, purpose in enumerate(("fine-tune", "pre-train", "fine-tune"), 1):
        client.files.upload(str(training_file(tmp_path, f"{count}.jsonl", count)), purpose=purpose)

    def names(**query: Any) -> list[str]:
        return [file.filename for file in client.files.list(**query).data]

    assert names() == ["3.jsonl", "2.jsonl", "1.jsonl"]
    assert names(limit=1, offset=1) == ["2.jsonl"]
    assert names(sort_by="size", sort_order="asc") == ["1.jsonl", "2.jsonl", "3.jsonl"]
    assert names(purpose="pre-train") == ["2.jsonl"]


def test_team_and_key(client: Any, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`SEEKR_TEAM_ID` scopes the SDK's files, and a wrong key is its authentication error."""
    path = str(training_file(tmp_path, "a.jsonl", 1))
    client.files.upload(path)
    monkeypatch.setenv("SEEKR_TEAM_ID", TEAM)
    team = seekrai.SeekrFlow(api_key=KEY, base_url=sandbox.url)
    team.files.upload(path)
    assert len(team.files.list().data) == len(client.files.list().data) == 1
    assert [file.team_id for file in sandbox.files] == [None, TEAM]
    with pytest.raises(seekrai.error.AuthenticationError):
        seekrai.SeekrFlow(api_key="wrong", base_url=sandbox.url).files.list()


async def test_asynchronous_client(client: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    """The SDK's asynchronous client uploads in bulk and lists."""
    paths = [training_file(tmp_path, f"{count}.jsonl", count) for count in (1, 2)]
    asynchronous = seekrai.AsyncSeekrFlow(api_key=KEY, base_url=sandbox.url)
    uploaded = await asynchronous.files.bulk_upload([str(path) for path in paths], purpose="fine-tune")
    found = await asynchronous.files.list()
    assert {file.id for file in found.data} == {file.id for file in uploaded}


def test_the_sdk_makes_duplicates(client: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    """A connection lost after the file was stored makes the SDK send it again: two files, one id told."""
    sandbox.use_faults(parse_faults("drop-stored"))
    uploaded = client.files.upload(str(training_file(tmp_path, "a.jsonl", 10)))
    assert [record.complete for record in sandbox.uploads] == [True, True]
    assert [file.file_id for file in sandbox.files][1] == uploaded.id


def test_the_sdk_gives_up_on_429(client: Any, sandbox: Sandbox, tmp_path: Path) -> None:
    """The SDK answers a 429 with its rate limit error at once: one request, no retry."""
    sandbox.use_faults(parse_faults("429:1"))
    with pytest.raises(seekrai.error.RateLimitError):
        client.files.upload(str(training_file(tmp_path, "a.jsonl", 1)))
    assert len(sandbox.uploads) == 1
