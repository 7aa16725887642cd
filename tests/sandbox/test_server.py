from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import resource
import socket
import sys
import time
from pathlib import Path

import pytest

from bulk_upload.errors import UsageError
from bulk_upload.sandbox import Sandbox, SandboxConfig, parse_faults, sandbox_in_thread
from tests.sandbox.client import KEY, connect, head, upload, upload_form, upload_request


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "localhost", ""])
def test_only_loopback_is_served(host: str) -> None:
    """A host other than 127.0.0.1 or ::1 is a usage error."""
    with pytest.raises(UsageError, match="this machine only"):
        SandboxConfig(host=host)


@pytest.mark.parametrize("port", [-1, 65536])
def test_ports_have_a_range(port: int) -> None:
    """A number that is no port is a usage error."""
    with pytest.raises(UsageError, match="not a port"):
        SandboxConfig(port=port)


async def test_ipv6_loopback() -> None:
    """`::1` is served, and its URL has the brackets."""
    try:
        async with Sandbox(SandboxConfig(host="::1")) as sandbox:
            assert sandbox.url.startswith("http://[::1]:")
            assert (await upload(sandbox.url)).status == 200
    except UsageError:
        pytest.skip("this machine has no ::1")


async def test_a_taken_port_is_a_usage_error() -> None:
    """A port in use is one clear message with a way out, in the loop and in the thread."""
    async with Sandbox() as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(UsageError, match=f"port {port} on 127.0.0.1 is in use") as caught:
            async with Sandbox(SandboxConfig(port=port)):
                pass
        assert "0 finds a free one" in (caught.value.hint or "")
        with pytest.raises(UsageError, match="is in use"), sandbox_in_thread(SandboxConfig(port=port)):
            pass


def test_unusable_places_are_usage_errors(tmp_path: Path) -> None:
    """A folder or a journal that cannot be made is a usage error before anything is served."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UsageError, match="folder"):
        Sandbox(SandboxConfig(directory=str(blocked / "sub")))
    with pytest.raises(UsageError, match="journal"):
        Sandbox(SandboxConfig(journal_path=str(tmp_path / "missing" / "journal.jsonl")))


def test_a_thread_serves_synchronous_callers() -> None:
    """`sandbox_in_thread` serves while the caller blocks, and what it saw can be read afterwards."""
    with sandbox_in_thread() as sandbox:
        host, port = sandbox.url.removeprefix("http://").split(":")
        client = http.client.HTTPConnection(host, int(port), timeout=5)
        body = upload_form(b"from a thread")
        client.request(
            "PUT",
            "/v1/flow/files",
            body,
            {"Authorization": KEY, "Content-Type": "multipart/form-data; boundary=x-boundary-x"},
        )
        answer = json.loads(client.getresponse().read())
        client.close()
        assert sandbox.request_count == 1
    assert [file.file_id for file in sandbox.files] == [answer["id"]]
    with pytest.raises(OSError), socket.create_connection((host, int(port)), timeout=1):
        pass


def test_an_error_in_the_block_still_stops_the_thread() -> None:
    """An exception in the `with` block comes through, and the port is free again."""
    with pytest.raises(ZeroDivisionError), sandbox_in_thread() as sandbox:
        raise ZeroDivisionError
    with sandbox_in_thread(SandboxConfig(port=int(sandbox.url.rpartition(":")[2]))):
        pass


async def test_the_end_does_not_wait_for_stalled_requests(tmp_path: Path) -> None:
    """Stopping breaks open requests off within seconds; each still gets its journal record, on disk too."""
    journal = tmp_path / "journal.jsonl"
    config = SandboxConfig(faults=parse_faults("stall,delay:600,ok"), journal_path=str(journal))
    async with contextlib.AsyncExitStack() as clients:
        async with Sandbox(config) as sandbox:
            for count, request in enumerate((upload_request(), upload_request(), upload_request()[:-20]), 1):
                wire = await clients.enter_async_context(connect(sandbox.url))
                await wire.send(request)
                while sandbox.in_flight < count:
                    await asyncio.sleep(0.01)
            began = time.monotonic()
        assert time.monotonic() - began < 3
    assert len(sandbox.uploads) == 3
    assert len(journal.read_text().splitlines()) == 3


async def test_the_journal_file_holds_what_memory_holds(tmp_path: Path) -> None:
    """Each record is one JSON line, there before the answer is; a second sandbox appends."""
    journal = tmp_path / "journal.jsonl"
    data = b"exact bytes"
    config = SandboxConfig(journal_path=str(journal), faults=parse_faults("ok,stored-500"))
    file_ids: list[str] = []
    for _ in range(2):
        async with Sandbox(config) as sandbox:
            for count in (1, 2):
                await upload(sandbox.url, data, "naïve.jsonl")
                assert len(sandbox.journal) == count
                assert json.loads(journal.read_text().splitlines()[-1])["number"] == count
            file_ids += [file.file_id for file in sandbox.files]
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 1, 2]
    last = lines[3]
    assert {
        name: last[name] for name in ("kind", "filename", "purpose", "file_bytes", "status", "fault")
    } == {
        "kind": "upload",
        "filename": "naïve.jsonl",
        "purpose": "fine-tune",
        "file_bytes": len(data),
        "status": 500,
        "fault": "stored-500",
    }
    assert last["sha256"] == hashlib.sha256(data).hexdigest()
    assert last["content_length"] == last["body_bytes"]
    assert [line["file_id"] for line in lines] == file_ids


async def test_a_client_that_goes_away_leaves_a_record() -> None:
    """A body that never comes to its end stores nothing and is recorded as incomplete."""
    async with Sandbox() as sandbox:
        async with connect(sandbox.url) as wire:
            await wire.send(upload_request(upload_form(b"x" * 5000))[:-100])
            while not sandbox.in_flight:
                await asyncio.sleep(0.01)
        while not sandbox.uploads:
            await asyncio.sleep(0.01)
    (record,) = sandbox.uploads
    assert (record.complete, record.status, record.file_id, record.sha256) == (False, None, None, None)
    assert record.filename == "a.jsonl"
    assert sandbox.files == ()


async def test_memory_stays_flat() -> None:
    """With digests only, a body of 96 MiB is hashed without being kept."""
    block = b"0123456789abcdef" * 65536
    count = 96
    plain = upload_form(b"@")
    start, end = plain.split(b"@")
    digest = hashlib.sha256()
    before = _peak_bytes()
    async with Sandbox() as sandbox, connect(sandbox.url) as wire:
        await wire.send(head("PUT", "/v1/flow/files", body_bytes=len(plain) - 1 + count * len(block)) + start)
        for _ in range(count):
            await wire.send(block)
            digest.update(block)
        answer = await wire.exchange(end)
    assert answer.json["bytes"] == count * len(block)
    assert sandbox.files[0].sha256 == digest.hexdigest()
    assert _peak_bytes() - before < 40 * 2**20


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
