"""What was made ready ahead is sent by few tasks, one entry after another, and nobody waits for the disk."""

from __future__ import annotations

import pytest

from bulk_upload.core.events import AttemptStarted, EntrySettled, Event
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.engine.limits.slots import UNRECORDED_MIN, UNRECORDED_PER_SLOT
from bulk_upload.engine.sending.feeder import BATCH_LARGE_MAX
from bulk_upload.exit_status import ExitStatus
from tests.fakes.fates import Faults
from tests.fakes.world import LARGE_BYTES, Scene, World

SIZES = pytest.mark.parametrize("size", [1000, LARGE_BYTES], ids=["small", "large"])


def _world(count: int, size: int) -> World:
    world = World()
    for number in range(count):
        world.add(f"{number:03d}.jsonl", size)
    return world


@SIZES
@pytest.mark.parametrize("concurrency", [2, 8])
def test_uploads_go_on_while_a_slow_disk_records(size: int, concurrency: int) -> None:
    """As many answers may await the disk as there are places for, and no more."""
    world = _world(100, size)
    unrecorded_max = max(UNRECORDED_MIN, concurrency * UNRECORDED_PER_SLOT)
    started = settled = most = 0

    def hook(event: Event) -> None:
        nonlocal started, settled, most
        started += isinstance(event, AttemptStarted)
        settled += isinstance(event, EntrySettled)
        most = max(most, started - settled)

    def script(scene: Scene) -> None:
        scene.ledger.commit_s = 5.0
        scene.hooks.append(hook)

    ran = world.run(RunSettings(concurrency=concurrency), script=script)
    assert ran.result is not None
    assert ran.result.status is ExitStatus.DONE
    assert ran.scene.violations == []
    assert unrecorded_max <= most <= unrecorded_max + concurrency


def test_a_large_file_that_is_not_what_was_intended_is_intended_anew() -> None:
    """An intent made ahead for another version of the file is marked as not sent; the version that is there is sent."""
    world = _world(1, LARGE_BYTES)
    ran = world.run(script=lambda _: world.files.touch("000.jsonl"))
    assert ran.scene.violations == []
    assert world.states() == {"000.jsonl": EntryState.ACCEPTED}
    assert world.ledger.attempts("000.jsonl") == [("not_sent", None), ("accepted", None)]
    assert len(world.server.stored) == 1


def test_few_large_files_are_intended_ahead() -> None:
    """A run that dies leaves few large files in doubt whose turn had not come."""
    world = _world(100, LARGE_BYTES)

    def script(scene: Scene) -> None:
        def hook(event: Event) -> None:
            if isinstance(event, AttemptStarted) and event.path == "004.jsonl":
                scene.kill()

        scene.hooks.append(hook)

    ran = world.run(RunSettings(concurrency=1), script=script)
    assert ran.killed
    assert 0 < len(world.ledger.open_intents()) <= 3 * BATCH_LARGE_MAX


@SIZES
def test_a_rejection_counts_before_the_next_upload_takes_its_place(size: int) -> None:
    """With one error allowed, nothing starts in the place of the upload that made it the last."""
    world = _world(50, size)
    world.server.faults = Faults(reject=1.0)
    ran = world.run(RunSettings(concurrency=1, errors_max=1))
    assert ran.result is not None
    assert ran.result.status is ExitStatus.UNFINISHED
    assert ran.told.started() == ["000.jsonl"]


@SIZES
def test_entries_begin_in_order_and_end_once(size: int) -> None:
    """Whoever is free takes the next one: attempts follow the manifest, but for the time that files take to be opened."""
    world = _world(150, size)
    ran = world.run(RunSettings(concurrency=7))
    paths = [one.path for one in world.entries]
    places = [paths.index(path) for path in ran.told.started()]
    assert all(abs(place - turn) < 7 for turn, place in enumerate(places))
    assert sorted(one.path for one in ran.told.settled()) == paths
