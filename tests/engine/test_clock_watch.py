"""Our wall clock is set while a run goes on."""

from __future__ import annotations

import pytest

from bulk_upload.core.events import ClockStepped
from bulk_upload.core.model import EntryState
from bulk_upload.exit_status import ExitStatus
from tests.fakes.fates import Fate
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import World


@pytest.mark.parametrize("step_s", [-86_400.0, -20.0, 20.0, 3720.0])
def test_a_step_is_said_and_recorded_once(step_s: float) -> None:
    """The event and the ledger's row say by how much; nothing else of the run changes."""
    world = World(server=ServerSettings(latency_s=(2.0, 2.0)))
    world.add("a.jsonl")
    ran = world.run(script=lambda scene: scene.after(1.0, lambda: scene.clock.step(step_s)))
    steps = [one.step_s for _, one in ran.told.events if isinstance(one, ClockStepped)]
    assert steps == pytest.approx([step_s])
    rows = world.ledger.connection.execute("SELECT run_id, step_s FROM clock_steps").fetchall()
    assert rows == [(1, pytest.approx(step_s))]
    assert ran.result is not None
    assert ran.result.status is ExitStatus.DONE


def test_a_clock_that_is_adjusted_slowly_is_not_a_step() -> None:
    """Less than what the windows tolerate is neither said nor recorded."""
    world = World(server=ServerSettings(latency_s=(2.0, 2.0)))
    world.add("a.jsonl")
    ran = world.run(script=lambda scene: scene.after(1.0, lambda: scene.clock.step(-1.0)))
    assert not [one for _, one in ran.told.events if isinstance(one, ClockStepped)]
    assert world.ledger.connection.execute("SELECT count(*) FROM clock_steps").fetchone() == (0,)


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_a_settle_time_is_as_long_as_it_would_have_been(step_s: float) -> None:
    """A clock that is set while absence is waited for makes the wait neither shorter nor longer."""
    world = World(server=ServerSettings(list_lag_s=0.0))
    world.add("a.jsonl")
    world.server.script("a.jsonl", Fate.LOSE_UNSTORED)
    ran = world.run(script=lambda scene: scene.after(5.0, lambda: scene.clock.step(step_s)))
    assert world.states() == {"a.jsonl": EntryState.ACCEPTED}
    assert 30.0 <= ran.lasted_s < 45.0


def test_each_attempt_keeps_the_offset_of_its_own_time() -> None:
    """Before and after our clock was set, the ledger has what the server's clock was ahead of ours."""
    world = World(server=ServerSettings(clock_ahead_s=100.0, latency_s=(1.0, 1.0), named_wait_s=(5, 5)))
    for number in range(3):
        world.add(f"{number}.jsonl")
    world.server.script("2.jsonl", Fate.THROTTLE_NAMED)
    world.run(script=lambda scene: scene.after(4.0, lambda: scene.clock.step(-3600.0)))
    rows = world.ledger.connection.execute(
        "SELECT clock_offset_s FROM attempts WHERE outcome = 'accepted' ORDER BY attempt_id"
    ).fetchall()
    assert [one for (one,) in rows] == [pytest.approx(ahead_s, abs=3.0) for ahead_s in (100.0, 100.0, 3700.0)]
