"""What of an object may be sent, and how each thing that goes wrong with a store ends."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.doubt.content import ByteRange
from bulk_upload.core.run.source import LoadedFile, SourceChanged, SourceError, SourceGrew
from bulk_upload.edge.objects.reader import SMALL_OBJECT_BYTES_MAX, ObjectReader
from bulk_upload.sandbox.objects import (
    MadeLines,
    MemoryBucket,
    ObjectFaults,
    ObjectStore,
    ObjectStoreConfig,
    RequestKind,
    parse_object_faults,
)
from tests.edge.objects.stage import stores_of, web_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bulk_upload.core.model import Fingerprint

LARGE_BYTES = 3 * 1024 * 1024 + 17
LARGE = b"".join(MadeLines(LARGE_BYTES, seed="large").chunks(0, LARGE_BYTES))
PATH = "s3://data/large.jsonl"
SMALL = "s3://data/small.jsonl"
GET, HEAD = RequestKind.GET, RequestKind.HEAD


@pytest.fixture
async def store() -> AsyncIterator[ObjectStore]:
    bucket = MemoryBucket({"large.jsonl": LARGE, "small.jsonl": b"small\n", "empty": b""})
    async with ObjectStore(ObjectStoreConfig(buckets={"data": bucket})) as running:
        yield running


@pytest.fixture
def reader(store: ObjectStore) -> Iterator[ObjectReader]:
    with closing(ObjectReader(stores_of(store))) as running:
        yield running


async def version(reader: ObjectReader, path: str = PATH) -> Fingerprint:
    """Return the present version of an object."""
    async with reader.source(path) as stream:
        return stream.fingerprint


async def read(reader: ObjectReader, path: str, expected: Fingerprint | None) -> tuple[bytes, str | None]:
    """Read an object to its end, and return its content and its hash."""
    blocks = []
    async with reader.source(path, expected=expected) as stream:
        while block := await stream.read():
            blocks.append(block)
        return b"".join(blocks), stream.content_hash


async def taken(reader: ObjectReader, path: str, expected: Fingerprint) -> tuple[int, SourceError]:
    """Read an object that fails; return how many bytes were given out before, and the error."""
    count = 0
    try:
        async with reader.source(path, expected=expected) as stream:
            while block := await stream.read():
                count += len(block)
    except SourceError as error:
        return count, error
    raise AssertionError("it was read to its end")


async def test_one_request_for_one_upload(store: ObjectStore, reader: ObjectReader) -> None:
    """A planned version is read with a single GET that names it, and hashed on the way."""
    planned = await version(reader)
    before = store.counts.total()
    content, sha256 = await read(reader, PATH, planned)
    assert content == LARGE
    assert sha256 == hashlib.sha256(LARGE).hexdigest()
    assert store.counts.total() == before + 1
    assert store.requests[-1].if_match == f'"{planned.etag}"'


@pytest.mark.parametrize("path", ["s3://data/empty", "s3://data/small.jsonl"])
async def test_small_and_empty(store: ObjectStore, reader: ObjectReader, path: str) -> None:
    """An object of one block, or none, comes to its end as any other."""
    content, _ = await read(reader, path, None)
    found = store.find("data", path.rpartition("/")[2])
    assert found is not None
    assert len(content) == found.content.size


@pytest.mark.parametrize("fault", ["drop-mid:0.4", "cut:0.4", "503*2", "drop-head"])
async def test_what_is_mended_unseen(store: ObjectStore, reader: ObjectReader, fault: str) -> None:
    """A broken answer goes on where it ended, by the same version; a busy store is asked again."""
    planned = await version(reader)
    store.use_faults(parse_object_faults(fault))
    content, sha256 = await read(reader, PATH, planned)
    assert content == LARGE
    assert sha256 == hashlib.sha256(LARGE).hexdigest()
    assert {one.if_match for one in store.requests if one.kind is GET} <= {None, f'"{planned.etag}"'}


@pytest.mark.parametrize(
    ("fault", "reason", "transient", "inaccessible"),
    [
        ("403@100%", "refuses access", False, True),
        ("401@100%", "refuses access", False, True),
        ("404@100%", "no such object", False, True),
        ("400@100%", "refuses the request", False, True),
        ("503@100%", "too busy", True, False),
        ("500@100%", "fails", True, False),
        ("429@100%", "too busy", True, False),
        ("vanish@100%", "no such object", False, True),
    ],
)
async def test_no_answer_of_use(
    store: ObjectStore, reader: ObjectReader, fault: str, reason: str, transient: bool, inaccessible: bool
) -> None:
    """What a store refuses is no fault of the object; what may pass is tried again."""
    planned = await version(reader)
    store.use_faults(parse_object_faults(fault))
    count, error = await taken(reader, PATH, planned)
    assert count == 0
    assert reason in error.reason
    assert (error.transient, error.inaccessible) == (transient, inaccessible)


@pytest.mark.parametrize("fault", ["replace", "grow"])
async def test_replaced_before_it_is_read(store: ObjectStore, reader: ObjectReader, fault: str) -> None:
    """Nothing is read of another version, and the error says which one is there now."""
    planned = await version(reader)
    store.use_faults(parse_object_faults(fault))
    with pytest.raises(SourceChanged) as changed:
        async with reader.source(PATH, expected=planned):
            pass
    assert not changed.value.fingerprint.same_version(planned)
    store.use_faults(ObjectFaults())
    assert (await version(reader)).same_version(changed.value.fingerprint)


async def test_replaced_while_it_is_read(store: ObjectStore, reader: ObjectReader) -> None:
    """An answer that was begun is of the version it began with, whatever comes meanwhile."""
    planned = await version(reader)
    store.use_faults(parse_object_faults("replace-mid"))
    content, _ = await read(reader, PATH, planned)
    assert content == LARGE


async def test_broken_and_replaced(store: ObjectStore, reader: ObjectReader) -> None:
    """The rest of a broken answer is never taken from another version."""
    planned = await version(reader)
    store.use_faults(parse_object_faults("replace-drop"))
    count, error = await taken(reader, PATH, planned)
    assert count < LARGE_BYTES
    assert error.transient
    assert "replaced" in error.reason


@pytest.mark.parametrize("path", [PATH, "s3://data/small.jsonl"])
async def test_short(store: ObjectStore, reader: ObjectReader, path: str) -> None:
    """An answer that stays shorter than announced gives out no last block."""
    planned = await version(reader, path)
    store.use_faults(parse_object_faults("cut:0.9@100%"))
    count, error = await taken(reader, path, planned)
    assert count < planned.size
    assert error.transient
    (loaded,) = await reader.load([path], expected=[planned])
    assert isinstance(loaded, SourceError)


@pytest.mark.parametrize("fault", ["stall-head", "stall"])
async def test_stands_still(store: ObjectStore, reader: ObjectReader, fault: str) -> None:
    """A store that says nothing is given up, and may be tried again."""
    planned, small = await version(reader), await version(reader, SMALL)
    store.use_faults(parse_object_faults(f"{fault}@100%"))
    with closing(ObjectReader(stores_of(store, stall_s=0.2))) as impatient:
        count, error = await taken(impatient, PATH, planned)
        (loaded,) = await impatient.load([SMALL], expected=[small])
    assert count < LARGE_BYTES
    assert error.transient
    assert "did not answer" in error.reason
    assert isinstance(loaded, SourceError)
    assert loaded.transient


@pytest.mark.parametrize("kind", ["weak", "none"])
async def test_without_a_strong_tag(store: ObjectStore, reader: ObjectReader, kind: str) -> None:
    """A web server without strong tags is looked at again at the end, and a broken answer is never continued."""
    path = web_address(store, "data/large.jsonl")
    store.use_faults(parse_object_faults(f"etag={kind}"))
    planned = await version(reader, path)
    assert planned.strong_etag is None
    heads = store.counts[HEAD]
    content, _ = await read(reader, path, planned)
    assert content == LARGE
    assert store.counts[HEAD] == heads + 1

    store.use_faults(parse_object_faults(f"etag={kind},drop-mid:0.4"))
    count, error = await taken(reader, path, planned)
    assert count < LARGE_BYTES
    assert error.transient
    assert store.requests[-1].first_byte is None

    store.use_faults(parse_object_faults(f"etag={kind},replace-mid"))
    count, error = await taken(reader, path, planned)
    assert count < LARGE_BYTES
    assert "replaced" in error.reason


async def test_small_ones_are_loaded_together(store: ObjectStore, reader: ObjectReader) -> None:
    """Each small object takes one GET; errors stand in the places of their objects."""
    for number in range(50):
        store.put("data", f"s/{number}", f"content {number}\n")
    paths = [f"s3://data/s/{number}" for number in range(50)]
    planned = [await version(reader, path) for path in paths]
    before = store.counts.copy()
    store.delete("data", "s/7")
    store.put("data", "s/8", b"other")
    store.put("data", "s/9", b"x" * (SMALL_OBJECT_BYTES_MAX + 1))
    loaded = await reader.load(paths, expected=planned)
    assert store.counts[GET] - before[GET] == 50
    good = [one for one in loaded if isinstance(one, LoadedFile)]
    assert [one.content for one in good[:7]] == [f"content {number}\n".encode() for number in range(7)]
    assert good[0].content_hash == hashlib.sha256(b"content 0\n").hexdigest()
    assert len(good) == 47
    assert isinstance(loaded[7], SourceError)
    assert isinstance(loaded[8], SourceChanged)
    assert loaded[8].fingerprint.size == 5
    assert isinstance(loaded[9], SourceChanged)
    (grown,) = await reader.load(["s3://data/s/9"])
    assert isinstance(grown, SourceGrew)


async def test_hashes_are_of_one_version(store: ObjectStore, reader: ObjectReader) -> None:
    """Whole or in parts, an object is hashed as the version that is there, or refused."""
    planned = await version(reader)
    sha256, found = await reader.hash_content(PATH, HashFunction.SHA256)
    assert (sha256, found.same_version(planned)) == (hashlib.sha256(LARGE).hexdigest(), True)
    ranges = (ByteRange(start=5, length=100), ByteRange(start=1000, length=7))
    sha256, _ = await reader.hash_content(PATH, HashFunction.SHA256, expected=planned, ranges=ranges)
    assert sha256 == hashlib.sha256(LARGE[5:105] + LARGE[1000:1007]).hexdigest()
    other = replace(planned, etag="other")
    for parts in ((), ranges):
        with pytest.raises(SourceChanged):
            await reader.hash_content(PATH, HashFunction.SHA256, expected=other, ranges=parts)


async def test_the_next_block_is_fetched_while_one_is_sent(store: ObjectStore, reader: ObjectReader) -> None:
    """After a block was given out the store goes on sending, without anybody asking for the next one."""
    async with reader.source(PATH) as stream:
        await stream.read()
        ahead = stream._ahead
        assert ahead is not None
        await asyncio.wait([ahead], timeout=60)
        assert len(ahead.result()) >= 1024 * 1024


async def test_no_secret_and_no_address_in_errors(store: ObjectStore, reader: ObjectReader) -> None:
    """What obstore says of a request is not passed on: only the status and the code of the store."""
    planned = await version(reader)
    store.use_faults(parse_object_faults("403@100%"))
    _, error = await taken(reader, PATH, planned)
    assert error.reason == "the store refuses access to the object (403 AccessDenied)"
