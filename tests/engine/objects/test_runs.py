"""Jobs whose files are objects: each kind of fault ends as its own outcome, and what is stored is what the store had."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from bulk_upload.core.model import EntryState
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.exit_status import ExitStatus
from bulk_upload.sandbox import Sandbox
from bulk_upload.sandbox.objects import (
    Content,
    MemoryBucket,
    ObjectFaults,
    ObjectStore,
    ObjectStoreConfig,
    RequestKind,
    parse_object_faults,
)
from tests.engine.objects.stage import example, job_of, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LARGE = "".join(map(example, range(20_000))).encode()
GET = RequestKind.GET
PATH = "s3://data/large.jsonl"


@pytest.fixture
async def store() -> AsyncIterator[ObjectStore]:
    objects: dict[str, Content | bytes | str] = {
        "large.jsonl": LARGE,
        **{f"s/{number:02}.jsonl": example(number) for number in range(40)},
    }
    async with ObjectStore(ObjectStoreConfig(buckets={"data": MemoryBucket(objects)})) as running:
        yield running


@pytest.fixture
async def server() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


def small() -> list[str]:
    return [f"s3://data/s/{number:02}.jsonl" for number in range(40)]


def states(folder: Path) -> dict[str, EntryState]:
    with LedgerReader(str(folder / "a.ledger.db")) as reader:
        return {one.path: EntryState(one.status) for one in reader.rows()}


def hashes_there(server: Sandbox) -> list[str]:
    return sorted(one.sha256 for one in server.files)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def current(store: ObjectStore, key: str) -> bytes:
    found = store.find("data", key)
    assert found is not None
    return b"".join(found.content.chunks(0, found.content.size))


async def test_one_get_for_each_object(tmp_path: Path, store: ObjectStore, server: Sandbox) -> None:
    """Small and large ones are read once, validated on the way, and a second run asks the store for nothing but a list."""
    job = job_of(tmp_path, store, [*small(), PATH])
    result = await run(job, server)
    assert result.status is ExitStatus.DONE
    assert store.counts[GET] == 41
    assert hashes_there(server) == sorted(
        [sha256(LARGE), *(sha256(example(number).encode()) for number in range(40))]
    )
    assert {one.filename for one in server.files} >= {"large.jsonl", "00.jsonl"}
    await run(job, server)
    assert store.counts[GET] == 41
    assert len(server.files) == 41


@pytest.mark.parametrize("fault", ["drop-mid:0.4", "cut:0.4", "503*2", "500", "replace-mid"])
async def test_mended_unseen(tmp_path: Path, store: ObjectStore, server: Sandbox, fault: str) -> None:
    """A broken answer, a busy store, and a replacement while an answer lasts: one version is stored, whole."""
    store.use_faults(parse_object_faults(fault))
    result = await run(job_of(tmp_path, store, [PATH]), server)
    assert result.status is ExitStatus.DONE
    assert hashes_there(server) == [sha256(LARGE)]


@pytest.mark.parametrize("fault", ["replace", "grow", "retag", "replace-drop", "cut:0.9*7", "drop-mid:0.5*7"])
async def test_another_attempt_mends_it(
    tmp_path: Path, store: ObjectStore, server: Sandbox, fault: str
) -> None:
    """An object that was replaced, or that came short, is planned again and sent as it is then: no mixed body."""
    store.use_faults(parse_object_faults(fault))
    result = await run(job_of(tmp_path, store, [PATH]), server)
    assert result.status is ExitStatus.DONE
    assert hashes_there(server) == [sha256(current(store, "large.jsonl"))]
    with LedgerReader(str(tmp_path / "a.ledger.db")) as reader:
        (receipt,) = reader.rows()
    assert receipt.sha256 == hashes_there(server)[0]


@pytest.mark.parametrize(
    ("fault", "state", "reason"),
    [
        ("403@100%", EntryState.FAILED_LOCAL, "refuses access"),
        ("404@100%", EntryState.FAILED_LOCAL, "no such object"),
        ("vanish", EntryState.FAILED_LOCAL, "no such object"),
        ("503@100%", EntryState.PENDING, "too busy"),
        ("cut:0.9@100%", EntryState.PENDING, "less of the object"),
    ],
)
async def test_each_its_outcome(
    tmp_path: Path, store: ObjectStore, server: Sandbox, fault: str, state: EntryState, reason: str
) -> None:
    """What a store refuses fails and is looked at by the next run; what it cannot do now is left for it. Nothing is stored."""
    store.use_faults(parse_object_faults(fault))
    job = job_of(tmp_path, store, [PATH] if fault == "vanish" else [PATH, small()[0]])
    await run(job, server)
    assert set(states(tmp_path).values()) == {state}
    assert server.files == ()
    with LedgerReader(str(tmp_path / "a.ledger.db")) as reader:
        assert all(reason in (one.reason or "") for one in reader.rows())
    if fault == "vanish":
        return
    store.use_faults(ObjectFaults())
    result = await run(job, server)
    assert result.status is ExitStatus.DONE
    assert len(server.files) == 2


async def test_a_store_that_stands_still(tmp_path: Path, store: ObjectStore, server: Sandbox) -> None:
    """The attempt ends after --stall, and another one is made."""
    store.use_faults(parse_object_faults("stall"))
    result = await run(job_of(tmp_path, store, [PATH]), server, stall_s=3.0)
    assert result.status is ExitStatus.DONE
    assert store.counts[GET] >= 2
    assert hashes_there(server) == [sha256(LARGE)]


async def test_invalid_objects(tmp_path: Path, store: ObjectStore, server: Sandbox) -> None:
    """An error in the last line of a large object keeps all of it from the server, and the ledger has the finding."""
    store.put("data", "bad.jsonl", LARGE + b'{"messages": 3}\n')
    store.put("data", "bad_small.jsonl", b'{"messages": 3}\n')
    job = job_of(tmp_path, store, [PATH, "s3://data/bad.jsonl", "s3://data/bad_small.jsonl"])
    result = await run(job, server)
    assert result.status is ExitStatus.SOME_FAILED
    assert hashes_there(server) == [sha256(LARGE)]
    assert states(tmp_path)["s3://data/bad.jsonl"] is EntryState.INVALID
    assert states(tmp_path)["s3://data/bad_small.jsonl"] is EntryState.INVALID
    assert store.counts[GET] == 3
    await run(job, server)
    assert store.counts[GET] == 3


async def test_since_the_receipt(tmp_path: Path, store: ObjectStore, server: Sandbox) -> None:
    """Written again with the same bytes: settled. Another tag: compared by a download. Other content: sent."""
    job = job_of(tmp_path, store, [PATH, *small()[:3]])
    await run(job, server)
    gets = store.counts[GET]
    store.put("data", "large.jsonl", LARGE)
    await run(job, server)
    assert store.counts[GET] == gets

    store.put("data", "s/00.jsonl", example(100).replace("a100", "a0")[: len(example(0))])
    store.put("data", "s/01.jsonl", example(9))
    result = await run(job, server)
    assert result.status is ExitStatus.DONE
    assert sha256(example(9).encode()) in hashes_there(server)
    assert len(server.files) == 5


async def test_objects_and_files_in_one_manifest(tmp_path: Path, store: ObjectStore, server: Sandbox) -> None:
    """Files beside objects, and a missing one of each, which are findings of the plan."""
    (tmp_path / "here.jsonl").write_text(example(1))
    paths = ["here.jsonl", "gone.jsonl", small()[0], "s3://data/gone.jsonl", f"{store.url}/data/s/01.jsonl"]
    result = await run(job_of(tmp_path, store, paths), server)
    assert result.status is ExitStatus.SOME_FAILED
    assert len(server.files) == 3
    assert [path for path, state in states(tmp_path).items() if state is EntryState.FAILED_LOCAL] == [
        "gone.jsonl",
        "s3://data/gone.jsonl",
    ]


async def test_no_secret_is_written(tmp_path: Path, store: ObjectStore, server: Sandbox) -> None:
    """Neither the ledger nor the events of a run have the credentials of the store."""
    heard: list[object] = []
    store.use_faults(parse_object_faults("403"))
    await run(job_of(tmp_path, store, [PATH, small()[0]]), server, on_event=heard.append)
    written = b"".join(one.read_bytes() for one in tmp_path.iterdir() if one.is_file())
    for secret in ("PLAYSECRET", "Signature="):
        assert secret.encode() not in written
        assert secret not in repr(heard)
