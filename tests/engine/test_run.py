"""Runs to their end: what is told of them, and how their starts are paced."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bulk_upload.core.events import AttemptEnded, AttemptStarted, PlanMade
from bulk_upload.core.limits.controller import Ticket
from bulk_upload.core.limits.fixed import FixedLimit
from bulk_upload.core.model import Accepted, InDoubt
from bulk_upload.core.run.plan import Step
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.exit_status import ExitStatus
from tests.engine.ended_runs import SETTINGS, check, world_of_run
from tests.fakes.fates import Fate
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import LARGE_BYTES, Scene, World

# --- the plain run


def test_a_run_to_the_end_tells_everything_once() -> None:
    """The plan first, then balanced attempts, and one ending for every entry."""
    world = world_of_run()
    ran = world.run(SETTINGS)
    check(world, ran)
    assert isinstance(ran.told.events[0][1], PlanMade)
    assert sorted(ran.told.started()) == sorted(ran.told.ended())
    assert sorted(one.path for one in ran.told.settled()) == sorted(ran.scene.entries.paths(Step.SEND))
    assert ran.result is not None
    assert (ran.result.status, ran.result.stop) == (ExitStatus.SOME_FAILED, None)


def test_a_run_with_nothing_to_do_does_nothing() -> None:
    """A job that is done is told so without a request, a listing or a read."""
    world = World()
    world.add("a.jsonl")
    world.run()
    requests, lists = world.server.request_count, world.server.list_count
    ran = world.run()
    assert (world.server.request_count, world.server.list_count) == (requests, lists)
    assert (ran.scene.reader.loads, ran.scene.reader.opened) == ([], [])
    assert ran.result is not None
    assert ran.result.status is ExitStatus.DONE


def test_an_empty_plan_is_done() -> None:
    """A manifest without entries ends at once."""
    ran = World().run()
    assert ran.result is not None
    assert (ran.result.status, ran.result.states) == (ExitStatus.DONE, {})


def test_a_run_that_waits_lets_its_clock_run() -> None:
    """A pause of a quarter of an hour costs a handful of turns a second, not a busy loop."""
    world = World()
    world.add("a.jsonl")
    world.server.script("a.jsonl", Fate.THROTTLE_NAMED)
    world.server.settings = ServerSettings(named_wait_s=(900, 900))
    ran = world.run(RunSettings(patience_s=10_000.0))
    assert 900 <= ran.lasted_s < 950
    assert len(ran.told.events) < 20


class PacedLimit(FixedLimit):
    """A fixed limit that also lets only one upload start every half second."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.next_at = 0.0

    def next_delay(self, now: float) -> float:
        """Return how long the next start is away."""
        return max(super().next_delay(now), self.next_at - now)

    def on_start(self, now: float) -> Ticket:
        """Take a slot and move the next start."""
        self.next_at = now + 0.5
        return super().on_start(now)


def test_a_controller_may_pace_the_starts() -> None:
    """Starts wait for the controller's word, one by one, though slots are free and nobody answers meanwhile."""
    world = World()
    for number in range(20):
        world.add(f"{number}.jsonl")
    ran = world.run(controller=PacedLimit(8))
    starts = [at for at, one in ran.told.events if isinstance(one, AttemptStarted)]
    assert len(starts) == 20
    assert min(later - earlier for earlier, later in pairwise(starts)) >= 0.499
    assert ran.lasted_s < 20 * 0.5 + 2


class Chancy(FixedLimit):
    """A fixed limit that knows of a server that it refuses three in a hundred, whatever their number."""

    @property
    def chance_share(self) -> float:
        """Three in a hundred."""
        return 0.03


@pytest.mark.parametrize("by_chance", [True, False])
def test_failures_that_are_chance_are_retried_within_a_second(by_chance: bool) -> None:
    """Elsewhere the waits of a file that fails again and again double each time."""
    world = World()
    world.add("a.jsonl")
    world.server.script("a.jsonl", *[Fate.REFUSE] * 5)
    ran = world.run(controller=Chancy(8) if by_chance else FixedLimit(8))
    waits = [one.retry_in_s for _, one in ran.told.events if isinstance(one, AttemptEnded) and one.retry_in_s]
    assert (max(waits) <= 1.0) == by_chance


# --- what a run says of itself


def test_a_snapshot_shows_how_the_run_stands() -> None:
    """In flight, parked, paused, and bytes: what a display needs, at any moment."""
    world = World()
    for number in range(6):
        world.add(f"{number}.jsonl", LARGE_BYTES)
    world.server.script("0.jsonl", Fate.LOSE_UNSTORED)
    seen = []

    def script(scene: Scene) -> None:
        scene.after(0.1, lambda: seen.append(scene.run.snapshot()))
        scene.after(15.0, lambda: seen.append(scene.run.snapshot()))

    ran = world.run(RunSettings(concurrency=2), script=script)
    early, late = seen
    assert (early.in_flight, early.limit, early.pause_s) == (2, 2, 0.0)
    assert 0 < early.partial_bytes == early.wire_bytes
    assert (late.in_flight, late.parked_count, late.partial_bytes) == (0, 1, 0)
    assert ran.scene.left is not None
    assert ran.scene.left.wire_bytes > 7 * LARGE_BYTES


def test_the_ledger_hears_that_the_run_lives() -> None:
    """A long wait leaves signs of life, from which a later run judges absence."""
    world = World()
    world.add("a.jsonl")
    world.server.script("a.jsonl", Fate.HANG_STORED)
    world.run(script=lambda scene: scene.after(50.0, scene.kill))
    (alive,) = world.ledger.connection.execute("SELECT last_alive_utc FROM job").fetchone()
    (begun,) = world.ledger.connection.execute("SELECT started_utc FROM runs").fetchone()
    assert alive > begun


def test_outcomes_are_told_as_the_ledger_has_them() -> None:
    """An answer with another entry's id is told as a doubt, which is what was recorded."""
    world = World()
    world.add("b.jsonl", 500)
    world.run()
    world.now += 100
    world.add("a.jsonl")
    world.server.script("a.jsonl", Fate.OTHER_ID)
    ran = world.run()
    outcomes = [one.outcome for _, one in ran.told.events if isinstance(one, AttemptEnded)]
    assert [type(one) for one in outcomes] == [InDoubt]
    assert not any(isinstance(one, Accepted) for one in outcomes)
