"""What could not be uploaded is a row with its reason, or raised where a single id was asked for."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload import (
    BulkUploadError,
    CredentialsRefused,
    EntriesFailed,
    EntriesInDoubt,
    EntryState,
    ExitStatus,
    JobIncomplete,
    RunUnfinished,
    Uploader,
    UsageError,
    upload,
)
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.library.scenes import manifest_of, text_files

if TYPE_CHECKING:
    from bulk_upload.sandbox import Sandbox


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


def test_what_is_raised_has_one_base() -> None:
    """Whoever catches BulkUploadError catches what `raise_for_status` raises."""
    for kind in (EntriesFailed, EntriesInDoubt, RunUnfinished):
        assert issubclass(kind, JobIncomplete)
        assert issubclass(kind, BulkUploadError)


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
