"""Two jobs with ledgers of their own on one account: neither takes the other's files for its own."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import InDoubtPolicy, RunSettings
from tests.fakes.fates import Fate, Faults
from tests.fakes.server_settings import ServerSettings
from tests.fakes.virtual_time import run_virtually
from tests.fakes.world import Scene, World

if TYPE_CHECKING:
    from tests.fakes.virtual_time import VirtualLoop

LOST = Faults(lose_stored=0.1, lose_unstored=0.08, fail_stored=0.06, fail_unstored=0.06)
"""Three answers in ten."""

FILE_COUNT = 40
SOAK_SEEDS = range(100, 150)


class Pair:
    """Two jobs of the same entries, which send to one server at the same time.

    Args:
        seed: of all chances.
        identical: whether both have the same bytes, else only the same sizes.
        apart_s: how much later the second one begins.
    """

    def __init__(
        self,
        seed: int,
        *,
        identical: bool,
        apart_s: float = 0.0,
        file_count: int = FILE_COUNT,
        faults: Faults = LOST,
        server: ServerSettings | None = None,
    ) -> None:
        self.worlds = [World(f"{seed} {name}", faults=faults, server=server) for name in "ab"]
        self.apart_s = apart_s
        first, second = self.worlds
        # One server, and inodes of which each names one version of one job.
        self.server = second.server = first.server
        second.files._write_count = 1_000_000
        self.server.content_of = lambda inode: self._owner(inode).files.content_of(inode)
        for world, name in zip(self.worlds, "ab", strict=True):
            for number in range(file_count):
                path = f"{number:02}.jsonl"
                whose = "both" if identical else name
                content = f"{path} of {whose}\n".ljust(200, ".").encode()
                world.add(path, 1)
                world.files.write(path, content)

    def run(
        self, settings: RunSettings | None = None, *, step_s: float = 0.0, step_at_s: float = 0.0
    ) -> list[Scene]:
        """Run both at once; the first one's wall clock is set by `step_s` in between."""

        async def main(loop: VirtualLoop) -> list[Scene]:
            scenes = [
                Scene(
                    world,
                    loop,
                    settings=settings or RunSettings(),
                    profile=FLOW,
                    controller=None,
                    mishap=None,
                    validator=None,
                )
                for world in self.worlds
            ]

            scenes[0].after(step_at_s, lambda: scenes[0].clock.step(step_s))

            async def play(scene: Scene, after_s: float) -> None:
                await asyncio.sleep(after_s)
                await scene.play()

            async with asyncio.TaskGroup() as running:
                for scene, after_s in zip(scenes, (0.0, self.apart_s), strict=True):
                    running.create_task(play(scene, after_s))
            return scenes

        scenes = run_virtually(main, starts_at=max(one.now for one in self.worlds), lasts_s_max=5000.0)
        for world in self.worlds:
            world.now = scenes[0].loop.time()
        return scenes

    def wrong_receipts(self) -> list[str]:
        """Return the receipts for files that the entry did not send."""
        stored = {one.file_id: one.source for one in self.server.stored}
        return [
            f"{path} has {file_id}"
            for world in self.worlds
            for file_id, path in world.ledger.receipts().items()
            if self._owner(stored[file_id]) is not world or world.files.path_of(stored[file_id]) != path
        ]

    def doubles(self) -> list[str]:
        """Return the paths of which the server has more than one copy of a job."""
        sources = [one.source for one in self.server.stored]
        return [self._owner(one).files.path_of(one) for one in set(sources) if sources.count(one) > 1]

    def in_doubt(self) -> dict[str, str]:
        """Return the paths that stay in doubt, of both, and why."""
        return {
            f"{number} {path}": world.ledger.reason(path) or ""
            for number, world in enumerate(self.worlds)
            for path, state in world.states().items()
            if state is EntryState.IN_DOUBT
        }

    def _owner(self, inode: int) -> World:
        return self.worlds[inode > 1_000_000]


def _pair(seed: int, *, identical: bool) -> Pair:
    chance = random.Random(f"pair {seed}")
    server = ServerSettings(
        list_lag_s=chance.choice([0.0, 0.0, 3.0]), clock_ahead_s=chance.choice([0.0, 90.0])
    )
    return Pair(seed, identical=identical, apart_s=chance.choice([0.0, 0.05, 0.5, 2.0, 5.0]), server=server)


def _no_wrong_receipt(seed: int, *, identical: bool) -> Pair:
    pair = _pair(seed, identical=identical)
    pair.run()
    assert pair.wrong_receipts() == []
    assert pair.doubles() == []
    return pair


@pytest.mark.parametrize("seed", range(4))
def test_look_alikes_of_other_bytes_are_told_apart(seed: int) -> None:
    """Two jobs with the same names, sizes and purposes: each receipt is for its own file, and none is left in doubt."""
    pair = _no_wrong_receipt(seed, identical=False)
    assert pair.in_doubt() == {}


@pytest.mark.parametrize("seed", range(4))
def test_look_alikes_of_the_same_bytes_are_left_in_doubt(seed: int) -> None:
    """Nobody can tell whose file it is: what an answer did not say stays in doubt, with that reason."""
    pair = _no_wrong_receipt(seed, identical=True)
    assert pair.in_doubt()
    assert all("another job" in reason for reason in pair.in_doubt().values())


@pytest.mark.parametrize("step_s", [-3600.0, -20.0, 20.0, 3600.0])
@pytest.mark.parametrize("identical", [False, True], ids=["other-bytes", "same-bytes"])
@pytest.mark.parametrize("returns_content", [True, False], ids=["content", "no-content"])
def test_a_clock_that_is_set_makes_no_others_file_ours(
    returns_content: bool, identical: bool, step_s: float
) -> None:
    """Whose file it is does not depend on our clock."""
    server = ServerSettings(returns_content=returns_content)
    for seed in range(2):
        pair = Pair(seed, identical=identical, apart_s=0.5 * seed, file_count=20, server=server)
        pair.run(step_s=step_s, step_at_s=0.3)
        assert pair.wrong_receipts() == []
        assert pair.doubles() == []


@pytest.mark.soak
@pytest.mark.parametrize("identical", [False, True])
def test_two_ledgers_take_nothing_from_each_other(identical: bool) -> None:
    """Fifty pairs of runs with three answers in ten lost: no receipt is for another's file, and nothing is sent twice."""
    for seed in SOAK_SEEDS:
        _no_wrong_receipt(seed, identical=identical)


def test_a_copy_of_another_job_is_noticed_before_ours_would_be_found() -> None:
    """Ours was not stored, and the only match is another job's: its copies of other files give it away."""
    pair = Pair(0, identical=True, faults=Faults(), file_count=6)
    pair.server.script("00.jsonl", Fate.FAIL_UNSTORED)
    pair.run()
    assert pair.wrong_receipts() == []
    (reason,) = pair.in_doubt().values()
    assert "another job seems to send the same files at the same time" in reason


def test_a_job_that_ended_before_leaves_no_doubt() -> None:
    """The same files were sent with another ledger an hour ago: what is lost now is found all the same."""
    pair = Pair(3, identical=True)
    first, second = pair.worlds
    pair.server.faults = Faults()
    first.run()
    pair.server.faults = LOST
    second.now = first.now + 3600.0
    second.run()
    assert pair.in_doubt() == {}
    assert pair.wrong_receipts() == []
    assert pair.doubles() == []


def test_a_resumed_job_does_not_adopt_what_the_other_sent_meanwhile() -> None:
    """A run dies with its file not stored; by the next run a colleague has sent the same name, size and bytes."""
    for identical in (True, False):
        pair = Pair(1, identical=identical, faults=Faults(), file_count=2)
        first, second = pair.worlds
        pair.server.script("00.jsonl", Fate.LOSE_UNSTORED)
        first.run(RunSettings(in_doubt=InDoubtPolicy.HOLD))
        assert first.states()["00.jsonl"] is EntryState.IN_DOUBT
        second.now = first.now + 20.0
        second.run()
        first.now = second.now
        first.run()
        assert pair.wrong_receipts() == []
        assert pair.doubles() == []
