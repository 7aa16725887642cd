"""Serving a sandbox: inside the running event loop, or from a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from typing import TYPE_CHECKING, Self

from aiohttp import web

from bulk_upload.errors import UsageError
from bulk_upload.sandbox.app import build_app
from bulk_upload.sandbox.config import SandboxConfig
from bulk_upload.sandbox.journal import RecordKind
from bulk_upload.sandbox.service import Service
from bulk_upload.sandbox.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from bulk_upload.sandbox.faults import Faults
    from bulk_upload.sandbox.journal import JournalRecord
    from bulk_upload.sandbox.stored_file import StoredFile

SHUTDOWN_S = 0.2
"""Requests still open at the end get this long; a stalled one would hold the end up for minutes."""


class Sandbox:
    """A Flow Files API on loopback.

    Use it as an asynchronous context manager. Its properties can be read from any thread, also after the end.

    Raises:
        UsageError: the port is taken, or the folder or the journal cannot be used.
    """

    def __init__(self, config: SandboxConfig | None = None) -> None:
        self.config = config if config is not None else SandboxConfig()
        self._service = Service(self.config)
        self._port = self.config.port
        self._connection_count = 0
        self._server: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(
            build_app(self._service),
            access_log=None,
            shutdown_timeout=SHUTDOWN_S,
            lingering_time=self.config.faults.linger_s,
        )
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connected, self.config.host, self.config.port
            )
        except OSError as error:
            await self._stop()
            raise self._not_bound(error) from error
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop()

    @property
    def url(self) -> str:
        """The base URL, without a path and without a slash at its end."""
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        return f"http://{host}:{self._port}"

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """The files the server has, oldest first; deleted ones are gone."""
        return self._service.store.files

    @property
    def journal(self) -> tuple[JournalRecord, ...]:
        """One record for every finished request and every piece of unexpected bytes, in order of their end."""
        return self._service.journal.records

    @property
    def uploads(self) -> tuple[JournalRecord, ...]:
        """The journal's records of upload requests, faulted ones included."""
        return tuple(record for record in self.journal if record.kind is RecordKind.UPLOAD)

    @property
    def unexpected(self) -> tuple[JournalRecord, ...]:
        """The journal's records of bytes that belong to no request; empty for a sound client."""
        return tuple(record for record in self.journal if record.kind is RecordKind.UNEXPECTED)

    @property
    def request_count(self) -> int:
        """How many requests were finished, of whatever kind."""
        return sum(record.kind is not RecordKind.UNEXPECTED for record in self.journal)

    @property
    def upload_count(self) -> int:
        """How many upload requests were finished, with one file or with several."""
        return len(self.uploads)

    @property
    def file_count(self) -> int:
        """How many files those requests brought, whole or in part, stored or not."""
        return sum(len(record.bulk_files) or (record.filename is not None) for record in self.uploads)

    @property
    def in_flight(self) -> int:
        """How many uploads are being served right now."""
        return self._service.in_flight

    @property
    def peak_in_flight(self) -> int:
        """The most uploads that were served at the same time; refused ones do not count."""
        return self._service.peak_in_flight

    def use_faults(self, faults: Faults) -> None:
        """Let other faults hit the requests from now on; `Faults()` ends a storm. `linger_s` stays as it was."""
        self._service.use_faults(faults)

    def replace_content(self, file_id: str, content: bytes) -> None:
        """Let a stored file have other bytes, as after a mishap in a server's storage: for rehearsing `verify`.

        Raises KeyError for an id that the sandbox does not know.
        """
        self._service.store.replace_content(file_id, content)

    def _connected(self) -> Connection:
        if self._runner is None or self._runner.server is None:
            raise RuntimeError("the sandbox is not running")
        self._connection_count += 1
        return Connection(
            self._runner.server(), number=self._connection_count, on_surplus=self._service.note_surplus
        )

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        # Cancelled handlers still have their journal record to write.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._service.idle.wait()
        self._service.journal.close()

    def _not_bound(self, error: OSError) -> UsageError:
        place = f"port {self.config.port} on {self.config.host}"
        if error.errno == errno.EADDRINUSE:
            return UsageError(
                f"{place} is in use",
                hint="stop the program that has it, or take another port (0 finds a free one)",
            )
        return UsageError(
            f"{place} cannot be served: {error.strerror}", hint="take another port (0 finds a free one)"
        )


@contextlib.contextmanager
def sandbox_in_thread(config: SandboxConfig | None = None) -> Iterator[Sandbox]:
    """Serve a sandbox from a background thread with an event loop of its own.

    Raises:
        UsageError: as `Sandbox`.
    """
    served = _Served(config)
    thread = threading.Thread(target=served.run, name="bulk-upload-sandbox", daemon=True)
    thread.start()
    served.ready.wait()
    try:
        if served.sandbox is None:
            raise served.error if served.error is not None else RuntimeError("the sandbox did not start")
        yield served.sandbox
    finally:
        served.stop()
        thread.join()


class _Served:
    """The thread's side of `sandbox_in_thread`."""

    def __init__(self, config: SandboxConfig | None) -> None:
        self._config = config
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self.ready = threading.Event()
        self.sandbox: Sandbox | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - carried over to the thread that waits for it
            self.error = error
        finally:
            self.ready.set()

    def stop(self) -> None:
        if self._loop is not None and self._over is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._over.set)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        async with Sandbox(self._config) as sandbox:
            self.sandbox = sandbox
            self.ready.set()
            await self._over.wait()
