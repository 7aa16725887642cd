"""An error inside of a run never becomes a wait: whatever raises or dies, the run ends soon and says so."""

from __future__ import annotations

import asyncio
import itertools
import re
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from bulk_upload.core.events import (
    AttemptEnded,
    AttemptStarted,
    DataFindings,
    Draining,
    EntrySettled,
    Event,
    LimitChanged,
    Noticed,
    PlanMade,
    Reconciling,
    RunLimited,
)
from bulk_upload.core.limits.adaptive.chance import Chance
from bulk_upload.core.limits.capped import CappedController
from bulk_upload.core.limits.fixed import FixedLimit
from bulk_upload.core.limits.pause import Pause
from bulk_upload.core.limits.timetable import Timetable
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.control import ControlRequest
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.edge.ledger import LedgerStore
from bulk_upload.engine.callback_errors import CallbackErrors
from bulk_upload.engine.limits.control import RunControl
from bulk_upload.engine.limits.slots import SlotPool
from bulk_upload.engine.run import OVERDUE_S
from bulk_upload.engine.sending.entry_task import EntryTasks
from bulk_upload.engine.sending.workers import Workers
from bulk_upload.engine.watchdog import IDLE_TICKS_MAX
from bulk_upload.errors import RunStuck
from bulk_upload.exit_status import ExitStatus
from tests.fakes.entries import FakeEntries
from tests.fakes.fates import Faults
from tests.fakes.files import FakeReader, FakeStream
from tests.fakes.ledger import Mishap
from tests.fakes.transport import FakeTransport
from tests.fakes.validator import BAD, ODD, FakeValidator
from tests.fakes.world import LARGE_BYTES, Scene, World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SOON_S = 120.0
"""Longer than it takes until every part was needed, and far less than for ever."""


class Bug(Exception):
    """What a broken part raises."""


def _breaks(*_: object, **__: object) -> Any:
    raise Bug("a bug of ours")


async def _dies(*_: object, **__: object) -> None:
    """Return at once, as a task does that is lost."""


def _world() -> World:
    """Return a job that needs every part: small, large and touched files, twins, refusals, lost answers."""
    world = World(1, faults=Faults(throttle=0.1, fail_unstored=0.1, lose_stored=0.15, reject=0.05))
    for number in range(40):
        world.add(f"{number:02d}/data.jsonl", LARGE_BYTES if number % 7 == 0 else 1000 + number % 5)
    return world


def _run(world: World, script: Callable[[Scene], object] | None = None, **settings: Any) -> Any:
    return world.run(
        RunSettings(concurrency=4, settle_s=3.0, **settings),
        script=script,
        validator=FakeValidator(world.files),
        lasts_s_max=SOON_S,
    )


def _is_consistent(world: World, **settings: Any) -> None:
    """The ledger contradicts itself nowhere, and a sound run of the same job finishes it without a second copy."""
    assert world.ledger.complaints() == []
    world.server.faults = Faults()
    ran = _run(world, **settings)
    assert ran.scene.violations == []
    assert set(world.states().values()) <= {EntryState.ACCEPTED, EntryState.REJECTED}
    assert len(world.server.stored) == len(set(world.ledger.receipts()))


class Part(NamedTuple):
    """Something a run waits for, or that is called while others wait, and a way to break it."""

    owner: type
    name: str
    settings: Mapping[str, Any] = MappingProxyType({})
    touched: bool = False


PARTS = {
    "a file is read": Part(FakeReader, "load"),
    "a large file is opened": Part(FakeReader, "source"),
    "a block is read": Part(FakeStream, "read"),
    "a touched file is hashed": Part(FakeReader, "hash_content", touched=True),
    "a file is validated": Part(FakeValidator, "check_all"),
    "a small file is validated as it is read": Part(FakeValidator, "content_check"),
    "the plan is read": Part(FakeEntries, "pages"),
    "the states are counted": Part(FakeEntries, "states"),
    "a request is made": Part(FakeTransport, "send"),
    "the list is read": Part(FakeTransport, "list_page"),
    "a listed file is looked up": Part(FakeTransport, "look_up"),
    "an intent is recorded": Part(LedgerStore, "intend"),
    "an outcome is recorded": Part(LedgerStore, "conclude"),
    "a doubt is resolved in the ledger": Part(LedgerStore, "adopt"),
    "the controller starts an upload": Part(FixedLimit, "on_start"),
    "the controller takes an end": Part(FixedLimit, "on_end"),
    "the controller takes a success": Part(Pause, "on_success"),
    "the controller takes a refusal": Part(Chance, "on_bad"),
    "the controller counts bytes": Part(FixedLimit, "on_bytes"),
    "a slot comes free by a timer": Part(SlotPool, "_on_timer", {"rate_per_s": 5.0}),
    "bytes pass by a timer": Part(CappedController, "take_bytes", {"bandwidth": Timetable.always(200_000.0)}),
}
"""What the engine awaits, or has called while something awaits it. Tasks that wait for each other are in `LOST`."""


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_part_that_raises_ends_the_run(monkeypatch: pytest.MonkeyPatch, part: Part) -> None:
    """Its error comes out of the run within bounded time, and the ledger stays consistent."""
    world = _world()
    if part.touched:
        world.server.faults = Faults()
        _run(world)
        for number in range(40):
            world.files.touch(f"{number:02d}/data.jsonl")
    with monkeypatch.context() as broken:
        broken.setattr(part.owner, part.name, _breaks)
        with pytest.raises(Bug, match="a bug of ours"):
            _run(world, **part.settings)
    _is_consistent(world)


@pytest.mark.parametrize(
    "event",
    [
        PlanMade,
        AttemptStarted,
        AttemptEnded,
        EntrySettled,
        Reconciling,
        LimitChanged,
        RunLimited,
        Draining,
        DataFindings,
        Noticed,
    ],
)
def test_a_listener_that_raises_ends_the_run(event: type[Event]) -> None:
    """Whatever event it chokes on, its error comes out of the run and the ledger stays consistent."""
    world = _world()
    if event is DataFindings:
        world.files.write("01/data.jsonl", ODD + b"x" * 1000)
    elif event is Noticed:
        world.files.write("01/data.jsonl", BAD + b"x" * 1000)

    def script(scene: Scene) -> None:
        scene.hooks.append(lambda one: _breaks() if isinstance(one, event) else None)
        if event is Draining:
            # As from a signal handler, which nobody awaits.
            scene.after(1.0, scene.drain)

    with pytest.raises(Bug, match="a bug of ours"):
        _run(world, script, sends_invalid=event is Noticed)
    _is_consistent(world, sends_invalid=event is Noticed)


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("event_no", range(12))
@pytest.mark.parametrize("act", [Scene.drain, Scene.cancel, Scene.abort, _breaks])
def test_whatever_ends_a_run_early_leaves_nothing_held(
    act: Callable[[Scene], object], event_no: int, *, validated: bool
) -> None:
    """Files that were read ahead are dropped and their twins let go, at whatever event a listener ends the run.

    `Scene.play` looks at what is left.
    """
    world = _world()
    for number in (3, 11, 12):
        world.files.write(f"{number:02d}/data.jsonl", b"BAD" + b"x" * 1000)
    for number in (5, 9, 13):
        world.files.write(f"{number:02d}/data.jsonl", b"ODD" + b"x" * 1000)

    def script(scene: Scene) -> None:
        numbers = itertools.count()
        scene.hooks.append(lambda _: act(scene) if next(numbers) == event_no else None)

    with suppress(Bug):
        world.run(
            RunSettings(concurrency=4),
            script=script,
            validator=FakeValidator(world.files) if validated else None,
            lasts_s_max=SOON_S,
        )
    assert world.ledger.complaints() == []


@pytest.mark.parametrize("step_no", range(1, 12))
def test_a_ledger_that_fails_leaves_nothing_held(step_no: int) -> None:
    """Files whose intents could not be recorded are dropped, and no twin of them starts."""
    world = _world()
    ran = world.run(
        RunSettings(concurrency=4), mishap=Mishap(step_no=step_no, kills=False), lasts_s_max=SOON_S
    )
    assert ran.result is not None
    assert ran.result.status is ExitStatus.LEDGER_UNUSABLE


def test_a_control_request_that_raises_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in what a person asks for is raised to the connection and out of the run."""
    world = _world()

    async def ask(scene: Scene) -> None:
        with pytest.raises(Bug):
            await scene.run.control(ControlRequest(paused=True), "somebody")

    asked: list[object] = []
    with monkeypatch.context() as broken:
        broken.setattr(RunControl, "answer", _breaks)
        with pytest.raises(Bug, match="a bug of ours"):
            _run(
                world,
                lambda scene: scene.after(1.0, lambda: asked.append(scene.loop.create_task(ask(scene)))),
            )
    assert asked
    _is_consistent(world)


def test_an_error_from_outside_ends_the_run() -> None:
    """A signal handler or a display hands its error to the run, which raises it."""
    world = _world()
    with pytest.raises(Bug):
        _run(world, lambda scene: scene.after(1.0, lambda: scene.run.fail(Bug())))
    _is_consistent(world)


LOST = {
    "the task of an entry": (EntryTasks, "_live"),
    "a worker": (Workers, "_upload"),
    "what settles accepted uploads": (Workers, "_settle_accepted"),
    "what starts workers": (Workers, "_start_workers"),
}
"""Tasks that others wait for. Each may only be lost by a bug."""


@pytest.mark.parametrize(("owner", "name"), LOST.values(), ids=LOST)
def test_a_lost_task_is_noticed(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    """When nothing outside could let any entry go on, the run ends and says where its tasks are."""
    world = _world()
    with monkeypatch.context() as broken:
        broken.setattr(owner, name, _dies)
        with pytest.raises(RunStuck) as stuck:
            _run(world, lambda scene: setattr(scene, "loses_tasks", True))
    assert stuck.value.exit_status is ExitStatus.UNEXPECTED
    assert re.search(r"Run\.execute:\d+ > ", str(stuck.value))
    _is_consistent(world)


def test_a_lost_upload_of_many_is_noticed_once_the_others_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single task that never ends keeps the run from ending, until the watchdog does."""
    world = _world()
    live = EntryTasks._live
    lost: list[object] = []

    async def loses_one(self: EntryTasks, work: Any) -> None:
        if lost:
            await live(self, work)
        else:
            # Its entry counts as live for ever: nothing counts it out any more.
            lost.append(work)

    with monkeypatch.context() as broken:
        broken.setattr(EntryTasks, "_live", loses_one)
        ran = _run(world, lambda scene: setattr(scene, "loses_tasks", True))
    assert lost
    assert ran.result is not None
    _is_consistent(world)


def test_a_long_wait_for_something_outside_is_no_reason_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow ledger, a slow disk, a slow server, a slow check or a pause by hand may take any time."""
    longer_s = 3 * IDLE_TICKS_MAX * 0.25
    world = World(faults=Faults(lose_stored=0.3))
    for number in range(3):
        world.add(f"{number}.jsonl", 1000 + number)

    def script(scene: Scene) -> None:
        scene.ledger.commit_s = longer_s
        scene.reader.read_s = longer_s

    ran = world.run(
        RunSettings(concurrency=2),
        script=script,
        validator=FakeValidator(world.files, bytes_per_s=1000 / longer_s),
        lasts_s_max=100 * longer_s,
    )
    assert ran.result is not None
    assert set(world.states().values()) == {EntryState.ACCEPTED}


def test_a_pause_by_hand_is_no_reason_to_end() -> None:
    """A paused run waits for a person, for as long as that takes."""
    world = _world()
    asked: list[object] = []

    def control(scene: Scene, *, paused: bool) -> None:
        asked.append(scene.loop.create_task(scene.run.control(ControlRequest(paused=paused), "somebody")))

    def script(scene: Scene) -> None:
        scene.after(0.5, lambda: control(scene, paused=True))
        scene.after(3600.0, lambda: control(scene, paused=False))

    ran = world.run(RunSettings(concurrency=4), script=script, lasts_s_max=3600.0 + SOON_S)
    assert ran.result is not None
    assert len(asked) == 2
    assert EntryState.PENDING not in world.states().values()


def test_a_drain_outlasts_no_request_that_outlived_its_limits() -> None:
    """When what should end a request does not, a drain aborts it 5 s after its limit and says what it waited for."""
    world = World(faults=Faults(hang_stored=1.0))
    world.add("a.jsonl")

    def script(scene: Scene) -> None:
        scene.transport.limit_s = 20.0
        scene.after(1.0, scene.drain)

    ran = world.run(script=script, lasts_s_max=SOON_S)
    assert ran.result is not None
    assert ran.result.status is ExitStatus.INTERRUPTED
    assert ran.lasted_s == pytest.approx(20.0 + OVERDUE_S, abs=2.0)
    (notice,) = [one for _, one in ran.told.events if isinstance(one, Noticed)]
    assert "waiting for the server" in notice.message
    assert world.states() == {"a.jsonl": EntryState.IN_DOUBT}


def test_a_drain_waits_for_requests_within_their_limits() -> None:
    """A slow upload that moves is not aborted by the first signal."""
    world = World()
    world.add("a.jsonl", 30 * LARGE_BYTES)

    def script(scene: Scene) -> None:
        scene.transport.limit_s = 10_000.0
        scene.after(0.5, scene.drain)

    ran = world.run(script=script)
    assert ran.result is not None
    assert world.states() == {"a.jsonl": EntryState.ACCEPTED}


def test_the_first_error_in_a_callback_is_the_one_that_is_raised() -> None:
    """Later ones are dropped; a callback without an error does nothing more."""

    async def main() -> None:
        errors = CallbackErrors()
        errors.guarded(lambda: None)()
        errors.guarded(_breaks)()
        errors.take(KeyError("later"))
        with pytest.raises(Bug):
            await errors.raise_first()

    asyncio.run(main())
