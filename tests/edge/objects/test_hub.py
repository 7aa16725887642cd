"""Files of a Hugging Face Hub: one commit, listed by its trees, read to the hash that the commit names."""

from __future__ import annotations

import hashlib
import http.client
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from huggingface_hub import HfApi, close_session
from huggingface_hub.hf_api import RepoFile
from msgspec.structs import replace

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.doubt.content import ByteRange
from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.core.model import Fingerprint
from bulk_upload.core.objects.address import read_prefix
from bulk_upload.core.objects.options import SourceOptions
from bulk_upload.core.run.source import LoadedFile, SourceError
from bulk_upload.edge.objects.listing import objects_under
from bulk_upload.edge.objects.lookup import Lookup
from bulk_upload.edge.objects.reader import ObjectReader
from bulk_upload.edge.objects.stores import Stores
from bulk_upload.errors import UsageError
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
from tests.edge.objects.stage import WAIT_S, looked_up, planned, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "hf_play"
LARGE_BYTES = 3 * 1024 * 1024 + 17
LARGE = b"".join(MadeLines(LARGE_BYTES, seed="large").chunks(0, LARGE_BYTES))
HOME = "hf://datasets/sandbox/chat"
GET, HEAD, LIST = RequestKind.GET, RequestKind.HEAD, RequestKind.LIST


@pytest.fixture
def store() -> Iterator[ObjectStore]:
    buckets: dict[str, Bucket] = {
        "chat": MemoryBucket(
            {
                "large.jsonl": LARGE,
                "small.jsonl": b"small\n",
                "empty": b"",
                "d/ü %20#.jsonl": b"odd\n",
                "d/b/c": b"c",
            }
        ),
        "many": NumberedBucket(2500, prefix="part/"),
    }
    with object_store_in_thread(ObjectStoreConfig(buckets=buckets, access_key=TOKEN)) as running:
        yield running


def stores_of(store: ObjectStore, token: str | None = TOKEN, *, stall_s: float = WAIT_S) -> Stores:
    options = SourceOptions(home="hf://", endpoint=store.hub_url, bearer_token=token)
    return Stores([options], stall_s=stall_s)


@pytest.fixture
def reader(store: ObjectStore) -> Iterator[ObjectReader]:
    with closing(ObjectReader(stores_of(store))) as running:
        yield running


def test_few_files_take_one_request_beside_that_for_the_commit(store: ObjectStore) -> None:
    """Names, sizes and hashes come in one answer, the commit is the version, and what is not there is said."""
    found = looked_up(
        stores_of(store),
        [f"{HOME}/{name}" for name in ("large.jsonl", "d/ü %20#.jsonl", "empty", "none", "d")],
    )
    assert store.counts == {HEAD: 1, LIST: 1}
    large = found[f"{HOME}/large.jsonl"]
    odd = found[f"{HOME}/d/ü %20#.jsonl"]
    assert isinstance(large, Fingerprint)
    assert isinstance(odd, Fingerprint)
    assert (large.size, large.etag) == (LARGE_BYTES, hashlib.sha256(LARGE).hexdigest())
    assert odd.etag == hashlib.sha1(b"blob 4\0odd\n").hexdigest()
    assert large.version == odd.version
    assert len(large.version or "") == 40
    for name in ("none", "d"):
        missing = found[f"{HOME}/{name}"]
        assert isinstance(missing, PathComplaint)
        assert missing.rule == "missing-file"


def test_many_files_are_listed_in_pages(store: ObjectStore) -> None:
    """A thousand files and more are met by the pages of their folder, not one by one."""
    paths = [f"hf://datasets/sandbox/many/part/{number:08d}.jsonl" for number in range(2600)]
    found = looked_up(stores_of(store), paths)
    assert store.counts == {HEAD: 1, LIST: 3}
    assert all(isinstance(found[path], Fingerprint) for path in paths[:2500])
    assert all(isinstance(found[path], PathComplaint) for path in paths[2500:])


@pytest.mark.parametrize("kind", ["datasets", "models", "spaces"])
def test_prefixes_are_listed(store: ObjectStore, kind: str) -> None:
    """A repository, a folder of it and a file of it are listed; the addresses name the same files again."""
    home = f"hf://{kind}/sandbox/chat"
    listed = {str(one.address): one.file_bytes for one in objects_under(stores_of(store), read_prefix(home))}
    assert len(listed) == 5
    assert listed[f"{home}/large.jsonl"] == LARGE_BYTES
    folder = objects_under(stores_of(store), read_prefix(f"{home}/d"))
    assert [str(one.address) for one in folder] == [f"{home}/d/b/c", f"{home}/d/ü %20#.jsonl"]
    alone = objects_under(stores_of(store), read_prefix(f"{home}/small.jsonl"))
    assert [one.file_bytes for one in alone] == [6]
    with pytest.raises(UsageError, match="no such"):
        list(objects_under(stores_of(store), read_prefix(f"{home}/none")))


async def test_read_from_the_planned_commit(store: ObjectStore, reader: ObjectReader) -> None:
    """A file that was replaced since it was planned is read as it was planned, and the next plan has the other one."""
    path = f"{HOME}/large.jsonl"
    before = planned(stores_of(store), path)
    store.put("chat", "large.jsonl", b"another\n")
    assert await read(reader, path, before) == LARGE
    after = planned(stores_of(store), path)
    assert not after.same_version(before)
    assert await read(reader, path, after) == b"another\n"


def test_a_new_commit_with_the_same_file_is_no_new_version(store: ObjectStore) -> None:
    """The commit is another one, the hash is the same: nothing is sent again."""
    before = planned(stores_of(store), f"{HOME}/small.jsonl")
    store.put("chat", "large.jsonl", b"another\n")
    after = planned(stores_of(store), f"{HOME}/small.jsonl")
    assert after.version != before.version
    assert after.same_version(before)


@pytest.mark.parametrize("fault", ["drop-mid:0.4", "cut:0.4", "503*2", "drop-head", "cut:0.3,cut:0.5"])
async def test_what_is_mended_unseen(store: ObjectStore, reader: ObjectReader, fault: str) -> None:
    """A broken answer goes on where it ended, a busy host is asked again, and the whole is proved by its hash."""
    path = f"{HOME}/large.jsonl"
    expected = planned(stores_of(store), path)
    store.use_faults(parse_object_faults(fault))
    assert await read(reader, path, expected) == LARGE


@pytest.mark.parametrize(
    ("fault", "reason", "is_transient"),
    [
        ("403@100%", "refuses access", False),
        ("404@100%", "no such object", False),
        ("503@100%", "too busy", True),
        ("drop-head@100%", "broke off", True),
        ("drop-mid:0.5@100%", "less of the file", True),
        ("short@100%", "less of the file", True),
    ],
)
async def test_what_cannot_be_read(
    store: ObjectStore, reader: ObjectReader, fault: str, reason: str, is_transient: bool
) -> None:
    """Each thing that goes wrong has its words, and what another try may mend is transient."""
    path = f"{HOME}/large.jsonl"
    expected = planned(stores_of(store), path)
    store.use_faults(parse_object_faults(fault))
    with pytest.raises(SourceError, match=reason) as found:
        await read(reader, path, expected)
    assert found.value.transient is is_transient


@pytest.mark.parametrize("fault", ["stall@100%", "stall-head@100%"])
async def test_a_host_that_stands_still(store: ObjectStore, fault: str) -> None:
    """It is waited for as long as a place may stand still, and left then."""
    expected = planned(stores_of(store), f"{HOME}/large.jsonl")
    store.use_faults(parse_object_faults(fault))
    with (
        closing(ObjectReader(stores_of(store, stall_s=0.2))) as reader,
        pytest.raises(SourceError, match=r"did not answer|less of the file") as found,
    ):
        await read(reader, f"{HOME}/large.jsonl", expected)
    assert found.value.transient


def test_a_hub_that_never_answers(store: ObjectStore) -> None:
    """A plan has a finding, and the next one looks again."""
    store.use_faults(parse_object_faults("list-stall-head@100%"))
    with closing(Lookup(stores_of(store, stall_s=0.2))) as lookup:
        lookup.expect([f"{HOME}/small.jsonl"])
        lookup.look()
        found = lookup.inspect(f"{HOME}/small.jsonl")
    assert isinstance(found, PathComplaint)
    assert found.transient


async def test_a_body_is_never_of_another_content(store: ObjectStore, reader: ObjectReader) -> None:
    """Bytes that do not have the hash of the commit are not handed over to the end, large or small."""
    for name in ("large.jsonl", "small.jsonl"):
        wrong = replace(
            planned(stores_of(store), f"{HOME}/{name}"), etag="0" * (64 if name == "large.jsonl" else 40)
        )
        with pytest.raises(SourceError, match="hash differs"):
            await read(reader, f"{HOME}/{name}", wrong)
        loaded = await reader.load([f"{HOME}/small.jsonl"], expected=[replace(wrong, size=6, etag="0" * 40)])
        assert isinstance(loaded[0], SourceError)


async def test_small_files_are_loaded_side_by_side(store: ObjectStore, reader: ObjectReader) -> None:
    """Whole contents with their hashes, and an error in the place of one that is not there."""
    paths = [f"{HOME}/{name}" for name in ("small.jsonl", "none", "empty", "d/ü %20#.jsonl")]
    loaded = await reader.load(paths)
    contents = [one.content if isinstance(one, LoadedFile) else one.reason for one in loaded]
    assert contents == [b"small\n", "there is no such object (404)", b"", b"odd\n"]


async def test_parts_are_hashed(store: ObjectStore, reader: ObjectReader) -> None:
    """Parts of a file are read by their ranges; a host without ranges is told."""
    path = f"{HOME}/large.jsonl"
    expected = planned(stores_of(store), path)
    ranges = [ByteRange(start=5, length=70), ByteRange(start=LARGE_BYTES - 9, length=9)]
    found, _ = await reader.hash_content(path, HashFunction.SHA256, expected=expected, ranges=ranges)
    assert found == hashlib.sha256(LARGE[5:75] + LARGE[-9:]).hexdigest()
    whole, _ = await reader.hash_content(path, HashFunction.SHA256)
    assert whole == hashlib.sha256(LARGE).hexdigest()
    store.use_faults(ObjectFaults(ranges=False))
    with pytest.raises(SourceError, match="parts"):
        await reader.hash_content(path, HashFunction.SHA256, expected=expected, ranges=ranges)


async def test_the_token_stays_with_the_hub(store: ObjectStore, reader: ObjectReader) -> None:
    """The host that a large file is sent on to never sees the token; the Hub does with each request."""
    expected = planned(stores_of(store), f"{HOME}/large.jsonl")
    await read(reader, f"{HOME}/large.jsonl", expected)
    await read(reader, f"{HOME}/small.jsonl")
    keys = {one.path: one.access_key for one in store.requests if one.kind is GET}
    assert keys == {"/chat/large.jsonl": None, "/chat/small.jsonl": TOKEN}


def test_no_access(store: ObjectStore) -> None:
    """A repository that is private to the token, or not there, is told as a finding, and nothing of the token."""
    with closing(Lookup(stores_of(store, token=None))) as lookup:
        lookup.expect([f"{HOME}/small.jsonl"])
        lookup.look()
        found = lookup.inspect(f"{HOME}/small.jsonl")
    assert isinstance(found, PathComplaint)
    assert "refuses access" in found.found
    missing = looked_up(stores_of(store), ["hf://datasets/sandbox/other/x", f"{HOME}@v9/small.jsonl"])
    reasons = [one.found for one in missing.values() if isinstance(one, PathComplaint)]
    assert [reason.rpartition("no such ")[2].partition(" ")[0] for reason in reasons] == [
        "repository,",
        "revision",
    ]


def test_a_token_file(store: ObjectStore, tmp_path: Path) -> None:
    """The token may lie in a file, which is read when it is needed; a missing one is none."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    for name, count in (("token", 5), ("none", 0)):
        options = SourceOptions(home="hf://", endpoint=store.hub_url, token_file=str(tmp_path / name))
        try:
            listed = list(objects_under(Stores([options]), read_prefix(HOME)))
        except UsageError:
            listed = []
        assert len(listed) == count


def test_plain_endpoints_elsewhere_are_refused() -> None:
    """A Hub of another machine needs encryption, as a store does."""
    stores = Stores([SourceOptions(home="hf://", endpoint="http://hub.example")])
    with pytest.raises(UsageError, match="without encryption"):
        list(objects_under(stores, read_prefix(HOME)))


def test_a_head_has_no_body(store: ObjectStore) -> None:
    """Whatever the method, a file's own answer announces its size; a HEAD ends there, and the connection goes on."""
    hub = urlsplit(store.hub_url)
    with closing(http.client.HTTPConnection(hub.hostname or "", hub.port, timeout=WAIT_S)) as connection:
        path = f"{hub.path}/datasets/sandbox/chat/resolve/main/small.jsonl"
        for method, body in (("HEAD", b""), ("GET", b"small\n")):
            connection.request(method, path, headers={"Authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse()
            while answer.status in (302, 307):
                answer.read()
                path = answer.headers["Location"]
                connection.request(method, path, headers={"Authorization": f"Bearer {TOKEN}"})
                answer = connection.getresponse()
            assert (answer.status, answer.headers["Content-Length"], answer.read()) == (200, "6", body)


def test_the_sandbox_speaks_as_huggingface_hub_expects(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The Hub's own library lists the sandbox's trees, asks for paths, and downloads files of both sizes."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    request.addfinalizer(close_session)
    store.use_faults(ObjectFaults(page_max=2))
    api = HfApi(endpoint=store.hub_url, token=TOKEN)
    tree = list(api.list_repo_tree("sandbox/chat", recursive=True, repo_type="dataset"))
    assert {one.path for one in tree} == {"large.jsonl", "small.jsonl", "empty", "d/ü %20#.jsonl", "d/b/c"}
    top = list(api.list_repo_tree("sandbox/chat", repo_type="dataset"))
    assert {one.path for one in top} == {"large.jsonl", "small.jsonl", "empty", "d"}
    (large,) = api.get_paths_info("sandbox/chat", ["large.jsonl", "none"], repo_type="dataset")
    assert isinstance(large, RepoFile)
    assert large.size == LARGE_BYTES
    assert large.lfs is not None
    assert large.lfs.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert (
        api.dataset_info("sandbox/chat", revision="main").sha
        == planned(stores_of(store), f"{HOME}/empty").version
    )
    for name, content in (("large.jsonl", LARGE), ("small.jsonl", b"small\n")):
        path = api.hf_hub_download("sandbox/chat", name, repo_type="dataset", cache_dir=tmp_path)
        with open(path, "rb") as file:
            assert file.read() == content
