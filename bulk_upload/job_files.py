"""Files at the server, whether or not a job of ours sent them: list them, fetch one, delete some."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bulk_upload.core.api.secret import key_and_source
from bulk_upload.edge.clock import SystemClock
from bulk_upload.edge.ledger import JobIdentity, open_ledger
from bulk_upload.edge.transport import Transport, TransportSettings
from bulk_upload.engine.doubt.api_retry import ApiRetry
from bulk_upload.engine.doubt.inquiry import ContentInquiry
from bulk_upload.engine.files.removed import Removing
from bulk_upload.exit_status import ExitStatus
from bulk_upload.job_ledger import facts_of
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.clock import Clock

QUESTIONS_AT_ONCE = 4


class ServerFiles:
    """The files of one server.

    Args:
        connection: the server.
        api_key: as for `Uploader`.
        clock: time and randomness.
    """

    def __init__(
        self, connection: Connection, *, api_key: str | Callable[[], str], clock: Clock | None = None
    ) -> None:
        self._connection = connection
        self._api_key, self._read_key_again = key_and_source(api_key)
        self._clock = clock or SystemClock()

    @asynccontextmanager
    async def inquiring(self) -> AsyncIterator[ContentInquiry]:
        """Yield an object that queries the server."""
        settings = TransportSettings(
            connection=self._connection,
            api_key=self._api_key,
            read_key_again=self._read_key_again,
            connection_limit=1,
            question_limit=QUESTIONS_AT_ONCE,
            user_agent=f"bulk-upload/{__version__}",
        )
        async with Transport(settings, self._clock).running() as transport:
            yield ContentInquiry(transport, ApiRetry(self._clock))

    @asynccontextmanager
    async def removing(
        self, inquiry: ContentInquiry, *, asked_by: str, ledger_path: str | None = None
    ) -> AsyncIterator[Removing]:
        """Yield an object that deletes files; with a ledger it is locked, and what is deleted is recorded in it.

        Raises LedgerUnusable or one of its subclasses.
        """
        if ledger_path is None:
            yield Removing(inquiry=inquiry, clock=self._clock, asked_by=asked_by, ledger=None)
            return
        facts = facts_of(ledger_path)
        identity = JobIdentity(
            profile=facts.profile, endpoint=facts.endpoint, team=facts.team, root=facts.root
        )
        ledger = open_ledger(
            ledger_path, identity, version=__version__, moved_root=False, utc_s=self._clock.utc_s()
        )
        try:
            yield Removing(inquiry=inquiry, clock=self._clock, asked_by=asked_by, ledger=ledger.writer)
            now = self._clock.utc_s()
            await ledger.writer.run(lambda store: store.end_run(exit_status=ExitStatus.DONE, utc_s=now))
        finally:
            await ledger.close()
