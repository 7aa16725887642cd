"""Agents on the workers of a Dask cluster that lives in this process: no port of Dask's, nothing leaves the machine."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload import (
    AgentJoined,
    AgentLeft,
    AgentLost,
    EntryState,
    ExitStatus,
    LedgerReader,
    Noticed,
    RunSettings,
    Uploader,
    UsageError,
)
from bulk_upload import dask as dask_fleet
from bulk_upload.agent_runner import AgentRunner
from bulk_upload.core.api.secret import Secret
from bulk_upload.dask import DaskFleet, serve_on_worker
from bulk_upload.engine.fleet.agent import AgentEnd
from bulk_upload.sandbox import SandboxConfig, sandbox_in_thread
from tests.cli.stage import run_here
from tests.library.scenes import assert_at_rest, assert_each_once, manifest_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from bulk_upload import Event
    from bulk_upload.sandbox import Sandbox

distributed = pytest.importorskip("distributed")

KEY = "secret-key-of-the-run"
SETTINGS = RunSettings(concurrency=4, settle_s=1.0)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig()) as running:
        yield running


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for new workers often: a test waits for them."""
    monkeypatch.setattr(dask_fleet, "RECRUIT_EVERY_S", 0.02)


def cluster(worker_count: int, **more: Any) -> AbstractAsyncContextManager[Any]:
    """Return a cluster in this process."""
    found: AbstractAsyncContextManager[Any] = distributed.LocalCluster(
        n_workers=worker_count, processes=False, dashboard_address="127.0.0.1:0", asynchronous=True, **more
    )
    return found


def agents_of(ledger: str) -> set[str | None]:
    with LedgerReader(ledger) as reader:
        return {row.agent for row in reader.rows()}


async def test_workers_send(tmp_path: Path, sandbox: Sandbox) -> None:
    """The ledger says which one sent what; at the end all are dismissed, and the cluster has no task of them."""
    events: list[Event] = []
    async with cluster(2) as local, distributed.Client(local, asynchronous=True) as client:
        async with Uploader(
            api_key=KEY,
            base_url=sandbox.url,
            settings=SETTINGS,
            fleet=DaskFleet(client),
            on_event=events.append,
        ) as up:
            result = await up.run(manifest_of(tmp_path, 40))
        assert local.scheduler.tasks == {}
    assert result.status is ExitStatus.DONE
    assert_each_once(sandbox, 40)
    assert_at_rest(result.ledger)
    joined = [one.agent for one in events if isinstance(one, AgentJoined)]
    # A fast one may have sent everything before the other one has joined.
    assert len(joined) in (1, 2)
    assert agents_of(result.ledger) <= set(joined)
    assert not any(isinstance(one, AgentLost | AgentLeft) for one in events)


async def test_a_worker_that_joins_later_takes_part(tmp_path: Path, sandbox: Sandbox) -> None:
    """A run waits for its first agent, and recruits whoever comes."""
    async with (
        cluster(0) as local,
        distributed.Client(local, asynchronous=True) as client,
        Uploader(api_key=KEY, base_url=sandbox.url, settings=SETTINGS, fleet=DaskFleet(client)) as up,
    ):
        run = asyncio.ensure_future(up.run(manifest_of(tmp_path, 5)))
        while not local.scheduler.clients.keys() - {client.id, "fire-and-forget"}:
            await asyncio.sleep(0.01)
        assert not sandbox.files
        local.scale(1)
        result = await run
    assert result.states == {EntryState.ACCEPTED: 5}
    assert len(agents_of(result.ledger)) == 1


async def test_the_cluster_gets_no_secret(
    tmp_path: Path, sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the key nor the run's token is an argument, a log line or a part of the scheduler's state."""
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    run = distributed.Client.run

    def spied(client: Any, *arguments: Any, **more: Any) -> Any:
        seen.append(repr((arguments, more)))
        return run(client, *arguments, **more)

    monkeypatch.setattr(distributed.Client, "run", spied)
    async with cluster(1) as local, distributed.Client(local, asynchronous=True) as client:
        async with Uploader(
            api_key=KEY, base_url=sandbox.url, settings=SETTINGS, fleet=DaskFleet(client)
        ) as up:
            await up.run(manifest_of(tmp_path, 3))
        state = repr(await client.scheduler.identity(n_workers=-1)) + repr(local.scheduler.get_logs())
    assert len(seen) == 1
    assert "ticket-" in seen[0]
    for text in (*seen, state, caplog.text):
        assert KEY not in text
        assert "token-" not in text


async def test_the_clusters_own_tls_protects_the_agents(tmp_path: Path, sandbox: Sandbox) -> None:
    """Its certificates, which are in memory only, are those of the agents' connections as well."""
    security = distributed.Security.temporary()
    async with (
        cluster(1, protocol="tls://", security=security) as local,
        distributed.Client(local, asynchronous=True, security=security) as client,
    ):
        fleet = DaskFleet(client)
        assert fleet.settings().tls is not None
        async with Uploader(api_key=KEY, base_url=sandbox.url, settings=SETTINGS, fleet=fleet) as up:
            result = await up.run(manifest_of(tmp_path, 3))
    assert result.states == {EntryState.ACCEPTED: 3}


async def test_a_worker_that_cannot_start_an_agent_is_named(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With why, once; the others do the work."""
    events: list[Event] = []
    monkeypatch.setattr(dask_fleet, "serve_on_worker", len)
    async with cluster(1) as local, distributed.Client(local, asynchronous=True) as client:
        settings = RunSettings(concurrency=4, patience_s=0.2)
        async with Uploader(
            api_key=KEY,
            base_url=sandbox.url,
            settings=settings,
            fleet=DaskFleet(client),
            on_event=events.append,
        ) as up:
            result = await up.run(manifest_of(tmp_path, 3))
    assert result.status is ExitStatus.UNFINISHED
    (note,) = [one.message for one in events if isinstance(one, Noticed) and "Dask worker" in one.message]
    assert note.startswith("no agent can be started on the Dask worker inproc://")


async def test_a_scheduler_that_is_not_there_is_named(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is sent."""
    monkeypatch.setattr(dask_fleet, "CONNECT_S", 0.2)
    fleet = DaskFleet("tcp://127.0.0.1:1")
    async with Uploader(api_key=KEY, base_url=sandbox.url, fleet=fleet) as up:
        with pytest.raises(UsageError, match="no Dask scheduler at tcp://127"):
            await up.run(manifest_of(tmp_path, 3))
    assert not sandbox.files


def test_a_scheduler_file_names_the_scheduler(tmp_path: Path) -> None:
    """As `dask scheduler --scheduler-file` writes it; anything else is refused with what was expected."""
    path = tmp_path / "scheduler.json"
    path.write_text('{"address": "tcp://127.0.0.1:8786"}')
    assert DaskFleet(str(path)).settings().listen == ("127.0.0.1", 0)
    path.write_text("[]")
    with pytest.raises(UsageError, match="it is not a scheduler file"):
        DaskFleet(str(path))
    with pytest.raises(UsageError, match="No such file"):
        DaskFleet(str(tmp_path / "none.json"))


def test_without_the_extra_its_name_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the library and on the command line: what to install, and where."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match="need the package distributed") as refused:
        DaskFleet("tcp://127.0.0.1:1")
    assert "bulk-upload[dask]" in (refused.value.hint or "")
    ended = run_here("run", str(manifest_of(tmp_path, 1)), "--dask", "tcp://127.0.0.1:1")
    assert ended.status == ExitStatus.USAGE
    assert "pip install 'bulk-upload[dask]'" in ended.stderr


async def test_a_worker_takes_the_key_from_its_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others could read the agent's connection, the run names the variable and sends no key."""
    keys: list[Secret | None] = []

    async def run(runner: AgentRunner) -> AgentEnd:
        keys.append(runner._api_key)
        return AgentEnd(status=ExitStatus.DONE, reason="")

    monkeypatch.setattr(AgentRunner, "run", run)
    monkeypatch.setenv("SEEKR_API_KEY", KEY)
    await serve_on_worker("ws://head:1/agent", "ticket-1", key_variable="SEEKR_API_KEY")
    await serve_on_worker("ws://head:1/agent", "ticket-1")
    monkeypatch.delenv("SEEKR_API_KEY")
    await serve_on_worker("ws://head:1/agent", "ticket-1", key_variable="SEEKR_API_KEY")
    assert [None if one is None else one.reveal() for one in keys] == [KEY, None, None]
