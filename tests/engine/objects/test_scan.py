"""A prefix of objects in the place of a folder: what is found, what it is for, and where its ledger lies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.folder.sightings import FolderRequest
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.plan import Step
from bulk_upload.engine.objects.scan import place_of_prefix
from bulk_upload.errors import UsageError
from bulk_upload.job_plan import JobPlanner
from bulk_upload.sandbox.objects import (
    Bucket,
    MemoryBucket,
    NumberedBucket,
    ObjectStore,
    ObjectStoreConfig,
    object_store_in_thread,
    parse_object_faults,
)
from tests.edge.objects.stage import options_of
from tests.engine.objects.stage import example

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEYS = (
    "chat/", "chat/a.jsonl", "chat/deep/", "chat/deep/b.jsonl", "chat/c.txt", "chat/.tmp/x.jsonl", "chat/m.ledger.db",
    "chat-other/d.jsonl", "chatter.jsonl", "top.jsonl",
)  # fmt: skip


@pytest.fixture
def store() -> Iterator[ObjectStore]:
    objects = {key: "" if key.endswith("/") else example(number) for number, key in enumerate(KEYS)}
    buckets: dict[str, Bucket] = {"data": MemoryBucket(objects), "many": NumberedBucket(2500)}
    with object_store_in_thread(ObjectStoreConfig(buckets=buckets)) as running:
        yield running


@pytest.fixture
def planner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobPlanner:
    monkeypatch.chdir(tmp_path)
    return JobPlanner(Connection(endpoint=FLOW.base_url, profile=FLOW))


def listed(
    planner: JobPlanner, store: ObjectStore, path: str, **wanted: Any
) -> tuple[dict[str, str], dict[str, int]]:
    """Return what is found under a prefix by purpose, and how much of the rest there is."""
    job = Job(sources=[options_of(store)])
    request = FolderRequest(paths=(path,), **wanted)
    with planner.listing(planner.folder_job(job, request)) as listing:
        with listing.opened() as opened:
            lines = [json.loads(line) for line in opened.lines()]
        tally = listing.tally
        rest = {
            "undecided": tally.undecided.count,
            "own": tally.own.count,
            "hidden": tally.hidden.count,
            "unwanted": tally.unwanted_count,
        }
        return {one["path"]: one["purpose"] for one in lines}, rest


@pytest.mark.parametrize("path", ["s3://data/chat", "s3://data/chat/", "S3://data/chat"])
def test_a_prefix_ends_with_a_part_of_the_key(planner: JobPlanner, store: ObjectStore, path: str) -> None:
    """Other names that begin alike are not under it; folders, hidden objects and our own are no data."""
    found, rest = listed(planner, store, path, purpose="fine-tune")
    assert list(found) == ["s3://data/chat/a.jsonl", "s3://data/chat/c.txt", "s3://data/chat/deep/b.jsonl"]
    assert rest == {"undecided": 0, "own": 1, "hidden": 1, "unwanted": 0}


def test_patterns_are_for_the_part_after_the_prefix(planner: JobPlanner, store: ObjectStore) -> None:
    """As for the files of a folder: --map, --include and --exclude; what no pattern matches is undecided."""
    found, rest = listed(
        planner, store, "s3://data/chat", mappings=("deep/*=pre-train", "*.jsonl=fine-tune"), exclude=("m.*",)
    )
    assert found == {"s3://data/chat/a.jsonl": "fine-tune", "s3://data/chat/deep/b.jsonl": "pre-train"}
    assert rest == {"undecided": 1, "own": 0, "hidden": 1, "unwanted": 1}


def test_the_advice_for_objects_without_a_purpose_is_one_that_matches(
    planner: JobPlanner, store: ObjectStore
) -> None:
    """With the patterns that settle them, none is left."""
    job = Job(sources=[options_of(store)])
    request = FolderRequest(paths=("s3://data/chat",), mappings=("a.jsonl=fine-tune",))
    with planner.listing(planner.folder_job(job, request)) as listing:
        undecided = listing.tally.undecided
        patterns = [one.mapped for group in undecided.groups for one in undecided.patterns(group)]
    assert "/deep/b.jsonl" in patterns
    mappings = ("a.jsonl=fine-tune", *(f"{one}=pre-train" for one in patterns))
    assert listed(planner, store, "s3://data/chat", mappings=mappings)[1]["undecided"] == 0


def test_one_object_and_a_whole_bucket(planner: JobPlanner, store: ObjectStore) -> None:
    """The address of an object is a prefix with one object; that of a bucket has all of them, a thousand at once."""
    assert list(listed(planner, store, "s3://data/top.jsonl", purpose="fine-tune")[0]) == [
        "s3://data/top.jsonl"
    ]
    assert len(listed(planner, store, "s3://many", purpose="fine-tune")[0]) == 2500
    assert listed(planner, store, "s3://data/none", purpose="fine-tune")[0] == {}


def test_what_cannot_be_listed(planner: JobPlanner, store: ObjectStore) -> None:
    """A purpose is needed, a web server has no list, and a store that refuses says so."""
    with pytest.raises(UsageError, match="not looked into"):
        listed(planner, store, "s3://data/chat")
    with pytest.raises(UsageError, match="cannot be listed"):
        place_of_prefix("https://host/data")
    with pytest.raises(UsageError, match="has a user name or a password"):
        listed(planner, store, "s3://key:SECRET@data/chat", purpose="fine-tune")
    store.use_faults(parse_object_faults("list-403@100%"))
    with pytest.raises(UsageError, match="403 AccessDenied"):
        listed(planner, store, "s3://data/chat", purpose="fine-tune")


def test_the_job_of_a_prefix(tmp_path: Path, planner: JobPlanner, store: ObjectStore) -> None:
    """Its ledger is in the current folder, named after bucket and prefix, however the prefix is spelled."""
    request = FolderRequest(paths=("s3://data/chat/",), purpose="fine-tune")
    folder = planner.folder_job(Job(sources=[options_of(store)]), request)
    assert planner.ledger_path(folder.job) == str(tmp_path / "data-chat.ledger.db")
    with planner.listing(folder) as listing:
        plan = planner.plan(folder.job, listing=listing)
    assert plan.total(Step.SEND).entry_count == 3
