"""Reading a file's content back: whole or by ranges, compressed or not, and when it is given up."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import zlib
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from bulk_upload.core.api.paging import PageRequest
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.content_hash import SHA256_ONLY, HashFunction, hash_of
from bulk_upload.core.doubt.content import ByteRange, ReadBack, ranges_to_compare
from bulk_upload.core.model import Accepted
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.sandbox import Sandbox, SandboxConfig
from tests.edge.transport.contents import CONTENT, PARTS, PARTS_BACK, RANGES, WHOLE_BACK, read_back, serves
from tests.edge.transport.scripted_server import Exchange, Scene, ScriptedServer, answer, stores
from tests.edge.transport.shipping import KEY, loaded, ship, transport_to

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_file_is_read_back_whole_or_by_ranges(tmp_path: Path) -> None:
    """What the sandbox stored comes back, either way."""
    async with (
        Sandbox(SandboxConfig(directory=str(tmp_path))) as sandbox,
        transport_to(sandbox.url) as transport,
    ):
        outcome = (await ship(transport, loaded(CONTENT))).outcome
        assert isinstance(outcome, Accepted)
        file_id = outcome.file_id
        assert await transport.read_back(file_id, file_bytes=5000) == WHOLE_BACK
        assert await transport.read_back(file_id, file_bytes=5000, ranges=RANGES) == PARTS_BACK
        assert await transport.hashes_of(file_id, SHA256_ONLY) == WHOLE_BACK.hashes
        assert (await transport.read_back("file-unknown", file_bytes=5000)).hashes == ()


@pytest.mark.parametrize("ranges", [(), RANGES], ids=["whole", "ranges"])
@pytest.mark.parametrize("encoding", [None, "gzip"])
async def test_one_reading_is_hashed_with_every_function_that_is_asked_for(
    encoding: str | None, ranges: tuple[ByteRange, ...]
) -> None:
    """Whole, compressed or by ranges: a hash of each, in the order that they were asked for."""
    pytest.importorskip("blake3")
    packed = answer(200, gzip.compress(CONTENT, mtime=0), {"Content-Encoding": "gzip"})
    scene = serves() if encoding is None else stores(packed)
    back = await read_back(*[scene] * max(1, len(ranges)), ranges=ranges, functions=tuple(HashFunction))
    content = PARTS if back.by_ranges else CONTENT
    assert back.by_ranges is (encoding is None and ranges == RANGES)
    assert back.hashes == tuple(hash_of(content, one) for one in HashFunction)


async def test_ranges_are_asked_for_one_by_one_with_the_key() -> None:
    """Each range is one request for exactly its bytes."""
    server = ScriptedServer(serves())
    async with server.running(), transport_to(server.url) as transport:
        assert await transport.read_back("f-1", file_bytes=5000, ranges=RANGES) == PARTS_BACK
    assert [one.header("Range") for one in server.requests] == [
        "bytes=0-99",
        "bytes=1000-1049",
        "bytes=4900-4999",
    ]
    assert {one.line for one in server.requests} == {"GET /v1/flow/files/f-1/content HTTP/1.1"}
    assert {one.header("Authorization") for one in server.requests} == {KEY}


async def test_a_profile_says_where_contents_are() -> None:
    """Below the file's own path; a server that returns none is not asked."""
    server = ScriptedServer(stores(answer(200, CONTENT)))
    async with server.running():
        elsewhere = replace(FLOW, content_path="/raw/bytes")
        async with transport_to(server.url, profile=elsewhere) as transport:
            assert await transport.read_back("f-1", file_bytes=5000) == WHOLE_BACK
        async with transport_to(server.url, profile=replace(FLOW, can_read_back=False)) as transport:
            back = await transport.read_back("f-1", file_bytes=5000)
            assert await transport.hashes_of("f-1", SHA256_ONLY) == ()
    assert (back.hashes, back.total_bytes) == ((), None)
    assert "its profile says" in back.reason
    assert [one.line for one in server.requests] == ["GET /v1/flow/files/f-1/raw/bytes HTTP/1.1"]


async def test_a_server_that_ignores_ranges_is_read_whole() -> None:
    """A whole answer to the first range is used as it is, without another request."""
    server = ScriptedServer(stores(answer(200, CONTENT)))
    async with server.running(), transport_to(server.url) as transport:
        assert await transport.read_back("f-1", file_bytes=5000, ranges=RANGES) == WHOLE_BACK
    assert len(server.requests) == 1


BROKEN_RANGES: dict[str, Scene] = {
    "416": stores(answer(416, b"", {"Content-Range": "bytes */5000"})),
    "other places": serves(shift=1),
    "no places": stores(answer(206, CONTENT[:100])),
    "other length": serves(total="4999"),
    "too short": serves(cut=1),
    "compressed": stores(
        answer(206, CONTENT[:100], {"Content-Range": "bytes 0-99/5000", "Content-Encoding": "gzip"})
    ),
    "several parts": stores(answer(206, b"--x", {"Content-Type": "multipart/byteranges; boundary=x"})),
    "refused": stores(answer(400, b"no ranges here")),
}


@pytest.mark.parametrize("kind", BROKEN_RANGES)
async def test_a_range_that_is_none_is_not_believed(kind: str) -> None:
    """Whatever is wrong with a range, the whole content decides."""
    back = await read_back(BROKEN_RANGES[kind], stores(answer(200, CONTENT)), ranges=RANGES)
    assert (back.hashes, back.by_ranges, back.total_bytes) == (WHOLE_BACK.hashes, False, 5000)


async def test_an_encoding_of_nothing_is_none() -> None:
    """`Content-Encoding: identity` says nothing."""
    headers = {"Content-Range": "bytes 0-99/5000", "Content-Encoding": "identity"}
    back = await read_back(stores(answer(206, CONTENT[:100], headers)), ranges=RANGES[:1])
    assert (back.by_ranges, back.read_bytes) == (True, 100)


async def test_a_range_of_unknown_length_is_a_range() -> None:
    """A server need not say how long the whole is."""
    assert await read_back(serves(total="*"), ranges=RANGES) == PARTS_BACK


@pytest.mark.parametrize("status", [404, 405, 501])
@pytest.mark.parametrize("ranges", [(), RANGES], ids=["whole", "ranges"])
async def test_a_server_without_contents_says_so(status: int, ranges: tuple[ByteRange, ...]) -> None:
    """Then there is nothing to compare, and no failure."""
    back = await read_back(stores(answer(status, b"{}")), ranges=ranges)
    assert (back.hashes, back.total_bytes, back.reason) == (
        (),
        None,
        f"the server returns no content, HTTP {status}",
    )


@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
async def test_a_failure_is_a_failure(status: int) -> None:
    """Every other answer is raised with its status and its wait; it may be asked again."""
    with pytest.raises(NoAnswer, match=f"HTTP {status}") as caught:
        await read_back(stores(answer(status, f"key {KEY}".encode(), {"Retry-After": "7"})))
    assert caught.value.retry_after_s == 7
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("size", [0, 4999, 5001, 1_000_000])
async def test_content_of_another_length_is_not_read(size: int) -> None:
    """The length alone shows that it is not what was sent."""
    assert await read_back(stores(answer(200, bytes(size)))) == ReadBack(read_bytes=0, total_bytes=size)


async def test_endless_content_is_cut_off() -> None:
    """Where no length is announced, reading ends with one piece more than was sent."""

    async def endless(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await exchange.send(bytes(65_536))

    back = await read_back(endless)
    assert back.hashes == ()
    assert back.total_bytes is not None
    assert 5000 < back.total_bytes < 2_000_000


async def test_content_that_breaks_off_is_a_failure() -> None:
    """Half a content shows nothing."""
    with pytest.raises(NoAnswer, match="the answer broke off"):
        await read_back(stores(answer(200, CONTENT)[:-10], then="close"))


async def test_content_that_drips_is_given_up() -> None:
    """A byte now and then is no stall, and still never ends."""

    async def drips(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await exchange.send(b"x")
            await asyncio.sleep(0.01)

    server = ScriptedServer(drips)
    async with server.running(), transport_to(server.url, stall_s=1.5) as transport:
        with pytest.raises(NoAnswer, match="comes too slowly"):
            await transport.read_back("f-1", file_bytes=5000)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(CONTENT, mtime=0)),
        ("deflate", zlib.compress(CONTENT)),
        ("X-GZIP", gzip.compress(CONTENT, mtime=0)),
    ],
    ids=["gzip", "deflate", "other-case"],
)
async def test_compressed_content_is_what_it_holds(encoding: str, packed: bytes) -> None:
    """A server that compresses unasked is understood."""
    back = await read_back(stores(answer(200, packed, {"Content-Encoding": encoding})))
    assert (back.hashes, back.read_bytes) == (WHOLE_BACK.hashes, len(packed))


@pytest.mark.parametrize("encoding", ["gzip", "br"])
async def test_a_compressed_file_is_not_unpacked(encoding: str) -> None:
    """A stored archive that is served with the name of its encoding is still the file that was sent."""
    back = await read_back(stores(answer(200, CONTENT, {"Content-Encoding": encoding})))
    assert back.hashes == WHOLE_BACK.hashes


@pytest.mark.parametrize(
    ("encoding", "body", "total_bytes"),
    [
        ("br", b"unknown", None),
        ("gzip", b"damaged", None),
        ("gzip", gzip.compress(bytes(5001), mtime=0), 5001),
    ],
)
async def test_what_cannot_be_unpacked_is_not_compared(
    encoding: str, body: bytes, total_bytes: int | None
) -> None:
    """An unknown encoding or a damaged one is no evidence; one that holds something else is."""
    back = await read_back(stores(answer(200, body, {"Content-Encoding": encoding})))
    assert (back.hashes, back.total_bytes) == ((), total_bytes)


async def test_a_bomb_is_not_unpacked_beyond_what_was_sent() -> None:
    """A megabyte that holds a gigabyte ends with the first piece too many."""
    packer = zlib.compressobj()
    first, again = (packer.compress(bytes(10**6)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    bomb = first + again * 999
    assert len(bomb) < 2_000_000
    back = await read_back(stores(answer(200, bomb, {"Content-Encoding": "deflate"})))
    assert back.hashes == ()
    assert back.total_bytes is not None
    assert back.total_bytes < 2_000_000


async def test_a_list_does_not_wait_for_contents() -> None:
    """However slow contents come, a listing gets its connection at once."""

    async def slow(exchange: Exchange) -> None:
        if exchange.request.line.startswith("GET /v1/flow/files?"):
            await exchange.send(answer(200, b'{"data": []}'))
            return
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        await exchange.released.wait()

    server = ScriptedServer(slow)
    async with (
        server.running(),
        transport_to(server.url, stall_s=60, connection_limit=1) as transport,
        asyncio.TaskGroup() as reading,
    ):
        tasks = [reading.create_task(transport.read_back("f-1", file_bytes=5000)) for _ in range(6)]
        async with asyncio.timeout(30):
            assert (await transport.list_page(PageRequest(limit=1))).files == []
        for one in tasks:
            one.cancel()


async def test_the_ranges_of_a_large_file_cost_a_fraction_of_it(tmp_path: Path) -> None:
    """Sixteen pieces are read, not the file."""
    content = os.urandom(3 * 2**20)
    ranges = ranges_to_compare(len(content), compare_max_bytes=2**20, seed="x")
    async with (
        Sandbox(SandboxConfig(directory=str(tmp_path))) as sandbox,
        transport_to(sandbox.url) as transport,
    ):
        outcome = (await ship(transport, loaded(content))).outcome
        assert isinstance(outcome, Accepted)
        back = await transport.read_back(
            outcome.file_id,
            file_bytes=len(content),
            ranges=ranges,
        )
    parts = b"".join(content[one.start : one.last + 1] for one in ranges)
    assert back == ReadBack(hashes=(hashlib.sha256(parts).hexdigest(),), read_bytes=2**20, by_ranges=True)
