"""What a plan learns about objects, and with how few requests."""

from __future__ import annotations

import random
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.core.model import Fingerprint
from bulk_upload.edge.objects.lookup import Lookup
from bulk_upload.sandbox.objects import (
    Bucket,
    MemoryBucket,
    NumberedBucket,
    ObjectFaults,
    ObjectStore,
    ObjectStoreConfig,
    RequestKind,
    object_store_in_thread,
    parse_object_faults,
)
from tests.edge.objects.stage import WAIT_S, stores_of, web_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LIST, HEAD = RequestKind.LIST, RequestKind.HEAD
OPENED: list[Lookup] = []
FOLDERS = {f"{folder}/{name:02}.jsonl": f"{folder}{name}" for folder in "abc" for name in range(60)}


@pytest.fixture
def store() -> Iterator[ObjectStore]:
    buckets: dict[str, Bucket] = {
        "folders": MemoryBucket({**FOLDERS, "a/é ü~%20.jsonl": "odd", "top.jsonl": "top"}),
        "many": NumberedBucket(5000, prefix="part/"),
    }
    with object_store_in_thread(ObjectStoreConfig(buckets=buckets)) as running:
        yield running


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Close what a test looked up: a database that nobody closes is a warning."""
    yield
    while OPENED:
        OPENED.pop().close()


def looked_up(store: ObjectStore, paths: Iterable[str], *, stall_s: float = WAIT_S) -> Lookup:
    lookup = Lookup(stores_of(store, stall_s=stall_s))
    OPENED.append(lookup)
    lookup.expect(paths)
    lookup.look()
    return lookup


def part(number: int) -> str:
    return f"s3://many/part/{number:08d}.jsonl"


def test_a_whole_bucket_in_any_order_takes_one_list(store: ObjectStore) -> None:
    """Five pages of a thousand, whatever the order of the manifest; every object has size and tag."""
    paths = [part(number) for number in range(5000)]
    random.Random(7).shuffle(paths)
    lookup = looked_up(store, paths)
    assert store.counts[LIST] <= 6
    assert store.counts[HEAD] == 0
    for path in paths[:20]:
        found = lookup.inspect(path)
        assert isinstance(found, Fingerprint)
        assert found.size == 256
        assert found.etag


def test_few_objects_are_asked_for_one_by_one(store: ObjectStore) -> None:
    """Fewer than twenty are not worth a list, and a HEAD tells the version, too."""
    store.use_faults(ObjectFaults(versions=True))
    lookup = looked_up(store, [f"s3://folders/a/{name:02}.jsonl" for name in range(19)])
    assert store.counts == {HEAD: 19}
    found = lookup.inspect("s3://folders/a/00.jsonl")
    assert isinstance(found, Fingerprint)
    assert found.version == "v1"


def test_one_in_a_hundred(store: ObjectStore) -> None:
    """Objects that lie far apart take hardly more requests than one for each."""
    paths = [part(number) for number in range(0, 5000, 100)]
    looked_up(store, paths)
    assert store.counts.total() <= len(paths) + 5


def test_folders_are_listed_apart(store: ObjectStore) -> None:
    """A folder of which nothing is wanted is not listed."""
    paths = [f"s3://folders/{folder}/{name:02}.jsonl" for folder in "ac" for name in range(60)]
    lookup = looked_up(store, paths)
    assert store.counts[HEAD] <= 40
    assert store.counts[LIST] <= 4
    assert all(isinstance(lookup.inspect(path), Fingerprint) for path in paths)


def test_missing_objects(store: ObjectStore) -> None:
    """What a list does not have is missing, at its beginning, in it, behind it, and in no folder at all."""
    there = [part(number) for number in range(40, 80)]
    missing = ["s3://many/a", "s3://many/part/00000041", "s3://many/part/z", "s3://many/q/x", "s3://none/x"]
    lookup = looked_up(store, [*there, *missing])
    assert all(isinstance(lookup.inspect(path), Fingerprint) for path in there)
    for path in missing:
        complaint = lookup.inspect(path)
        assert isinstance(complaint, PathComplaint)
        assert complaint.rule == "missing-file"
        assert f'"{path}"' in complaint.found


def test_odd_keys(store: ObjectStore) -> None:
    """Keys with blanks, accents and percent signs are found, in a list and alone."""
    odd = "s3://folders/a/é ü~%20.jsonl"
    assert isinstance(looked_up(store, [odd]).inspect(odd), Fingerprint)
    listed = looked_up(store, [odd, *(f"s3://folders/a/{name:02}.jsonl" for name in range(60))])
    assert isinstance(listed.inspect(odd), Fingerprint)


def test_a_store_that_may_not_be_listed(store: ObjectStore) -> None:
    """Where listing is refused the objects are asked for one by one."""
    store.use_faults(parse_object_faults("list-403@100%"))
    paths = [part(number) for number in range(60)]
    lookup = looked_up(store, paths)
    assert store.counts[HEAD] == 60
    assert all(isinstance(lookup.inspect(path), Fingerprint) for path in paths)


def test_refused_and_failing(store: ObjectStore) -> None:
    """A refusal is a finding; a store that is too busy may answer later."""
    store.use_faults(parse_object_faults("head-403@/folders/a/00.jsonl,head-503*9@/folders/a/01.jsonl"))
    lookup = looked_up(store, ["s3://folders/a/00.jsonl", "s3://folders/a/01.jsonl"])
    refused, busy = (lookup.inspect(f"s3://folders/a/0{number}.jsonl") for number in (0, 1))
    assert isinstance(refused, PathComplaint)
    assert (refused.rule, refused.transient) == ("unreadable-file", False)
    assert "403" in refused.found
    assert isinstance(busy, PathComplaint)
    assert busy.transient


def test_a_store_that_stands_still(store: ObjectStore) -> None:
    """A list that never comes is given up, and objects are asked for alone; of those that stay silent the next run asks."""
    paths = [part(number) for number in range(30)]
    store.use_faults(parse_object_faults("list-stall-head@100%,head-stall-head@/many/part/00000007.jsonl"))
    lookup = looked_up(store, paths, stall_s=1.0)
    silent = lookup.inspect(part(7))
    assert isinstance(silent, PathComplaint)
    assert silent.transient
    assert "did not answer in time" in silent.found
    assert store.counts[HEAD] >= 29


def test_files_of_a_web_server(store: ObjectStore) -> None:
    """A web server has no list; its files are asked for one by one, and one without it is missing."""
    good, bad = web_address(store, "folders/top.jsonl"), web_address(store, "folders/no.jsonl")
    lookup = looked_up(store, [good, bad])
    assert isinstance(lookup.inspect(good), Fingerprint)
    assert isinstance(lookup.inspect(bad), PathComplaint)
    assert store.counts == {HEAD: 2}


def test_a_rewritten_object_without_versions(store: ObjectStore) -> None:
    """The time is the store's; a bucket without versions says "null", which is no version."""
    found = looked_up(store, ["s3://folders/top.jsonl"]).inspect("s3://folders/top.jsonl")
    assert isinstance(found, Fingerprint)
    assert found.version is None
    assert found.mtime_ns == 1_767_225_600 * 10**9


def test_memory_does_not_grow_with_the_manifest() -> None:
    """Eight thousand objects take no more memory than one thousand: what is known lies in a file."""
    peaks = []
    config = ObjectStoreConfig(buckets={"many": NumberedBucket(8_000, prefix="part/")})
    for count in (1_000, 8_000):
        with object_store_in_thread(config) as running:
            lookup = Lookup(stores_of(running))
            lookup.expect(part(number) for number in range(count))
            tracemalloc.start()
            lookup.look()
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            lookup.close()
    assert peaks[1] < 1.5 * peaks[0]
