"""Agents read objects by themselves, and what becomes of each is what becomes of it in a run of one process."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
from msgspec.structs import replace

from bulk_upload.agent_runner import serve_agent
from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.events import DataFindings, Event
from bulk_upload.core.fleet.settings import FleetAddress, FleetSettings
from bulk_upload.core.model import Entry, EntryState
from bulk_upload.core.objects.options import SourceOptions, without_secrets
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.retry import RetryPolicy
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.engine.fleet.agent import AgentEnd
from bulk_upload.exit_status import ExitStatus
from bulk_upload.job_run import Result
from bulk_upload.job_runner import JobRunner
from bulk_upload.sandbox import Sandbox
from bulk_upload.sandbox.objects import (
    Content,
    MemoryBucket,
    ObjectStore,
    ObjectStoreConfig,
    RequestKind,
    parse_object_faults,
)
from tests.e2e.fleets import KEY, agents_here, serve
from tests.edge.objects.stage import options_of
from tests.engine.objects.stage import example

LARGE = "".join(map(example, range(6_000))).encode()
BAD = b'{"messages": 3}\n'
OBJECTS: Mapping[str, Content | bytes | str] = {
    **{f"good-{number}.jsonl": example(number) for number in range(12)},
    "large.jsonl": LARGE,
    "large-bad.jsonl": LARGE + BAD,
    "small-bad.jsonl": BAD,
    "dropped.jsonl": LARGE + example(1).encode(),
    "cut.jsonl": LARGE + example(2).encode(),
    "replaced.jsonl": LARGE + example(3).encode(),
    "small-replaced.jsonl": example(103),
    "refused.jsonl": LARGE + example(4).encode(),
    "small-refused.jsonl": example(104),
    "vanished.jsonl": LARGE + example(5).encode(),
    "weak.jsonl": LARGE + example(6).encode(),
}
FAULTS = (
    "drop-mid:0.4@/data/dropped.jsonl,cut:0.9@/data/cut.jsonl,replace@/data/replaced.jsonl,"
    "replace@/data/small-replaced.jsonl,403*99@/data/refused.jsonl,403*99@/data/small-refused.jsonl,"
    "404*99@/data/vanished.jsonl"
)
SETTINGS = RunSettings(
    concurrency=1,
    settle_s=0.0,
    settle_answered_s=0.0,
    retry_policy=RetryPolicy(backoff_s_initial=0.01, backoff_s_max=0.02, local_limit_s=0.01),
)
LEDGER = {
    "entries": "path purpose remote_name fields state size etag attempt_count http_status reason",
    "attempts": "attempt_no sent_name size etag outcome http_status answered reason sha256 resolution",
    "receipts": "sent_name purpose bytes sha256 etag obtained size_confirmed",
    "validations": "rules size line_count error_count warning_count reason findings",
}


@asynccontextmanager
async def store_with(faults: str, *, access_key: str | None = None) -> AsyncIterator[ObjectStore]:
    buckets = {"data": MemoryBucket(dict(OBJECTS))}
    async with ObjectStore(ObjectStoreConfig(buckets=buckets, access_key=access_key)) as store:
        store.use_faults(parse_object_faults(faults))
        yield store


async def run(
    folder: Path,
    store: ObjectStore,
    fleet: FleetSettings | None,
    *,
    server: Sandbox | None = None,
    events: list[Event] | None = None,
) -> Result:
    """Run a job of all objects, of one that is not there and of a file."""
    folder.mkdir(exist_ok=True)
    (folder / "here.jsonl").write_text(example(200))
    paths = [*(f"s3://data/{key}" for key in OBJECTS), "s3://data/gone.jsonl", "here.jsonl"]
    job = Job(
        entries=[Entry(path=path, purpose="fine-tune") for path in paths],
        ledger=folder / "a.ledger.db",
        root=folder,
        sources=[options_of(store)],
    )
    async with Sandbox() as another:
        connection = Connection(endpoint=(server or another).url, profile=FLOW)
        async with JobRunner(
            connection,
            api_key=KEY,
            settings=SETTINGS,
            fleet=fleet,
            on_event=None if events is None else events.append,
        ) as runner:
            return await runner.run(job)


def rows_of(ledger: str) -> Iterator[tuple[object, ...]]:
    """Every row that says what was sent and found."""
    with closing(sqlite3.connect(ledger)) as connection:
        for table, columns in LEDGER.items():
            names = ", ".join(f"t.{name}" for name in columns.split())
            query = f"SELECT e.path, {names} FROM {table} t JOIN entries e USING (entry_id) ORDER BY 1, 2"
            yield from ((table, *row) for row in connection.execute(query))


def gets(store: ObjectStore) -> int:
    return store.counts[RequestKind.GET]


async def test_objects_end_as_in_a_run_of_one_process(tmp_path: Path) -> None:
    """Small and large, invalid, refused, replaced, broken off: the same rows, as many downloads, the same findings."""
    outcomes = []
    for name, fleet in (("alone", None), ("agents", agents_here(serve, serve))):
        events: list[Event] = []
        async with store_with(FAULTS) as store, Sandbox() as server:
            result = await run(tmp_path / name, store, fleet, server=server, events=events)
            found = sorted((one.path, dict(one.counts)) for one in events if isinstance(one, DataFindings))
            stored = sorted((one.filename, one.sha256) for one in server.files)
            outcomes.append(
                (result.status, result.states, stored, found, gets(store), [*rows_of(str(result.ledger))])
            )
    alone, together = outcomes
    assert alone[0] is ExitStatus.SOME_FAILED
    assert len(alone[2]) == 18
    for one, other in zip(alone, together, strict=True):
        assert other == one


async def test_an_agent_that_cannot_read_a_store_leaves(tmp_path: Path) -> None:
    """No entry fails because one agent has no access: it says so and ends, and the others read."""
    ended: list[AgentEnd] = []
    has_ended = anyio.Event()

    async def without_access(address: FleetAddress) -> None:
        own = replace(options_of(store), access_key_id="NOBODY")
        ended.append(await serve_agent(address.url, address.issue_ticket(), sources=[own]))
        has_ended.set()

    async def late(address: FleetAddress) -> None:
        await has_ended.wait()
        await serve(address)

    async with store_with("", access_key="PLAYKEY") as store:
        result = await run(tmp_path, store, agents_here(without_access, late))
    assert ended[0].status is ExitStatus.USAGE
    assert "refuses access" in ended[0].reason
    assert result.states == {
        EntryState.ACCEPTED: len(OBJECTS) - 1,
        EntryState.INVALID: 2,
        EntryState.FAILED_LOCAL: 1,
    }


def test_strangers_get_no_keys_of_stores() -> None:
    """Where others may listen an agent gets the way to a store, and needs credentials of its own."""
    given = SourceOptions(
        home="s3://data",
        endpoint="https://store",
        region="here",
        access_key_id="ID",
        secret_access_key="SECRET",
        session_token="SESSION",
        bearer_token="BEARER",
        proxy="http://me:PASSWORD@proxy:3128",
        username="me",
        password="PASSWORD",
        anonymous=True,
    )
    assert without_secrets(given) == SourceOptions(
        home="s3://data", endpoint="https://store", region="here", username="me", anonymous=True
    )
