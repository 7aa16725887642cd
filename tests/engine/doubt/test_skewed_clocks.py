"""Lost answers while our clock and the server's differ: no file that is stored is ever sent again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from bulk_upload.core.model import EntryState
from bulk_upload.exit_status import ExitStatus
from tests.fakes.server import Fate, Faults, ServerSettings
from tests.fakes.world import PURPOSE, Scene, World

if TYPE_CHECKING:
    from collections.abc import Callable

AHEAD_S = [-86_400.0, -3600.0, -20.0, 0.0, 20.0, 3600.0, 86_400.0]
FILE_COUNT = 40


def a_world(seed: str, *, ahead_s: float, has_date: bool, answers_created_at: bool) -> World:
    """Return a job whose answers are often lost, at a server with many older files."""
    world = World(
        seed,
        faults=Faults(lose_stored=0.25, lose_unstored=0.1),
        server=ServerSettings(
            clock_ahead_s=ahead_s,
            has_date=has_date,
            answers_created_at=answers_created_at,
            list_lag_s=1.5,
            page_max=20,
        ),
    )
    for number in range(100):
        world.server.add_stranger(
            f"other-{number}.jsonl", size=10, purpose=PURPOSE, stored_at=-200_000.0 + 1000 * number
        )
    for number in range(FILE_COUNT):
        world.add(f"{number}.jsonl", 1000)
    return world


def play(world: World, script: Callable[[Scene], object] | None = None) -> None:
    """Run the job and demand that no file is there twice, and that what is unclear is said."""
    ran = world.run(script=script)
    stored = Counter(one.filename for one in world.server.stored if one.source)
    assert [name for name, count in stored.items() if count > 1] == []
    states = Counter(world.states().values())
    assert set(states) <= {EntryState.ACCEPTED, EntryState.IN_DOUBT}
    assert ran.result is not None
    assert (ran.result.status is ExitStatus.DONE) == (states[EntryState.ACCEPTED] == FILE_COUNT)
    assert ran.scene.violations == []


@pytest.mark.parametrize("answers_created_at", [True, False], ids=["created-at", "no-created-at"])
@pytest.mark.parametrize("has_date", [True, False], ids=["date", "no-date"])
@pytest.mark.parametrize("ahead_s", AHEAD_S)
def test_constant_skew(ahead_s: float, has_date: bool, answers_created_at: bool) -> None:
    """Whatever the skew and whatever the server says of its time, a stored file is found or stays in doubt."""
    world = a_world(
        f"skew {ahead_s}", ahead_s=ahead_s, has_date=has_date, answers_created_at=answers_created_at
    )
    play(world)
    if has_date or answers_created_at or ahead_s == 0.0:
        assert set(world.states().values()) == {EntryState.ACCEPTED}


@pytest.mark.parametrize("answers_created_at", [True, False], ids=["created-at", "no-created-at"])
@pytest.mark.parametrize("has_date", [True, False], ids=["date", "no-date"])
@pytest.mark.parametrize("step_s", [one for one in AHEAD_S if one])
@pytest.mark.parametrize("at_s", [0.05, 0.5, 10.0])
def test_a_clock_that_jumps(at_s: float, step_s: float, has_date: bool, answers_created_at: bool) -> None:
    """Our wall clock is set while answers are lost: a stored file is found or stays in doubt."""
    world = a_world(
        f"step {step_s} {at_s}", ahead_s=0.0, has_date=has_date, answers_created_at=answers_created_at
    )
    play(world, lambda scene: scene.after(at_s, lambda: scene.clock.step(step_s)))


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
