"""What the events say of an attempt in doubt that left nothing at the server."""

from __future__ import annotations

import pytest

from bulk_upload.core.events import AttemptStarted, Reconciling
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.tally import Tally
from bulk_upload.core.run.settings import RunSettings
from tests.fakes.fates import Fate
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import Ran, World


def a_world() -> World:
    """Return a job of one file."""
    world = World(server=ServerSettings(latency_s=(0.01, 0.01)))
    world.add("a.jsonl", 1000)
    return world


def tally_of(ran: Ran) -> Tally:
    """Return the numbers of a run."""
    tally = Tally()
    for _, event in ran.told.events:
        tally.add(event)
    return tally


def waits_of(ran: Ran) -> list[float]:
    """Return how long each look at the list says that it may be looked at again."""
    return [event.wait_max_s for _, event in ran.told.events if isinstance(event, Reconciling)]


def test_a_lost_attempt_is_sent_again_and_counted() -> None:
    """Of this run: the wait is said beforehand, and afterwards what became of the doubt."""
    world = a_world()
    world.server.script("a.jsonl", Fate.LOSE_UNSTORED)
    ran = world.run(RunSettings())
    assert world.states() == {"a.jsonl": EntryState.ACCEPTED}
    assert [event.was_absent for _, event in ran.told.events if isinstance(event, AttemptStarted)] == [
        False,
        True,
    ]
    assert tally_of(ran).absent_count == 1
    assert waits_of(ran)[0] == pytest.approx(RunSettings().settle_s, abs=1.0)


def test_what_a_killed_run_left_in_doubt_is_counted() -> None:
    """Of an earlier run: it is sent again only once the wait is over."""
    world = a_world()
    world.server.script("a.jsonl", Fate.LOSE_UNSTORED)
    assert world.run(RunSettings(), script=lambda scene: scene.after(1.0, scene.kill)).killed
    ran = world.run(RunSettings())
    assert tally_of(ran).absent_count == 1
    assert max(waits_of(ran)) > 5.0
