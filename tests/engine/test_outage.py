"""A server that goes away in the midst of a run, on virtual time."""

from __future__ import annotations

import pytest

from bulk_upload.core.model import EntryState
from bulk_upload.core.run.retry import RetryPolicy
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.exit_status import ExitStatus
from tests.fakes.fates import Faults
from tests.fakes.world import Ran, Scene, World

BEGINS_S = 1.0
MINUTES = 60.0


def run_through(outage_s: float, settings: RunSettings, *, count: int = 400) -> tuple[World, Ran]:
    """Run a job whose server refuses every connection for so long, beginning in its midst."""
    world = World()
    for number in range(count):
        world.add(f"{number}.jsonl", 100_000)

    def script(scene: Scene) -> None:
        scene.after(BEGINS_S, lambda: setattr(world.server, "faults", Faults(refuse=1.0)))
        scene.after(BEGINS_S + outage_s, lambda: setattr(world.server, "faults", Faults()))

    return world, world.run(settings, script=script)


@pytest.mark.parametrize("count", [60, 2000])
def test_an_outage_is_waited_out_and_costs_no_attempt(count: int) -> None:
    """Ten minutes away, asked some thirty times: everything is accepted in the end, with five attempts an entry."""
    settings = RunSettings(retry_policy=RetryPolicy(attempts_max=5), concurrency_max=4)
    world, ran = run_through(10 * MINUTES, settings, count=count)
    assert ran.scene.violations == []
    assert ran.result is not None
    assert ran.result.status is ExitStatus.DONE
    assert set(world.states().values()) == {EntryState.ACCEPTED}
    # One request at a time asks, at growing distances: not a thousand in ten minutes.
    assert world.server.request_count <= count + 100
    assert ran.lasted_s > 10 * MINUTES


def test_an_outage_longer_than_patience_ends_the_run() -> None:
    """After `patience_s` without an answer the run drains, says so, and running again finishes."""
    settings = RunSettings(concurrency_max=4, patience_s=5 * MINUTES)
    world, ran = run_through(60 * MINUTES, settings, count=1000)
    assert ran.result is not None
    assert ran.result.status is ExitStatus.UNFINISHED
    assert ran.result.stop is not None
    assert "nothing got through to the server for 5 min" in ran.result.stop.reason
    assert "again when the server is back" in ran.result.stop.hint
    assert BEGINS_S + 5 * MINUTES < ran.lasted_s < BEGINS_S + 7 * MINUTES
    world.server.faults = Faults()
    after = world.run(settings)
    assert after.result is not None
    assert after.result.status is ExitStatus.DONE


def test_a_server_that_never_answered_is_not_waited_for() -> None:
    """Nothing listens at that address: attempts are used up and the run ends within a minute."""
    world = World(faults=Faults(refuse=1.0))
    for number in range(50):
        world.add(f"{number}.jsonl")
    ran = world.run()
    assert ran.result is not None
    assert ran.result.status is ExitStatus.UNFINISHED
    assert ran.result.stop is not None
    assert "--base-url" in ran.result.stop.hint
    assert ran.lasted_s < 2 * MINUTES
