"""Where the library may be called: in loops of all kinds, in threads, and by callers that are cancelled."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload import (
    EntrySettled,
    LedgerLocked,
    UsageError,
    upload,
    upload_async,
)
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.library.scenes import assert_at_rest, assert_nothing_goes_on, manifest_of
from tests.waiting import until

if TYPE_CHECKING:
    from bulk_upload.sandbox import Sandbox


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
