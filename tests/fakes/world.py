"""A job in a world of fakes: run it, break it, run it again, and read what happened."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.events import AttemptEnded, AttemptStarted, Draining, EntrySettled
from bulk_upload.core.model import Entry, EntryState
from bulk_upload.core.run.fault_scope import Stop
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.engine.assembly import assemble
from bulk_upload.exit_status import ExitStatus
from tests.fakes.entries import FakeEntries
from tests.fakes.fates import Faults
from tests.fakes.files import FakeReader, MemoryFiles
from tests.fakes.ledger import LedgerFile, MemoryLedger, Mishap
from tests.fakes.sending import Sending
from tests.fakes.server import FakeServer
from tests.fakes.server_settings import ServerSettings
from tests.fakes.transport import FakeTransport
from tests.fakes.validator import FakeValidator
from tests.fakes.virtual_time import Killed, VirtualClock, VirtualLoop, run_virtually

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.events import Event, Snapshot
    from bulk_upload.core.limits.controller import Controller
    from bulk_upload.engine.run import RunResult

PURPOSE = "fine-tune"
LARGE_BYTES = 300 * 1024
"""More than the engine reads whole, so that it is streamed."""

ASKED = Stop(status=ExitStatus.INTERRUPTED, reason="asked to stop", hint="run again")
RUN_LASTS_S_MAX = 5_000.0


@dataclass(kw_only=True)
class Told:
    """What a run told its listeners, with the time of each event."""

    events: list[tuple[float, Event]] = field(default_factory=list)

    def started(self) -> list[str]:
        """Return the path of every attempt that started, in order."""
        return [one.path for _, one in self.events if isinstance(one, AttemptStarted)]

    def ended(self) -> list[str]:
        """Return the path of every attempt that ended, in order."""
        return [one.path for _, one in self.events if isinstance(one, AttemptEnded)]

    def settled(self) -> list[EntrySettled]:
        """Return every ending of an entry, in order."""
        return [one for _, one in self.events if isinstance(one, EntrySettled)]

    def endings(self) -> dict[str, EntryState]:
        """Return the state each entry was last said to end in, by path."""
        return {one.path: one.state for one in self.settled()}


class Scene:
    """One run and everything in it, while it goes on.

    `violations` has what must never be seen when a request begins; `hooks` are called with every event.
    """

    def __init__(
        self,
        world: World,
        loop: VirtualLoop,
        *,
        settings: RunSettings,
        profile: Profile,
        controller: Controller | None,
        mishap: Mishap | None,
        validator: FakeValidator | None,
    ) -> None:
        self.loop = loop
        self.world = world
        self.told = Told()
        self.violations: list[str] = []
        self.hooks: list[Callable[[Event], object]] = []
        self._drains = False
        self.clock = VirtualClock(f"{world.seed} {world.run_count}", ahead_s=world.clock_ahead_s)
        self.reader = FakeReader(world.files, whole_bytes_max=world.whole_bytes_max)
        self.reader.hashing = settings.hashing
        self.transport = FakeTransport(
            world.server, self.clock, on_start=self._look_at_start, profile=profile
        )
        store = world.ledger.begin_run(utc_s=self.clock.utc_s())
        self.ledger = MemoryLedger(world.ledger, store, mishap=mishap, on_death=loop.kill)
        self.entries = FakeEntries(world.entries, world.files, world.ledger, retry=settings.retry)
        self.run = assemble(
            settings=settings,
            profile=profile,
            clock=self.clock,
            reader=self.reader,
            transport=self.transport,
            files_api=self.transport,
            ledger=self.ledger,
            entries=self.entries,
            plan=self.entries.plan,
            emit=self._hear,
            controller=controller,
            address_known=bool(world.ledger.receipts()),
            validator=validator,
        )
        self._task: asyncio.Task[RunResult] | None = None
        self.loses_tasks = False
        """Whether the test loses tasks: nobody clears up after those."""
        self.aborted_at: float | None = None
        self.left: Snapshot | None = None
        """How the run stood when it was over."""

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something so many seconds from now."""
        self.loop.call_later(seconds, act)

    def drain(self) -> None:
        """Ask the run to drain."""
        self.run.drain(ASKED)

    def cancel(self) -> None:
        """Ask the run to stop at once."""
        self.run.cancel(ASKED)

    def abort(self) -> None:
        """Cancel the task that runs it, as a caller that loses patience does."""
        if self._task is not None and not self._task.done():
            self.aborted_at = self.loop.time()
            self._task.cancel()

    def kill(self) -> None:
        """End the process."""
        self.ledger.die()

    def leftovers(self, *, ended_well: bool) -> dict[str, int]:
        """Return what a run that is over still holds; a run that was aborted or broke need not have cleared all queues."""
        if self.loses_tasks:
            return {}
        run = self.run
        counts = {
            "prepared files": len(run._sender._held),  # type: ignore[attr-defined]
            "open files": self.reader.open_count,
            "parked entries": run._occupancy.parked_count,
        }
        if ended_well:
            counts |= {
                "live entries": run._occupancy.live_count,
                "requests in flight": run._slots.in_flight,
                "answers that await the ledger": run._slots.unrecorded,
                "twin keys": len(run._workers._twins._held),
            }
        return {what: count for what, count in counts.items() if count}

    async def play(self) -> RunResult | None:
        """Run to the end; None when the run was aborted."""
        self._task = self.loop.create_task(self.run.execute())
        ended_well = False
        try:
            result = await self._task
            ended_well = True
            return result
        except asyncio.CancelledError:
            return None
        finally:
            self.left = self.run.snapshot()
            left_over = self.leftovers(ended_well=ended_well)
            assert not left_over, left_over
            await self.ledger.close()

    def _hear(self, event: Event) -> None:
        self.told.events.append((self.loop.time(), event))
        self._drains = self._drains or isinstance(event, Draining)
        for hook in self.hooks:
            hook(event)

    def _look_at_start(self, sending: Sending) -> None:
        request, fingerprint = sending.request, sending.source.fingerprint
        path = self.world.files.path_of(fingerprint.inode)
        twin = (request.sent_name, fingerprint.size, request.purpose)
        now = self.loop.time()
        limit = self.run.snapshot().limit
        in_flight = [
            (one.request.sent_name, one.source.fingerprint.size, one.request.purpose)
            for one in self.transport.sending
        ]
        requests = {one.request_no for one in self.transport.sending}
        ledger = self.world.ledger
        # A named wait binds every file until refusals are known to come whatever the load.
        binds_all = self.run._limits._capped.chance_share is None
        wrong = {
            f"{len(requests) + 1} in flight, the limit is {limit}": len(requests) >= limit,
            "the server asked to wait": any(
                now < until
                for inode, until in self.transport.pauses
                if inode == fingerprint.inode or binds_all
            ),
            "no intent is durable": path not in ledger.open_intents(),
            "an earlier attempt is in doubt": path in ledger.doubtful(),
            "a twin is in flight": twin in in_flight,
            "a twin is in doubt": twin in ledger.doubtful_twins(),
            "more files are open for sending than may be sent": self.reader.sending_count > limit,
            "the run drains": self._drains,
        }
        self.violations.extend(f"{now:.6f} {path}: {what}" for what, is_so in wrong.items() if is_so)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A run that is over. `result` is None when it was aborted or killed."""

    result: RunResult | None
    scene: Scene
    began_at: float
    ended_at: float
    killed: bool

    @property
    def told(self) -> Told:
        """What it told."""
        return self.scene.told

    @property
    def lasted_s(self) -> float:
        """How long it took."""
        return self.ended_at - self.began_at


class World:
    """A job, its files, its server and its ledger. Time goes on from run to run.

    Args:
        seed: of every chance in it.
        faults: of the server.
        server: how the server behaves otherwise.
    """

    def __init__(
        self, seed: int | str = 0, *, faults: Faults | None = None, server: ServerSettings | None = None
    ) -> None:
        self.seed = seed
        self.whole_bytes_max = SMALL_FILE_BYTES_MAX
        self.files = MemoryFiles()
        self.server = FakeServer(seed, faults=faults, settings=server)
        self.server.content_of = self.files.content_of
        self.ledger = LedgerFile()
        self.entries: list[Entry] = []
        self.now = 0.0
        self.clock_ahead_s = 0.0
        """Our wall clock minus true time when a run begins."""
        self.run_count = 0

    def add(self, path: str, size: int = 1000, *, purpose: str = PURPOSE) -> None:
        """Add an entry and its file."""
        self.files.write_size(path, size)
        self.entries.append(Entry(path=path, purpose=purpose, line_no=len(self.entries) + 1))

    def run(
        self,
        settings: RunSettings | None = None,
        *,
        script: Callable[[Scene], object] | None = None,
        profile: Profile = FLOW,
        controller: Controller | None = None,
        mishap: Mishap | None = None,
        validator: FakeValidator | None = None,
        lasts_s_max: float = RUN_LASTS_S_MAX,
    ) -> Ran:
        """Run the job once; `script` sees the scene before the run begins. Raises Stuck."""
        self.run_count += 1
        scenes: list[Scene] = []

        async def main(loop: VirtualLoop) -> RunResult | None:
            scene = Scene(
                self,
                loop,
                settings=settings or RunSettings(),
                profile=profile,
                controller=controller,
                mishap=mishap,
                validator=validator,
            )
            scenes.append(scene)
            if script is not None:
                script(scene)
            return await scene.play()

        began_at = self.now
        result: RunResult | None = None
        killed = False
        try:
            result = run_virtually(main, starts_at=began_at, lasts_s_max=lasts_s_max)
        except Killed:
            killed = True
        finally:
            # Also after an error: the next run is later.
            self.now = scenes[0].loop.time()
        scene = scenes[0]
        return Ran(result=result, scene=scene, began_at=began_at, ended_at=self.now, killed=killed)

    def states(self) -> dict[str, EntryState]:
        """Return the state of every entry of the ledger by its path."""
        return self.ledger.states()
