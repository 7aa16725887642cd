"""Runs that are ended early, and what must be true of each afterwards."""

from __future__ import annotations

from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings
from tests.fakes.fates import Fate
from tests.fakes.server import unowned
from tests.fakes.world import LARGE_BYTES, Ran, Scene, World

PROMPTLY_S = 0.5
SETTINGS = RunSettings(concurrency=2)


def world_of_run() -> World:
    """Return a small job with a bit of everything: twins, a large file, lost answers, a pause, a rejection."""
    world = World(7)
    for number in range(4):
        world.add(f"{number}.jsonl")
    world.add("large.jsonl", LARGE_BYTES)
    world.add("x/data.jsonl", 300)
    world.add("y/data.jsonl", 300)
    world.server.script("0.jsonl", Fate.LOSE_STORED)
    world.server.script("1.jsonl", Fate.THROTTLE_NAMED)
    world.server.script("2.jsonl", Fate.LOSE_UNSTORED)
    world.server.script("3.jsonl", Fate.REJECT)
    world.server.script("data.jsonl", Fate.FAIL_STORED)
    return world


def instants() -> list[float]:
    """Return moments of the run: over the whole of it, and each millisecond of its busy beginning."""
    lasts_s = world_of_run().run(SETTINGS).lasted_s
    return [lasts_s * share / 10 for share in range(10)] + [0.005 * number for number in range(1, 14)]


def steps() -> range:
    """Return the numbers of the ledger's steps in an undisturbed run."""
    return range(1, world_of_run().run(SETTINGS).scene.ledger.step_count + 1)


def check(world: World, ran: Ran) -> None:
    """Check that the ledger is consistent, has every file the server has, and no attempt was made too early."""
    assert ran.scene.violations == []
    assert world.ledger.complaints() == []
    receipts = world.ledger.receipts()
    for one in unowned(world.server.stored, set(receipts)):
        path = world.files.path_of(one.source)
        assert path in world.ledger.doubtful() | world.ledger.open_intents(), f"{path} has an orphan"


def finish(world: World) -> None:
    """Run until nothing is left, and check that all was accepted once, and nothing settled was touched."""
    before = {path for path, state in world.states().items() if state.settled}
    world.now += 100
    ran = world.run(SETTINGS)
    check(world, ran)
    assert set(ran.told.started()).isdisjoint(before)
    states = world.states()
    assert states.pop("3.jsonl") in (EntryState.REJECTED, EntryState.ACCEPTED)
    assert set(states.values()) == {EntryState.ACCEPTED}
    assert sorted(world.files.path_of(one.source) for one in world.server.stored) == sorted(
        world.ledger.current_receipts()
    )


def end(scene: Scene, *, how: str, at_s: float) -> None:
    scene.after(at_s, getattr(scene, how))
