"""Runs that are ended early, in every way and at every step: promptly, consistently, and nothing is done twice."""

from __future__ import annotations

from functools import partial

import pytest

from bulk_upload.core.events import AttemptEnded, AttemptStarted, Draining, Event
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.exit_status import ExitStatus
from tests.engine.ended_runs import PROMPTLY_S, SETTINGS, check, end, finish, instants, steps, world_of_run
from tests.fakes.fates import Fate
from tests.fakes.ledger import Mishap
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import LARGE_BYTES, Scene, World


def test_a_deadline_drains_the_run() -> None:
    """When the deadline passes nothing new starts, and the verdict says that there is more to do."""
    world = World()
    for number in range(20):
        world.add(f"{number}.jsonl", LARGE_BYTES)
    ran = world.run(RunSettings(concurrency=1, deadline_s=1.0))
    assert ran.scene.violations == []
    assert ran.result is not None
    assert ran.result.status is ExitStatus.UNFINISHED
    assert ran.result.stop is not None
    assert "deadline" in ran.result.stop.reason
    assert 1.0 <= ran.lasted_s < 3.0


def test_a_drain_before_the_start_sends_nothing() -> None:
    """A run that is told to drain before it begins records its entries as pending and ends."""
    world = world_of_run()
    ran = world.run(SETTINGS, script=lambda scene: scene.drain())
    assert ran.lasted_s < PROMPTLY_S
    assert (world.server.request_count, set(world.states().values())) == (0, {EntryState.PENDING})
    assert ran.result is not None
    assert ran.result.status is ExitStatus.INTERRUPTED


def test_a_run_says_once_that_it_drains() -> None:
    """However often it is told to stop, listeners hear of the first reason only."""
    world = world_of_run()

    def script(scene: Scene) -> None:
        for after_s in (0.05, 0.1, 0.15):
            scene.after(after_s, scene.drain)
        scene.after(0.2, scene.cancel)

    ran = world.run(SETTINGS, script=script)
    assert sum(isinstance(event, Draining) for _, event in ran.told.events) == 1


# --- ended from outside, at every instant


@pytest.mark.parametrize("how", ["drain", "cancel", "abort", "kill"])
def test_a_run_can_be_ended_at_any_instant(how: str) -> None:
    """Drained, cancelled, aborted or killed at any moment: it ends promptly, and the next run loses nothing."""
    for at_s in instants():
        world = world_of_run()
        ran = world.run(SETTINGS, script=partial(end, how=how, at_s=at_s))
        check(world, ran)
        if how != "kill":
            assert world.ledger.open_intents() == set(), at_s
        if how in ("cancel", "abort"):
            assert ran.ended_at - ran.began_at < at_s + PROMPTLY_S, at_s
        if how == "drain":
            ends = [at - ran.began_at for at, one in ran.told.events if isinstance(one, AttemptEnded)]
            assert ran.ended_at - ran.began_at < max([at_s, *ends]) + PROMPTLY_S, at_s
        finish(world)


def test_a_cancel_ends_what_is_in_flight_and_records_it_honestly() -> None:
    """A body that was complete is in doubt, one that was not is pending; both are told."""
    world = World()
    world.add("complete.jsonl")
    world.add("half.jsonl", LARGE_BYTES)
    world.server.script("complete.jsonl", Fate.HANG_STORED)
    world.server.settings = ServerSettings(bytes_per_s=10_000.0)
    ran = world.run(script=lambda scene: scene.after(5.0, scene.cancel))
    check(world, ran)
    assert ran.told.endings() == {"complete.jsonl": EntryState.IN_DOUBT, "half.jsonl": EntryState.PENDING}
    assert ran.lasted_s < 5.0 + PROMPTLY_S


def test_a_cancel_ends_what_is_about_to_start() -> None:
    """An entry that has its slot but no request yet does not start one after the run was told to stop."""
    world = World()
    world.add("a.jsonl", LARGE_BYTES)

    def script(scene: Scene) -> None:
        scene.ledger.commit_s = 1.0
        scene.after(2.5, scene.cancel)

    ran = world.run(script=script)
    assert ran.told.started() == []
    assert world.ledger.attempts("a.jsonl") == [("not_sent", None)]


def test_a_listener_may_cancel_the_request_it_hears_of() -> None:
    """A run cancelled from a listener ends the request whose start the listener was just told."""
    world = World()
    world.add("a.jsonl", LARGE_BYTES)
    world.server.settings = ServerSettings(bytes_per_s=1000.0)

    def script(scene: Scene) -> None:
        def hook(event: Event) -> None:
            if isinstance(event, AttemptStarted):
                scene.cancel()

        scene.hooks.append(hook)

    ran = world.run(script=script)
    assert ran.lasted_s < PROMPTLY_S
    assert ran.told.endings() == {"a.jsonl": EntryState.PENDING}
    assert sorted(ran.told.started()) == sorted(ran.told.ended())


def test_a_pause_holds_what_is_about_to_start() -> None:
    """A server's wait also holds an entry that had its slot before, and was still opening its file."""
    world = World()
    world.add("a.jsonl")
    world.add("slow.jsonl", LARGE_BYTES)
    world.server.script("a.jsonl", Fate.THROTTLE_NAMED)

    def script(scene: Scene) -> None:
        def slow_down(event: Event) -> None:
            if isinstance(event, AttemptStarted) and event.path == "a.jsonl":
                scene.reader.read_s = 1.5
                scene.after(1.6, lambda: setattr(scene.reader, "read_s", 0.001))

        scene.hooks.append(slow_down)

    ran = world.run(RunSettings(concurrency=2), script=script)
    check(world, ran)
    assert ran.scene.transport.pauses != []
    assert ran.result is not None
    assert ran.result.status is ExitStatus.DONE


def test_a_cancel_does_not_wait_for_the_list() -> None:
    """A listing that hangs, or a look-up, is given up with the run."""
    for slow_call in ("list_page", "look_up"):
        world = World()
        world.add("a.jsonl")
        world.server.script("a.jsonl", Fate.LOSE_STORED)

        def script(scene: Scene, slow_call: str = slow_call) -> None:
            async def hang(*_: object, **__: object) -> None:
                await scene.clock.sleep(60)

            setattr(scene.transport, slow_call, hang)
            scene.after(10.0, scene.cancel)

        ran = world.run(script=script)
        assert ran.lasted_s < 10.0 + PROMPTLY_S
        assert world.states() == {"a.jsonl": EntryState.IN_DOUBT}


def test_an_abort_records_what_is_known_of_each_request() -> None:
    """A caller that is cancelled leaves a ledger that says of each request in flight what became of it."""
    world = World()
    world.add("complete.jsonl")
    world.add("half.jsonl", LARGE_BYTES)
    world.add("waiting.jsonl")
    world.server.script("complete.jsonl", Fate.HANG_STORED)
    world.server.settings = ServerSettings(bytes_per_s=10_000.0)
    ran = world.run(SETTINGS, script=lambda scene: scene.after(5.0, scene.abort))
    assert ran.result is None
    assert ran.lasted_s < 5.0 + PROMPTLY_S
    assert [world.ledger.attempts(path)[0][0] for path in sorted(world.states())] == [
        "in_doubt",
        "not_sent",
        "not_sent",
    ]


# --- a ledger that fails, at every step


def test_a_disk_that_breaks_ends_the_run_and_not_what_is_in_flight() -> None:
    """Whatever step cannot be recorded: exit 11, no hang, no request dropped, and the next run loses nothing."""
    # The last step records how the run ended: nothing is left to be lost then.
    for step_no in steps()[:-1]:
        world = world_of_run()
        ran = world.run(SETTINGS, mishap=Mishap(step_no=step_no, kills=False))
        check(world, ran)
        assert ran.result is not None
        assert ran.result.status is ExitStatus.LEDGER_UNUSABLE, step_no
        assert ran.result.stop is not None
        assert "disk I/O error" in ran.result.stop.reason
        assert ran.scene.transport.cancelled == [], step_no
        assert world.server.active_count == 0
        finish(world)


def test_a_ledger_that_fails_in_a_drain_is_still_the_verdict() -> None:
    """A broken ledger is worse news than an interruption, whichever came first."""
    world = World()
    world.add("a.jsonl", LARGE_BYTES)
    world.server.settings = ServerSettings(bytes_per_s=10_000.0)
    ran = world.run(script=lambda scene: scene.after(5.0, scene.drain), mishap=Mishap(step_no=8, kills=False))
    assert ran.result is not None
    assert ran.result.status is ExitStatus.LEDGER_UNUSABLE
    assert ran.scene.ledger.failure is not None


def test_a_list_that_cannot_be_judged_for_want_of_a_ledger_drops_no_request() -> None:
    """When the ledger breaks in the middle of a reconciliation, uploads in flight run to their end."""
    for step_no in range(1, 12):
        world = World()
        world.add("lost.jsonl")
        world.add("long.jsonl", LARGE_BYTES)
        world.server.script("lost.jsonl", Fate.LOSE_STORED)
        world.server.settings = ServerSettings(bytes_per_s=30_000.0)
        ran = world.run(mishap=Mishap(step_no=step_no, kills=False))
        assert ran.scene.transport.cancelled == [], step_no


# --- a process that dies, at every step


def test_a_process_that_dies_at_a_step_is_carried_on() -> None:
    """Killed at any step, before or after it reached the disk: the next run does no settled work again, and
    finishes."""
    for step_no in steps():
        world = world_of_run()
        # Dying before a step is dying after the one before it, except for what its group had in common.
        durable = step_no % 3 > 0
        ran = world.run(SETTINGS, mishap=Mishap(step_no=step_no, kills=True, durable=durable))
        assert ran.killed
        check(world, ran)
        finish(world)


def test_a_process_that_dies_again_and_again_is_carried_on() -> None:
    """Killed at each run's next step, the job still comes to its end without a second copy of anything."""
    world = world_of_run()
    for step_no in range(1, 30):
        ran = world.run(SETTINGS, mishap=Mishap(step_no=step_no, kills=True, durable=step_no % 2 == 0))
        check(world, ran)
        world.now += 7
    finish(world)


# --- what breaks in the engine's own process


@pytest.mark.parametrize("event_no", range(1, 30, 3))
def test_a_listener_that_raises_ends_the_run_and_loses_nothing(event_no: int) -> None:
    """A bug in a hook comes out of the run as it is; the ledger stays consistent, and the next run finishes."""
    world = world_of_run()
    heard: list[Event] = []

    def hook(event: Event) -> None:
        heard.append(event)
        if len(heard) == event_no:
            raise KeyError("a bug in a hook")

    with pytest.raises((KeyError, ExceptionGroup)) as caught:
        world.run(SETTINGS, script=lambda scene: scene.hooks.append(hook))
    error: BaseException = caught.value
    while isinstance(error, ExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, KeyError)
    assert world.ledger.complaints() == []
    world.now += 10_000
    finish(world)
