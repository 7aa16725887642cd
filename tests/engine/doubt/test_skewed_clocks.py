"""Lost answers while our clock and the server's differ: no file that is stored is ever sent again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.exit_status import ExitStatus
from tests.fakes.fates import Fate, Faults
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import PURPOSE, Scene, World

if TYPE_CHECKING:
    from collections.abc import Callable

AHEAD_S = [-86_400.0, -3600.0, -20.0, 0.0, 20.0, 3600.0, 86_400.0]
FILE_COUNT = 30


def a_world(seed: str, *, file_count: int = FILE_COUNT, **settings: Any) -> World:
    """Return a job whose answers are often lost, at a server with many older files, some of which look like ours."""
    world = World(
        seed,
        faults=Faults(lose_stored=0.25, lose_unstored=0.1),
        server=ServerSettings(**{"list_lag_s": 1.5, "page_max": 8, **settings}),
    )
    for number in range(40):
        world.server.add_stranger(
            f"other-{number}.jsonl", size=10, purpose=PURPOSE, stored_at=-200_000.0 + 2500 * number
        )
    for number in range(0, file_count, 10):
        world.server.add_stranger(f"{number}.jsonl", size=1000, purpose=PURPOSE, stored_at=-600.0)
    for number in range(file_count):
        world.add(f"{number}.jsonl", 1000)
    return world


def play(world: World, script: Callable[[Scene], object] | None = None) -> None:
    """Run the job to its end, and demand what must hold then."""
    ran = world.run(script=script)
    demand(world)
    states = Counter(world.states().values())
    assert set(states) <= {EntryState.ACCEPTED, EntryState.IN_DOUBT}
    assert ran.result is not None
    assert (ran.result.status is ExitStatus.DONE) == (states[EntryState.ACCEPTED] == len(world.entries))
    assert ran.scene.violations == []


def demand(world: World) -> None:
    """Demand that no file is there twice, and that each receipt is for its own entry's file."""
    stored = {one.file_id: one for one in world.server.stored}
    copies = Counter(one.filename for one in stored.values() if one.source)
    assert [name for name, count in copies.items() if count > 1] == []
    receipts = world.ledger.receipts()
    wrong = [
        file_id
        for file_id, path in receipts.items()
        if not stored[file_id].source or world.files.path_of(stored[file_id].source) != path
    ]
    assert wrong == []


@pytest.mark.parametrize("answers_created_at", [True, False], ids=["created-at", "no-created-at"])
@pytest.mark.parametrize("has_date", [True, False], ids=["date", "no-date"])
@pytest.mark.parametrize("ahead_s", AHEAD_S)
def test_constant_skew(ahead_s: float, has_date: bool, answers_created_at: bool) -> None:
    """Whatever the skew and whatever the server says of its time, a stored file is found or stays in doubt."""
    world = a_world(
        f"skew {ahead_s}", clock_ahead_s=ahead_s, has_date=has_date, answers_created_at=answers_created_at
    )
    play(world)
    # Every tenth name is at the server already. A listing shows how far the clocks are apart, one way or another.
    assert set(world.states().values()) == {EntryState.ACCEPTED}


JUMPS = [
    pytest.param(
        at_s,
        step_s,
        has_date,
        answers_created_at,
        id=f"{at_s}-{step_s:+.0f}-{'date' if has_date else 'no-date'}"
        f"-{'created' if answers_created_at else 'no-created'}",
        marks=() if at_s == 0.5 or not (has_date or answers_created_at) else pytest.mark.soak,
    )
    for at_s in (0.05, 0.5, 10.0)
    for step_s in AHEAD_S
    if step_s
    for has_date in (True, False)
    for answers_created_at in (True, False)
]
"""By default in the midst of the uploads, and at any time where nothing but our clock tells the time."""


@pytest.mark.parametrize(("at_s", "step_s", "has_date", "answers_created_at"), JUMPS)
def test_a_clock_that_jumps(at_s: float, step_s: float, has_date: bool, answers_created_at: bool) -> None:
    """Our wall clock is set while answers are lost: a stored file is found or stays in doubt."""
    world = a_world(f"step {step_s} {at_s}", has_date=has_date, answers_created_at=answers_created_at)
    play(world, lambda scene: scene.after(at_s, lambda: scene.clock.step(step_s)))


@pytest.mark.parametrize("form", ["seconds", "unix", "unix_ms", "local"])
@pytest.mark.parametrize("has_date", [True, False], ids=["date", "no-date"])
@pytest.mark.parametrize("ahead_s", [-3600.0, 20.0, 32_400.0])
def test_how_times_are_written(ahead_s: float, has_date: bool, form: str) -> None:
    """Whole seconds and Unix times serve as well; a time without a zone rules no file out."""
    world = a_world(f"form {form} {ahead_s}", clock_ahead_s=ahead_s, has_date=has_date, created_form=form)
    play(world)
    in_doubt = {path for path, state in world.states().items() if state is EntryState.IN_DOUBT}
    look_alikes = {f"{number}.jsonl" for number in range(0, FILE_COUNT, 10)}
    assert in_doubt <= (look_alikes if form == "local" else set())


@pytest.mark.parametrize("answers_created_at", [True, False], ids=["created-at", "no-created-at"])
@pytest.mark.parametrize("date_ahead_s", [0.0, 3600.0])
@pytest.mark.parametrize("ahead_s", [one for one in AHEAD_S if one])
def test_a_date_of_another_clock(ahead_s: float, date_ahead_s: float, answers_created_at: bool) -> None:
    """A proxy writes `Date`, and another clock `created_at`: files are judged by the one that made them."""
    world = a_world(
        f"proxy {ahead_s}",
        clock_ahead_s=ahead_s,
        date_ahead_s=date_ahead_s,
        answers_created_at=answers_created_at,
    )
    play(world)


def test_a_date_of_another_clock_before_any_file_is_accepted() -> None:
    """The first answer is lost, and its file seems to be an hour older than the attempt: it is not sent again."""
    world = World(server=ServerSettings(clock_ahead_s=-3600.0, date_ahead_s=0.0))
    world.add("a.jsonl", 1000)
    world.server.script("a.jsonl", Fate.LOSE_STORED)
    world.run()
    demand(world)
    assert world.states() == {"a.jsonl": EntryState.IN_DOUBT}


SET_BETWEEN = [
    pytest.param(
        step_s,
        has_date,
        answers_created_at,
        killed_at_s,
        id=f"{step_s:+.0f}-{'date' if has_date else 'no-date'}"
        f"-{'created' if answers_created_at else 'no-created'}-{killed_at_s}",
        marks=() if killed_at_s == 0.4 or not (has_date or answers_created_at) else pytest.mark.soak,
    )
    for step_s in AHEAD_S
    for has_date in (True, False)
    for answers_created_at in (True, False)
    for killed_at_s in (0.05, 0.4, 6.0)
]


@pytest.mark.parametrize(("step_s", "has_date", "answers_created_at", "killed_at_s"), SET_BETWEEN)
def test_a_clock_that_is_set_between_two_runs(
    step_s: float, has_date: bool, answers_created_at: bool, killed_at_s: float
) -> None:
    """A run is killed, our clock is set, and the next one goes on: nothing is there twice, and no receipt is wrong.

    The list lags nearly as long as the settle time: a run that takes the clock's word for how long ago the kill was
    would conclude absence too early.
    """
    world = a_world(
        f"between {step_s} {killed_at_s}",
        has_date=has_date,
        answers_created_at=answers_created_at,
        list_lag_s=25.0,
        clock_ahead_s=7.0,
    )
    ran = world.run(script=lambda scene: scene.after(killed_at_s, scene.kill))
    assert ran.killed
    world.clock_ahead_s += step_s
    play(world)


@pytest.mark.parametrize("step_s", [one for one in AHEAD_S if one])
def test_a_clock_that_was_set_shortly_before_a_kill(step_s: float) -> None:
    """The next run knows of no step; each attempt has the offset of its own time."""
    world = a_world(f"set and killed {step_s}", list_lag_s=25.0)

    def script(scene: Scene) -> None:
        scene.after(0.4, lambda: scene.clock.step(step_s))
        scene.after(0.5, scene.kill)

    assert world.run(script=script).killed
    world.clock_ahead_s += step_s
    play(world)


@pytest.mark.parametrize("step_s", [-3600.0, -20.0, 20.0])
def test_a_settle_time_of_a_run_whose_clock_was_set(step_s: float) -> None:
    """Our clock is set while an answer is awaited, and the run is killed: the next one waits long enough for the list."""
    world = World(server=ServerSettings(latency_s=(0.1, 0.1)))
    world.add("a.jsonl", 1000)
    world.add("b.jsonl", 1000)
    world.server.script("b.jsonl", Fate.HANG_STORED)

    def script(scene: Scene) -> None:
        scene.after(4.0, lambda: scene.clock.step(step_s))
        scene.after(12.0, scene.kill)

    assert world.run(script=script).killed
    for one in world.server.stored:
        one.listed_at += 29.0
    world.clock_ahead_s += step_s
    # Its answer shows the server's time.
    world.add("c.jsonl", 1000)
    play(world)
    assert len(world.server.stored) == 3


@pytest.mark.parametrize("step_s", [-3600.0, -20.0])
def test_an_attempt_during_which_our_clock_was_set_back_is_found(step_s: float) -> None:
    """The file is of the attempt's time by the clock as it was when the request began."""
    world = World(server=ServerSettings(latency_s=(0.1, 0.1)))
    for name in ("a.jsonl", "b.jsonl"):
        world.add(name, 1000)
    world.server.script("b.jsonl", Fate.HANG_STORED)
    play(world, lambda scene: scene.after(4.0, lambda: scene.clock.step(step_s)))
    assert set(world.states().values()) == {EntryState.ACCEPTED}


def test_an_attempt_of_a_killed_run_is_found_by_its_own_offset() -> None:
    """Our clock is set a day ahead in between: what the dead run stored is adopted all the same."""
    world = World(server=ServerSettings(clock_ahead_s=-3600.0))
    world.add("a.jsonl", 1000)
    world.add("b.jsonl", 1000)
    world.server.script("b.jsonl", Fate.HANG_STORED)

    def script(scene: Scene) -> None:
        scene.after(5.0, scene.kill)

    assert world.run(RunSettings(concurrency=1), script=script).killed
    world.clock_ahead_s = 86_400.0
    play(world)
    assert set(world.states().values()) == {EntryState.ACCEPTED}


@pytest.mark.parametrize("ahead_s", AHEAD_S)
def test_the_first_answer_is_lost_and_nothing_tells_the_time(ahead_s: float) -> None:
    """Before the server said its time, a file that agrees is adopted if its time fits, and else left to a person."""
    world = World(server=ServerSettings(clock_ahead_s=ahead_s, has_date=False))
    world.add("a.jsonl", 1000)
    world.server.script("a.jsonl", Fate.LOSE_STORED)
    ran = world.run()
    assert len(world.server.stored) == 1
    assert ran.result is not None
    fits = 0.0 <= ahead_s <= 60.0
    assert ran.result.status is (ExitStatus.DONE if fits else ExitStatus.IN_DOUBT)


def test_an_unknown_offset_reads_the_list_to_its_end() -> None:
    """Absence is concluded from a whole list only, however old its first pages seem to be."""
    world = World(server=ServerSettings(clock_ahead_s=-3600.0, has_date=False, page_max=10))
    for number in range(100):
        world.server.add_stranger(
            f"other-{number}.jsonl", size=10, purpose=PURPOSE, stored_at=number - 1000.0
        )
    world.add("a.jsonl", 1000)
    world.server.script("a.jsonl", Fate.LOSE_UNSTORED)
    ran = world.run()
    assert ran.result is not None
    assert ran.result.status is ExitStatus.DONE
    assert world.server.list_count > 10
