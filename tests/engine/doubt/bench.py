"""A reconciler at work on virtual time, and a server whose list a test may change."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import anyio
from msgspec.structs import replace

from bulk_upload.core.api.paging import ListedPage, PageRequest
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.events import Event, Reconciling
from bulk_upload.core.run.fault_scope import Stop
from bulk_upload.core.run.reconcile import Doubt
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.doubt.api_retry import ApiRetry
from bulk_upload.engine.doubt.reconciler import Reconciler
from bulk_upload.engine.limits.drain import Drain
from bulk_upload.exit_status import ExitStatus
from tests.fakes.ledger import LedgerFile, MemoryLedger, Mishap
from tests.fakes.server import FakeServer
from tests.fakes.server_settings import ServerSettings
from tests.fakes.transport import FakeTransport
from tests.fakes.virtual_time import VirtualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.model import ListedFile
    from bulk_upload.edge.transport import Transport

STOP = Stop(status=ExitStatus.INTERRUPTED, reason="asked to stop", hint="")
SHORT_PAGES = replace(FLOW, list_page=10)


class Desk(FakeTransport):
    """A transport whose pages a test may see, change or hold up."""

    def __init__(self, server: FakeServer, clock: VirtualClock) -> None:
        super().__init__(server, clock)
        self.offsets: list[int] = []
        self.before_page: Callable[[int], object] = lambda _: None
        self.ignores_offset = False
        self.look_up_hangs = False
        self.page_hangs = False
        self.looked_up: list[ListedFile | None] = []
        """What look-ups answer instead of the truth, in order."""

    async def list_page(self, request: PageRequest) -> ListedPage:
        """Return a page, after the test had its say."""
        self.before_page(len(self.offsets))
        self.offsets.append(request.offset)
        if self.page_hangs:
            await asyncio.sleep(3600)
        return await super().list_page(replace(request, offset=0) if self.ignores_offset else request)

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return what the test wants, else the truth."""
        if self.look_up_hangs:
            await asyncio.sleep(3600)
        truth = await super().look_up(file_id)
        return self.looked_up.pop(0) if self.looked_up else truth


class Bench:
    """A reconciler at work, and everything around it."""

    def __init__(
        self,
        *,
        settings: ServerSettings | None = None,
        profile: Profile = FLOW,
        mishap: Mishap | None = None,
        away_s: float = 0.0,
    ) -> None:
        self.clock = VirtualClock()
        self.server = FakeServer(settings=settings or ServerSettings(latency_s=(0.01, 0.01)))
        self.desk = Desk(self.server, self.clock)
        self.drain = Drain(lambda _: None)
        self.events: list[Event] = []
        self.file = LedgerFile()
        self.ledger = MemoryLedger(self.file, self.file.begin_run(utc_s=self.clock.utc_s()), mishap=mishap)
        self.reconciler = Reconciler(
            files_api=cast("Transport", self.desk),
            api_retry=ApiRetry(self.clock, sleep=self.drain.sleep, away_s=lambda: away_s),
            ledger=self.ledger,
            profile=profile,
            clock=self.clock,
            drain=self.drain,
            emit=self.events.append,
        )
        self.attempt_count = 0

    def goes_away(self, until_s: float) -> None:
        """Let nobody connect before that time."""

        async def unconnected(request: PageRequest) -> ListedPage:
            if self.now < until_s:
                raise NoAnswer("listing files failed: Connection refused", away=True)
            return await list_page(request)

        list_page = self.desk.list_page
        self.desk.list_page = unconnected  # type: ignore[method-assign]

    @property
    def now(self) -> float:
        """Virtual time."""
        return self.clock.monotonic()

    @property
    def listing_count(self) -> int:
        """How many times the whole list was read."""
        return sum(isinstance(one, Reconciling) for one in self.events)

    def doubt(self, name: str = "a.jsonl", *, settle_s: float = 30.0, ago_s: float = 1.0) -> Doubt:
        """Return a doubt about an attempt that began a while ago and settles in a while."""
        self.attempt_count += 1
        return Doubt(
            entry_id=self.attempt_count,
            attempt_id=self.attempt_count,
            sent_name=name,
            file_bytes=1000,
            purpose="fine-tune",
            sent_at_utc_s=self.clock.utc_s() - ago_s,
            settles_at_utc_s=self.clock.utc_s() + settle_s,
            began_at=self.now - ago_s,
        )

    def shows_its_clock(self) -> None:
        """Let the run have a file whose time agrees with `Date`."""
        self.desk.shows_its_clock()

    def store(self, name: str = "a.jsonl", *, count: int = 1, appears_in_s: float = 0.0) -> list[str]:
        """Put files at the server and return their ids."""
        files = [
            self.server.add_stranger(name, size=1000, purpose="fine-tune", stored_at=self.now)
            for _ in range(count)
        ]
        for one in files:
            one.listed_at += appears_in_s
        return [one.file_id for one in files]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Reconciler]:
        """Let it serve while the block lasts."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.reconciler.serve)
            yield self.reconciler
            tasks.cancel_scope.cancel()
