"""Serving a sandbox: inside the running event loop, or from a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

from bulk_upload.sandbox.app import build_app
from bulk_upload.sandbox.config import SandboxConfig
from bulk_upload.sandbox.journal import RecordKind
from bulk_upload.sandbox.listener import Listener, served_in_thread
from bulk_upload.sandbox.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from bulk_upload.sandbox.faults import Faults
    from bulk_upload.sandbox.journal import JournalRecord
    from bulk_upload.sandbox.stored_file import StoredFile


class Sandbox:
    """A Flow Files API on loopback.

    Use it as an asynchronous context manager. Its properties can be read from any thread, also after the end.

    Raises:
        UsageError: the port is taken, or the folder or the journal cannot be used.
    """

    def __init__(self, config: SandboxConfig | None = None) -> None:
        self.config = config if config is not None else SandboxConfig()
        self._service = Service(self.config)
        self._listener = Listener(
            host=self.config.host, port=self.config.port, on_surplus=self._service.note_surplus
        )

    async def __aenter__(self) -> Self:
        await self._listener.start(build_app(self._service), linger_s=self.config.faults.linger_s)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop()

    @property
    def url(self) -> str:
        """The base URL, without a path and without a slash at its end."""
        return self._listener.url

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

    async def _stop(self) -> None:
        await self._listener.stop()
        # Cancelled handlers still have their journal record to write.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._service.idle.wait()
        self._service.journal.close()


@contextlib.contextmanager
def sandbox_in_thread(config: SandboxConfig | None = None) -> Iterator[Sandbox]:
    """Serve a sandbox from a background thread with an event loop of its own.

    Raises:
        UsageError: as `Sandbox`.
    """
    with served_in_thread(lambda: Sandbox(config)) as sandbox:
        yield sandbox
