from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from bulk_upload.sandbox import RecordKind, Sandbox
from bulk_upload.sandbox.wire import WireWatch
from tests.sandbox.client import call, connect, head, upload_form, upload_request

CHUNKED = (
    head("PUT", "/x", headers=["Transfer-Encoding: chunked"]) + b"5;ext=1\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"
)
REQUESTS = {"no body": head("GET", "/x"), "length": upload_request(), "chunked": CHUNKED}


def surplus_of(data: bytes, *cuts: int) -> bytes:
    watch = WireWatch()
    found = b""
    edges = [0, *cuts, len(data)]
    for start, end in pairwise(edges):
        found += watch.feed(data[start:end])
    return found + watch.close()


@pytest.mark.parametrize("request_bytes", REQUESTS.values(), ids=REQUESTS.keys())
def test_sound_requests_have_no_surplus(request_bytes: bytes) -> None:
    """A whole request has no surplus, however it is cut."""
    assert surplus_of(request_bytes) == b""
    assert surplus_of(request_bytes, *range(1, len(request_bytes))) == b""


@pytest.mark.parametrize("request_bytes", REQUESTS.values(), ids=REQUESTS.keys())
@pytest.mark.parametrize("leak", [b"\n", b'{"text": "more"}\n', head("DELETE", "/v1/flow/files/file-other")])
def test_bytes_after_a_body_are_seen(request_bytes: bytes, leak: bytes) -> None:
    """Bytes that follow a body before its answer are surplus, also when they look like a request."""
    for cut in range(len(request_bytes) + 1):
        assert surplus_of(request_bytes + leak, cut) == leak
    bytewise = surplus_of(request_bytes + leak, *range(1, len(request_bytes + leak)))
    assert leak.startswith(bytewise)
    assert bytewise


@pytest.mark.parametrize(
    "leak", [b'{"text": 1}\n', b"\r\n", b"GET", b"GET /x HTTP/1.1\r\n\r\n", b"\x16\x03\x01"]
)
def test_bytes_after_an_answer_must_be_a_request(leak: bytes) -> None:
    """After the answer only a request with a Host may follow; anything else is surplus."""
    watch = WireWatch()
    assert watch.feed(REQUESTS["length"]) == b""
    watch.answered()
    assert watch.feed(leak) + watch.close() == leak


def test_kept_connections_are_followed() -> None:
    """On a kept connection each answered request may be followed by the next, early answers included."""
    watch = WireWatch()
    for data in (REQUESTS["length"], REQUESTS["chunked"], REQUESTS["length"]):
        assert watch.feed(data[:10]) == b""
        assert watch.feed(data[10:-1]) == b""
        watch.answered()
        assert watch.feed(data[-1:]) == b""
    assert watch.close() == b""


async def test_a_leak_stands_in_the_journal() -> None:
    """Garbage in the same write as the end of a body is recorded, with its connection, before the answer."""
    async with Sandbox() as sandbox, connect(sandbox.url) as wire:
        answer = await wire.exchange(upload_request() + b'{"text": "grown"}\n')
        (record,) = sandbox.unexpected
    assert (answer.status, len(sandbox.files)) == (200, 1)
    assert (record.kind, record.connection, record.body_bytes) == (RecordKind.UNEXPECTED, 1, 18)
    assert "grown" in (record.note or "")


async def test_a_leaked_request_runs_and_is_seen() -> None:
    """A request smuggled in by surplus bytes is executed, as real servers do, and the journal shows the leak."""
    async with Sandbox() as sandbox:
        async with connect(sandbox.url) as wire:
            file_id = (await wire.exchange(upload_request())).json["id"]
        leak = head("DELETE", f"/v1/flow/files/{file_id}")
        async with connect(sandbox.url) as wire:
            await wire.exchange(upload_request() + leak)
            await wire.answer()
    assert file_id not in {file.file_id for file in sandbox.files}
    (record,) = sandbox.unexpected
    assert (record.connection, record.body_bytes) == (2, len(leak))
    assert "test-key" not in record.as_json()


async def test_a_late_leak_is_seen() -> None:
    """Garbage that arrives after the answer is recorded too."""
    async with Sandbox() as sandbox:
        async with connect(sandbox.url) as wire:
            await wire.exchange(upload_request())
            await wire.send(b"0123456789")
            await wire.answer()
        assert [record.body_bytes for record in sandbox.unexpected] == [10]


async def test_sound_traffic_leaves_no_unexpected_record() -> None:
    """Uploads and calls one after the other on one connection, and several connections at once, are not unexpected."""
    async with Sandbox() as sandbox:
        async with connect(sandbox.url) as wire:
            for _ in range(3):
                assert (await wire.exchange(upload_request(upload_form(b"x" * 100_000)))).status == 200
                assert (await wire.exchange(head("GET", "/v1/flow/files"))).status == 200
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(call(sandbox.url, "GET", "/v1/flow/files"))
    assert sandbox.unexpected == ()
    assert sandbox.request_count == 11
    assert [record.connection for record in sandbox.journal[:6]] == [1] * 6
    assert sorted(record.connection for record in sandbox.journal[6:]) == [2, 3, 4, 5, 6]
