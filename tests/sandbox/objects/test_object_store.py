"""The object store, seen through obstore: a client that the store's makers do not share code with."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta

import obstore
import pytest
from obstore.exceptions import GenericError, NotModifiedError, PermissionDeniedError, PreconditionError
from obstore.store import HTTPStore, S3Store

from bulk_upload.sandbox.objects import (
    Bucket,
    MadeLines,
    MemoryBucket,
    NumberedBucket,
    ObjectFaults,
    ObjectStore,
    ObjectStoreConfig,
    RequestKind,
    object_store_in_thread,
    parse_object_faults,
)

LINES = b"".join(b'{"number": %d}\n' % number for number in range(20_000))
NO_WAITING = {
    "max_retries": 3,
    "backoff": {
        "init_backoff": timedelta(milliseconds=1),
        "max_backoff": timedelta(milliseconds=2),
        "base": 2,
    },
    "retry_timeout": timedelta(seconds=60),
}


def s3(store: ObjectStore, bucket: str = "data") -> S3Store:
    return S3Store(
        bucket,
        endpoint=store.url,
        access_key_id="PLAYKEY",
        secret_access_key="secret",
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
        retry_config=NO_WAITING,  # type: ignore[arg-type]
    )


async def read(client: S3Store | HTTPStore, path: str, **options: str) -> bytes:
    result = await obstore.get_async(client, path, options=options)  # type: ignore[arg-type]
    return b"".join([bytes(block) async for block in result.stream(64 * 1024)])


@pytest.fixture
async def store() -> AsyncIterator[ObjectStore]:
    buckets: dict[str, Bucket] = {"data": MemoryBucket({"a.jsonl": LINES}), "many": NumberedBucket(2500)}
    async with ObjectStore(ObjectStoreConfig(buckets=buckets)) as running:
        yield running


async def test_a_listing_comes_in_pages(store: ObjectStore) -> None:
    """Objects are listed in the order of keys, 1,000 a request, with size, etag and time; a prefix narrows it."""
    found = await obstore.list(s3(store, "many")).collect_async()
    assert [one["path"] for one in found] == [f"part-{number:08d}.jsonl" for number in range(2500)]
    assert store.counts == {RequestKind.LIST: 3}
    (one,) = await obstore.list(s3(store), prefix=None).collect_async()
    assert one["size"] == len(LINES)
    assert one["e_tag"] == f'"{hashlib.md5(LINES).hexdigest()}"'
    head = await obstore.head_async(s3(store), "a.jsonl")
    assert (head["size"], head["e_tag"], head["last_modified"]) == (
        one["size"],
        one["e_tag"],
        one["last_modified"],
    )


async def test_a_listing_has_folders(store: ObjectStore) -> None:
    """With a delimiter, what lies deeper is one common prefix, whatever the page size, and also after changes."""
    for key in ("b/1", "b/2", "b/c/3", "b.jsonl", "c&<ü>/4"):
        store.put("data", key, b"{}")
    store.delete("data", "a.jsonl")
    for page in ("page=1", "page=2", "page=1000"):
        store.use_faults(parse_object_faults(page))
        answer = await obstore.list_with_delimiter_async(s3(store))
        assert list(answer["common_prefixes"]) == ["b", "c&<ü>"]
        assert [one["path"] for one in answer["objects"]] == ["b.jsonl"]
        every = await obstore.list(s3(store)).collect_async()
        assert [one["path"] for one in every] == ["b.jsonl", "b/1", "b/2", "b/c/3", "c&<ü>/4"]


async def test_names_keep_every_character(store: ObjectStore) -> None:
    """A key with spaces, signs and letters of other scripts is found under that very key."""
    for key in ("a b+c.jsonl", "100%/ü?#&.jsonl", "日本/語.jsonl"):
        store.put("data", key, key)
        assert await read(s3(store), key) == key.encode()


async def test_conditions_hold(store: ObjectStore) -> None:
    """If-Match of another version is refused with 412, If-None-Match of the same with 304."""
    etag = (await obstore.head_async(s3(store), "a.jsonl"))["e_tag"]
    assert etag is not None
    assert await read(s3(store), "a.jsonl", if_match=etag) == LINES
    with pytest.raises(NotModifiedError):
        await read(s3(store), "a.jsonl", if_none_match=etag)
    store.put("data", "a.jsonl", b"other")
    assert await read(s3(store), "a.jsonl", if_none_match=etag) == b"other"
    with pytest.raises(PreconditionError):
        await read(s3(store), "a.jsonl", if_match=etag)


async def test_ranges(store: ObjectStore) -> None:
    """A range gets its bytes; one that begins after the end is refused."""
    assert bytes(await obstore.get_range_async(s3(store), "a.jsonl", start=10, end=300)) == LINES[10:300]
    suffix = await obstore.get_async(s3(store), "a.jsonl", options={"range": {"suffix": 7}})
    assert bytes(await suffix.bytes_async()) == LINES[-7:]
    with pytest.raises(Exception, match="416"):
        await obstore.get_range_async(s3(store), "a.jsonl", start=len(LINES), length=5)


async def test_versions_stay_readable(store: ObjectStore) -> None:
    """With versioning each version has its id, by which it is read also after it was replaced."""
    store.use_faults(parse_object_faults("versions=yes"))
    first = (await obstore.head_async(s3(store), "a.jsonl"))["version"]
    store.put("data", "a.jsonl", b"other")
    second = (await obstore.head_async(s3(store), "a.jsonl"))["version"]
    assert first is not None
    assert first != second
    assert await read(s3(store), "a.jsonl", version=first) == LINES
    store.delete("data", "a.jsonl")
    with pytest.raises(FileNotFoundError):
        await read(s3(store), "a.jsonl")
    assert await read(s3(store), "a.jsonl", version=first) == LINES


async def test_what_is_missing(store: ObjectStore) -> None:
    """An unknown key and an unknown bucket are not found."""
    with pytest.raises(FileNotFoundError):
        await read(s3(store), "missing")
    with pytest.raises(FileNotFoundError):
        await read(s3(store, "missing"), "a.jsonl")
    with pytest.raises(Exception, match="NoSuchBucket"):
        await obstore.list(s3(store, "missing")).collect_async()


@pytest.mark.parametrize(
    "fault", ["drop-mid:0.3", "cut", "stall:0.01", "503:0", "500", "drop-head", "drop-mid,cut"]
)
async def test_faults_that_a_client_survives(store: ObjectStore, fault: str) -> None:
    """What breaks off is resumed by a range of the same version, and comes whole."""
    store.use_faults(parse_object_faults(fault))
    etag = (await obstore.head_async(s3(store), "a.jsonl"))["e_tag"]
    assert await read(s3(store), "a.jsonl", if_match=str(etag)) == LINES
    gets = [one for one in store.requests if one.kind is RequestKind.GET]
    assert [one.fault for one in gets] == [*fault.split(","), None]
    assert {one.if_match for one in gets} == {etag}
    # A reset loses what was written and not read yet.
    assert (gets[-1].first_byte or 0) <= sum(one.body_bytes for one in gets[:-1])


async def test_replaced_before_it_is_read(store: ObjectStore) -> None:
    """`replace` refuses the planned version; the new one has as many bytes and is JSON Lines as well."""
    etag = (await obstore.head_async(s3(store), "a.jsonl"))["e_tag"]
    store.use_faults(parse_object_faults("replace"))
    with pytest.raises(PreconditionError):
        await read(s3(store), "a.jsonl", if_match=str(etag))
    turned = await read(s3(store), "a.jsonl")
    assert turned != LINES
    assert sorted(turned.splitlines()) == sorted(LINES.splitlines())


async def test_replaced_while_it_is_read(store: ObjectStore) -> None:
    """A GET gets its version to the end; broken off as well, it ends in an error and never in a mixture."""
    etag = str((await obstore.head_async(s3(store), "a.jsonl"))["e_tag"])
    store.use_faults(parse_object_faults("replace-mid,ok,replace-drop"))
    assert await read(s3(store), "a.jsonl", if_match=etag) == LINES
    after = await read(s3(store), "a.jsonl")
    assert after != LINES
    etag = str((await obstore.head_async(s3(store), "a.jsonl"))["e_tag"])
    with pytest.raises(GenericError, match="precondition"):
        await read(s3(store), "a.jsonl", if_match=etag)


@pytest.mark.parametrize(
    ("fault", "size_changes", "etag_changes"),
    [("rewrite", False, False), ("retag", False, True), ("grow", True, True), ("replace", False, True)],
)
async def test_changes_show_in_what_identifies_an_object(
    store: ObjectStore, fault: str, size_changes: bool, etag_changes: bool
) -> None:
    """Each kind of change moves the time, and only what it is about besides."""
    before = await obstore.head_async(s3(store), "a.jsonl")
    store.use_faults(parse_object_faults(fault))
    await read(s3(store), "a.jsonl")
    after = await obstore.head_async(s3(store), "a.jsonl")
    assert (before["size"] != after["size"], before["e_tag"] != after["e_tag"]) == (
        size_changes,
        etag_changes,
    )
    assert before["last_modified"] < after["last_modified"]


async def test_a_short_body_is_a_whole_answer(store: ObjectStore) -> None:
    """`short` declares fewer bytes than the object has, and a client gets those without an error."""
    store.use_faults(parse_object_faults("short:0.25"))
    result = await obstore.get_async(s3(store), "a.jsonl")
    assert len(bytes(await result.bytes_async())) == len(LINES) // 4 == result.meta["size"]


async def test_statuses_of_every_request(store: ObjectStore) -> None:
    """403 and 503 hit the request they are written for, and are S3's own errors."""
    store.use_faults(parse_object_faults("403,head-403,list-403,list-503*9"))
    with pytest.raises(PermissionDeniedError, match="AccessDenied"):
        await read(s3(store), "a.jsonl")
    with pytest.raises(PermissionDeniedError):
        await obstore.head_async(s3(store), "a.jsonl")
    with pytest.raises(GenericError, match="AccessDenied"):
        await obstore.list(s3(store)).collect_async()
    with pytest.raises(GenericError, match="SlowDown"):
        await obstore.list(s3(store)).collect_async()
    assert store.counts == {RequestKind.GET: 1, RequestKind.HEAD: 1, RequestKind.LIST: 5}


async def test_faults_for_certain_objects(store: ObjectStore) -> None:
    """A step aimed at a pattern hits each such object as often as written, and no other."""
    store.put("data", "b.jsonl", LINES)
    store.use_faults(parse_object_faults("403*2@/data/b*"))
    assert await read(s3(store), "a.jsonl") == LINES
    for _ in range(2):
        with pytest.raises(PermissionDeniedError):
            await read(s3(store), "b.jsonl")
    assert await read(s3(store), "b.jsonl") == LINES


@pytest.mark.parametrize(("etag", "start"), [("strong", '"'), ("weak", 'W/"'), ("none", None)])
async def test_a_plain_web_server(store: ObjectStore, etag: str, start: str | None) -> None:
    """Without S3's dialect an object is one URL, whose etag may be weak or missing."""
    store.use_faults(parse_object_faults(f"etag={etag}"))
    client = HTTPStore(f"{store.url}/data", client_options={"allow_http": True})
    found = await obstore.head_async(client, "a.jsonl")
    assert found["size"] == len(LINES)
    assert (found["e_tag"] or "").startswith(start) if start else found["e_tag"] is None
    assert await read(client, "a.jsonl") == LINES
    assert {one.access_key for one in store.requests} == {None}


async def test_only_who_may_come_in() -> None:
    """With an access key, other signatures and none at all are refused; the record names the key, not the secret."""
    config = ObjectStoreConfig(buckets={"data": MemoryBucket({"a": "x"})}, access_key="PLAYKEY")
    async with ObjectStore(config) as store:
        assert await read(s3(store), "a") == b"x"
        with pytest.raises(PermissionDeniedError):
            await read(HTTPStore(f"{store.url}/data", client_options={"allow_http": True}), "a")
    assert [one.access_key for one in store.requests] == ["PLAYKEY", None]


async def test_large_objects_are_never_in_memory() -> None:
    """Made lines are valid, differ from each other and are the same again by ranges."""
    made = MadeLines(40 * 2**20 + 17)
    config = ObjectStoreConfig(buckets={"data": MemoryBucket({"big": made})})
    async with ObjectStore(config) as store:
        result = await obstore.get_async(s3(store), "big")
        digest = hashlib.sha256()
        count = 0
        async for block in result.stream(2**20):
            digest.update(block)
            count += len(block)
        wanted = hashlib.sha256()
        for chunk in made.chunks(0, made.size):
            wanted.update(chunk)
        assert (count, digest.digest()) == (made.size, wanted.digest())
        store.use_faults(parse_object_faults("drop-mid:0.77"))
        assert hashlib.sha256(await read(s3(store), "big")).digest() == wanted.digest()


def test_a_thread_serves_synchronous_callers() -> None:
    """`object_store_in_thread` serves while the caller blocks."""
    config = ObjectStoreConfig(buckets={"data": MemoryBucket({"a": "x"})})
    with object_store_in_thread(config) as store:
        assert bytes(obstore.get(s3(store), "a").bytes()) == b"x"
        store.use_faults(ObjectFaults())
    assert store.counts == {RequestKind.GET: 1}
