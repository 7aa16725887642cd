"""Agents on the workers of a Dask cluster. Needs the extra `dask`, on the workers, too: `pip install 'bulk-upload[dask]'`.

Dask starts the agents and carries nothing: they connect to the run by themselves. They are no tasks, so they take no slot,
and the scheduler never starts one a second time; they end with their workers.
"""

from __future__ import annotations

import json
import logging
import os
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio

from bulk_upload.core.api.secret import usable_key
from bulk_upload.core.fleet.settings import FleetAddress, FleetSettings
from bulk_upload.core.text.printable import printable
from bulk_upload.engine.tasks import plain_task_group
from bulk_upload.errors import BulkUploadError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RECRUIT_EVERY_S = 2.0
"""How often workers that joined the cluster are looked for."""

CONNECT_S = 30.0
CLOSE_S = 5.0

LOOPBACK = "127.0.0.1"
_LOCAL = frozenset({"", "localhost", LOOPBACK, "::1"})

logger = logging.getLogger("bulk_upload")


class DaskFleet:
    """An agent on each worker of a Dask cluster, also on those that join while the run goes on.

    The cluster's own TLS, if it has any, protects the agents' connections, too, and they get the API key from the run;
    otherwise each worker that is not on this machine needs the key in the variable of the profile.

    Args:
        cluster: a client of it, asynchronous or not; or its scheduler's address, such as `tcp://head:8786`, or the path of a
            scheduler file.
        host: the address of this machine at which workers reach it; by default the one that leads to the scheduler.
        port: for the agents; 0 is any free one.
        root: where the files lie on the workers, if elsewhere than here.
        security: of the cluster (`distributed.Security`), where it is named by its address.

    Raises UsageError where the extra is not installed, and for a scheduler file that cannot be read.
    """

    def __init__(
        self,
        cluster: Any,  # noqa: ANN401 - a client, whose package is an extra
        *,
        host: str | None = None,
        port: int = 0,
        root: str | None = None,
        security: Any = None,  # noqa: ANN401
    ) -> None:
        distributed = _distributed()
        if isinstance(cluster, str):
            self._scheduler = _scheduler_of(cluster)
            self._security = security or distributed.Security()
        else:
            self._scheduler = str(cluster.scheduler.address)
            self._security = cluster.security
        self._host = host or _own_address(self._scheduler)
        self._port = port
        self._root = root
        self._recruited: set[str] = set()

    def settings(self) -> FleetSettings:
        """Return where the agents of a run come from."""
        return FleetSettings(
            listen=(self._host, self._port), tls=self._tls(), agent_root=self._root, recruit=self._recruiting
        )

    @asynccontextmanager
    async def _recruiting(self, address: FleetAddress) -> AsyncIterator[None]:
        """Have an agent on each worker while the block runs."""
        self._recruited.clear()
        try:
            client = await self._connected()
        except (OSError, TimeoutError):
            raise UsageError(
                f"there is no Dask scheduler at {printable(self._scheduler)}",
                hint="start it with `dask scheduler`, and name the address that it prints",
            ) from None
        async with plain_task_group() as tasks:
            tasks.start_soon(self._recruit_all, client, address)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()

    async def _connected(self) -> Any:  # noqa: ANN401
        # A client of our own: the given one may be of another event loop.
        client = _distributed().Client(
            self._scheduler,
            asynchronous=True,
            security=self._security,
            set_as_default=False,
            timeout=CONNECT_S,
        )
        return await client

    async def _recruit_all(self, client: Any, address: FleetAddress) -> None:  # noqa: ANN401
        try:
            while True:
                try:
                    if client.status == "closed":
                        client = await self._connected()
                    await self._recruit(client, address)
                except (OSError, TimeoutError):
                    # Without its scheduler a cluster has no workers; there may be another one at its address.
                    self._recruited.clear()
                await anyio.sleep(RECRUIT_EVERY_S)
        finally:
            with anyio.move_on_after(CLOSE_S, shield=True):
                await client.close()

    async def _recruit(self, client: Any, address: FleetAddress) -> None:  # noqa: ANN401
        """Start an agent on each worker that has none. One that is started again has another address."""
        workers = set((await client.scheduler.identity(n_workers=-1))["workers"])
        self._recruited &= workers
        new = sorted(workers - self._recruited)
        self._recruited.update(new)
        async with plain_task_group() as tasks:
            for worker in new:
                tasks.start_soon(self._start, client, worker, address)

    async def _start(self, client: Any, worker: str, address: FleetAddress) -> None:  # noqa: ANN401
        try:
            await client.run(
                serve_on_worker,
                address.url,
                # Dask logs arguments and shows them on its pages: this one is used up at once.
                address.issue_ticket(),
                key_variable=address.key_variable,
                workers=[worker],
                wait=False,
            )
        except OSError:
            # It left meanwhile.
            self._recruited.discard(worker)
        except Exception as error:  # noqa: BLE001 - whatever went wrong on the worker, such as a package that it lacks
            words = printable(f"{type(error).__name__}: {error}")
            address.note(f"no agent can be started on the Dask worker {printable(worker)}: {words}")

    def _tls(self) -> ssl.SSLContext | None:
        found = self._security.get_listen_args("client")["ssl_context"]
        return found if isinstance(found, ssl.SSLContext) else None


async def serve_on_worker(
    url: str,
    ticket: str,
    *,
    key_variable: str | None = None,
    dask_worker: Any = None,  # noqa: ANN401 - Dask fills it in
) -> None:
    """Run an agent on a Dask worker until the run is over. `key_variable` names the worker's variable with the API key."""
    from bulk_upload.agent_runner import serve_agent  # noqa: PLC0415 - with an HTTP library

    tls = None
    if url.startswith("wss:"):
        tls = dask_worker.security.get_connection_args("worker")["ssl_context"]
    key = os.environ.get(key_variable) if key_variable else None
    try:
        end = await serve_agent(url, ticket, api_key=None if key is None else usable_key(key), tls=tls)
    except BulkUploadError as error:
        logger.error("the agent on this worker ended: %s", error)
        return
    if end.status:
        logger.error("the agent on this worker ended: %s", end.reason)


def _distributed() -> Any:  # noqa: ANN401 - an extra, and slow to import
    try:
        import distributed  # noqa: PLC0415
    except ImportError:
        raise UsageError(
            "agents on a Dask cluster need the package distributed",
            hint="pip install 'bulk-upload[dask]', here and on the workers",
        ) from None
    return distributed


def _scheduler_of(text: str) -> str:
    """Return the address of a scheduler that is named by it, or by a scheduler file."""
    if "://" in text:
        return text
    try:
        with open(text, encoding="utf-8") as file:
            return str(json.load(file)["address"])
    except OSError as error:
        reason = error.strerror
    except (ValueError, KeyError, TypeError):
        reason = "it is not a scheduler file"
    raise UsageError(
        f"cannot read the scheduler's address from {printable(text)}: {reason}",
        hint="name an address such as tcp://HOST:8786, or the file of `dask scheduler --scheduler-file`",
    )


def _own_address(scheduler: str) -> str:
    """Return the address of this machine that leads to a scheduler."""
    parts = urlsplit(scheduler)
    if parts.scheme == "inproc" or (parts.hostname or "") in _LOCAL:
        return LOOPBACK
    from distributed.utils import get_ip  # noqa: PLC0415

    return str(get_ip(parts.hostname, parts.port or 80))
