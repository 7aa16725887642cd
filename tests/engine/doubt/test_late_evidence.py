"""Doubts that only the server's time keeps open: they wait for an upload that shows it, and for nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload.core.events import Reconciling
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.exit_status import ExitStatus
from tests.engine.doubt.test_skewed_clocks import demand
from tests.fakes.fates import Fate
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import LARGE_BYTES, PURPOSE, Ran, Scene, World

if TYPE_CHECKING:
    from bulk_upload.engine.run import RunResult

NO_TIME = "not during the attempt, as far as one can tell without the server's time"
TELLS_TIME = [
    pytest.param({}, id="by-date"),
    pytest.param({"has_date": False}, id="by-answers"),
    pytest.param({"has_date": False, "answers_created_at": False}, id="by-the-list"),
]


def killed_world(*names: str, **server: Any) -> World:
    """Return a job whose first run was killed while its requests, the first ones, were unanswered; the server had stored
    their files, by a clock that is an hour behind ours."""
    world = World(server=ServerSettings(clock_ahead_s=-3600.0, **server))
    for name in names:
        world.add(name, 1000)
        world.server.script(name.rsplit("/", 1)[-1], Fate.HANG_STORED)
    assert world.run(script=lambda scene: scene.after(5.0, scene.kill)).killed
    assert len(world.server.stored) == len(names)
    return world


def result_of(ran: Ran) -> RunResult:
    """Return the result of a run that came to its end."""
    assert ran.result is not None
    return ran.result


def listing_count(ran: Ran) -> int:
    """How many times a run has read the server's list for its doubts."""
    return sum(isinstance(event, Reconciling) for _, event in ran.told.events)


@pytest.mark.parametrize("server", TELLS_TIME)
def test_a_doubt_of_a_dead_run_is_settled_by_the_time_that_others_show(server: dict[str, Any]) -> None:
    """Nothing had told the server's time when the run died. What the next one uploads does."""
    world = killed_world("a.jsonl", **server)
    world.add("b.jsonl", 1000)
    assert result_of(world.run()).status is ExitStatus.DONE
    assert set(world.states().values()) == {EntryState.ACCEPTED}
    demand(world)


@pytest.mark.parametrize("server", TELLS_TIME)
def test_a_doubt_of_this_run_waits_for_an_upload_that_backs_off(server: dict[str, Any]) -> None:
    """The only other upload is made to wait for longer than the settle time, and then shows the server's time."""
    world = World(server=ServerSettings(clock_ahead_s=-3600.0, named_wait_s=(90, 90), **server))
    for name, fate in (("a.jsonl", Fate.LOSE_STORED), ("b.jsonl", Fate.THROTTLE_NAMED)):
        world.add(name, 1000)
        world.server.script(name, fate)
    ran = world.run()
    assert result_of(ran).status is ExitStatus.DONE
    assert ran.lasted_s > 90
    assert listing_count(ran) < 20
    demand(world)


def test_nothing_is_waited_for_where_nothing_is_sent() -> None:
    """A run with nothing to send leaves the entry to a person, at once, and without reading the list again and again."""
    world = killed_world("a.jsonl", has_date=False)
    ran = world.run()
    assert result_of(ran).status is ExitStatus.IN_DOUBT
    assert str(world.ledger.reason("a.jsonl")).endswith(NO_TIME)
    assert ran.lasted_s < 1.0
    assert listing_count(ran) <= 2
    demand(world)


def test_many_doubts_end_together_where_nothing_is_sent() -> None:
    """They do not wait for one another: however many there are, the list is read as often as for one."""
    names = [f"{number}.jsonl" for number in range(40)]
    world = World(server=ServerSettings(clock_ahead_s=-3600.0, has_date=False))
    for name in names:
        world.add(name, 1000)
        world.server.script(name, Fate.HANG_STORED)
    settings = RunSettings(concurrency=40)
    assert world.run(settings, script=lambda scene: scene.after(5.0, scene.kill)).killed
    ran = world.run(settings)
    assert set(world.states().values()) == {EntryState.IN_DOUBT}
    assert ran.lasted_s < 5.0
    assert listing_count(ran) <= 4
    demand(world)


def test_a_twin_does_not_keep_its_doubt_waiting() -> None:
    """The twin waits for the doubt; the doubt does not wait for the twin."""
    world = killed_world("x/data.jsonl", has_date=False)
    world.add("y/data.jsonl", 1000)
    ran = world.run()
    assert world.states() == {"x/data.jsonl": EntryState.IN_DOUBT, "y/data.jsonl": EntryState.PENDING}
    assert ran.lasted_s < 1.0
    demand(world)


def test_a_twin_is_sent_once_its_doubt_is_settled() -> None:
    """Another upload shows the time, the doubt is settled by it, and only then its twin is sent."""
    world = killed_world("x/data.jsonl", has_date=False)
    world.add("y/data.jsonl", 1000)
    world.add("z.jsonl", 1000)
    ran = world.run()
    assert set(world.states().values()) == {EntryState.ACCEPTED}
    assert ran.scene.violations == []
    owners = {one.file_id: world.files.path_of(one.source) for one in world.server.stored}
    assert world.ledger.receipts() == owners
    assert len(owners) == 3


def test_a_doubt_waits_for_another_that_may_be_sent_again() -> None:
    """The other entry was not stored: it is sent again once absence is believed, and shows the time then."""
    world = World(server=ServerSettings(clock_ahead_s=-3600.0, has_date=False))
    for name, fate in (("a.jsonl", Fate.HANG_STORED), ("b.jsonl", Fate.LOSE_UNSTORED)):
        world.add(name, 1000)
        world.server.script(name, fate)
    assert world.run(script=lambda scene: scene.after(5.0, scene.kill)).killed
    assert result_of(world.run()).status is ExitStatus.DONE
    demand(world)


def test_a_drain_ends_the_wait() -> None:
    """A run that is asked to stop does not wait for the time, and the entry stays in doubt."""
    world = killed_world("a.jsonl", has_date=False, bytes_per_s=LARGE_BYTES / 90)
    world.add("b.jsonl", LARGE_BYTES)

    def script(scene: Scene) -> None:
        scene.after(40.0, scene.cancel)

    ran = world.run(script=script)
    assert ran.lasted_s < 41.0
    assert world.states()["a.jsonl"] is EntryState.IN_DOUBT
    demand(world)


def test_a_file_of_another_time_is_not_adopted_by_the_time_now() -> None:
    """The proven time shows that a look-alike is older than the attempt: it is no match, and the entry stays in doubt."""
    world = World(server=ServerSettings(clock_ahead_s=-3600.0, has_date=False))
    world.server.add_stranger("a.jsonl", size=1000, purpose=PURPOSE, stored_at=-7200.0)
    world.add("a.jsonl", 1000)
    world.server.script("a.jsonl", Fate.LOSE_BODY)
    assert world.run(script=lambda scene: scene.after(0.2, scene.kill)).killed
    world.add("b.jsonl", 1000)
    world.run()
    assert world.states() == {"a.jsonl": EntryState.IN_DOUBT, "b.jsonl": EntryState.ACCEPTED}
    assert str(world.ledger.reason("a.jsonl")).endswith("not during the attempt")
    demand(world)


@pytest.mark.parametrize("step_s", [-3600.0, -20.0, 20.0, 3600.0])
def test_a_clock_that_was_set_since_the_attempt_adopts_nothing_wrong(step_s: float) -> None:
    """The time now is another than it was at the attempt: its file does not fit, and is not sent again."""
    world = killed_world("a.jsonl", has_date=False)
    world.clock_ahead_s += step_s
    world.add("b.jsonl", 1000)
    world.run()
    assert world.states()["b.jsonl"] is EntryState.ACCEPTED
    assert len(world.server.stored) == 2
    demand(world)
