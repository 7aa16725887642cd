from __future__ import annotations

import gc
import warnings
from typing import Any

import pytest

from bulk_upload.core.events import AttemptStarted, EntrySettled, Event
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.retry import RetryPolicy
from bulk_upload.core.run.sender import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.engine.sending.feeder import Feeder
from bulk_upload.exit_status import ExitStatus
from tests.fakes.fates import Fate, Faults
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import LARGE_BYTES, Ran, Scene, World


def _world(count: int, size: int = 1000) -> World:
    world = World()
    for number in range(count):
        world.add(f"{number:04d}.jsonl", size)
    return world


def _watch_counts(scene: Scene, seen: list[tuple[int, int]], *, every_s: float = 0.02) -> None:
    """Note how many entries are active and how many live, again and again."""
    occupancy = scene.run._occupancy
    seen.append((occupancy.active_count, occupancy.live_count))
    scene.after(every_s, lambda: _watch_counts(scene, seen, every_s=every_s))


def _drain_when(scene: Scene, path: str) -> None:
    """Drain when the attempt for a path starts."""

    def hook(event: Event) -> None:
        if isinstance(event, AttemptStarted) and event.path == path:
            scene.after(0.001, scene.drain)

    scene.hooks.append(hook)


def _all_accepted(ran: Ran) -> bool:
    assert ran.scene.violations == []
    return ran.result is not None and ran.result.status is ExitStatus.DONE


@pytest.mark.parametrize("size", [1000, LARGE_BYTES], ids=["small", "large"])
def test_no_more_entries_are_active_than_may_be_in_flight(size: int) -> None:
    """Tasks are made as slots come free: a plan of any length needs the memory of a few entries."""
    seen: list[tuple[int, int]] = []
    ran = _world(100, size).run(RunSettings(concurrency=3), script=lambda scene: _watch_counts(scene, seen))
    assert _all_accepted(ran)
    assert max(seen) == (3, 3)


def test_parked_entries_are_limited() -> None:
    """While as many entries wait without a slot as `parked_max` allows, no new one starts."""
    world = _world(300)
    world.server.faults = Faults(refuse=1.0)
    seen: list[tuple[int, int]] = []

    def script(scene: Scene) -> None:
        _watch_counts(scene, seen, every_s=0.5)
        scene.after(30, world.server.heal)

    slow = RetryPolicy(attempts_max=100, backoff_s_initial=60.0, backoff_s_max=60.0)
    settings = RunSettings(concurrency=4, parked_max=270, retry_policy=slow)
    ran = world.run(settings, script=script)
    assert _all_accepted(ran)
    assert 265 < max(live for _, live in seen) <= 270 + 4


def test_small_files_are_read_in_batches() -> None:
    """One hop to the disk reads a whole batch of small files."""
    ran = _world(150).run()
    assert _all_accepted(ran)
    assert [len(batch) for batch in ran.scene.reader.loads] == [64, 64, 22]
    assert ran.scene.reader.opened == []


def test_a_batch_is_limited_in_bytes() -> None:
    """What is read ahead fits in a few megabytes, however many files that is."""
    size = 250 * 1024
    ran = _world(80, size).run()
    assert _all_accepted(ran)
    first, *rest = ran.scene.reader.loads
    assert len(first) == BATCH_BYTES_MAX // size < BATCH_ENTRIES_MAX
    assert sum(len(batch) for batch in [first, *rest]) == 80


def test_entries_start_in_the_order_of_the_manifest() -> None:
    """The plan's order is the order of the attempts."""
    ran = _world(150).run(RunSettings(concurrency=1))
    assert ran.told.started() == [one.path for one in ran.scene.world.entries]


def test_intents_made_ahead_are_marked_as_not_sent_by_a_drain() -> None:
    """What was read ahead and never begun is recorded as not sent, and the entries stay pending."""
    world = _world(200)
    ran = world.run(RunSettings(concurrency=2), script=lambda scene: _drain_when(scene, "0002.jsonl"))
    assert ran.result is not None
    assert ran.result.status is ExitStatus.INTERRUPTED
    assert world.ledger.open_intents() == set()
    untouched = set(world.states()) - set(ran.told.started())
    assert len(untouched) > 190
    assert {world.states()[path] for path in untouched} == {EntryState.PENDING}
    assert world.ledger.attempts("0050.jsonl") == [("not_sent", None)]
    assert world.ledger.attempts("0199.jsonl") == []


def test_look_alikes_are_not_intended_together() -> None:
    """Of entries that look alike only one is read ahead at a time, and only one is ever in flight."""
    world = World()
    for number in range(10):
        world.add(f"{number}/data.jsonl", 500)
    open_counts: list[int] = []
    ran = world.run(
        script=lambda scene: scene.hooks.append(
            lambda event: open_counts.append(world.ledger.open_intent_count())
        )
    )
    assert _all_accepted(ran)
    assert len(ran.scene.reader.loads[0]) == 1
    assert max(open_counts) == 1


def test_a_file_that_changed_its_size_is_not_intended_ahead() -> None:
    """A small file found with another size when it is read ahead is looked at anew when it is sent."""
    world = _world(3)
    ran = world.run(script=lambda _: world.files.write_size("0001.jsonl", 2000))
    assert _all_accepted(ran)
    assert [one.size for one in world.server.stored if one.filename == "0001.jsonl"] == [2000]
    assert world.ledger.attempts("0001.jsonl") == [("accepted", None)]


def test_a_drain_wakes_who_waits_for_a_look_alike_that_is_given_back() -> None:
    """An entry that waits for one read ahead after it does not wait for ever when that one never starts."""
    world = World()
    world.add("a/data.jsonl", 500)
    world.run()
    world.files.write_size("a/data.jsonl", 500)
    world.add("between.jsonl", 700)
    world.add("b/data.jsonl", 500)
    ran = world.run(RunSettings(concurrency=1), script=lambda scene: _drain_when(scene, "between.jsonl"))
    assert ran.result is not None
    assert ran.result.status is ExitStatus.INTERRUPTED
    assert ran.told.endings() == {"between.jsonl": EntryState.ACCEPTED, "a/data.jsonl": EntryState.PENDING}
    assert [one.reason for one in ran.told.settled() if one.path == "a/data.jsonl"] == [
        "not sent: the run was draining"
    ]


@pytest.mark.parametrize("parked_max", [1, 64, 1000])
def test_look_alikes_read_ahead_out_of_order_do_not_lock_each_other_out(parked_max: int) -> None:
    """Entries parked for a look-alike that has not started yet leave it room to start, however few may park."""
    world = World()
    for number in range(40):
        world.add(f"{number}/data.jsonl", 500)
    world.run()
    for number in range(40):
        world.files.write_size(f"{number}/data.jsonl", 500)
    for number in range(5):
        world.add(f"new{number}/data.jsonl", 500)
    ran = world.run(RunSettings(concurrency=2, parked_max=parked_max))
    assert _all_accepted(ran)


def test_an_unreadable_file_read_ahead_fails_alone() -> None:
    """One file of a batch that cannot be read is settled as failed; its neighbours go on."""
    world = _world(5)
    world.files.deny("0003.jsonl")
    ran = world.run()
    assert ran.scene.violations == []
    assert [one.path for one in ran.told.settled() if one.state is EntryState.FAILED_LOCAL] == ["0003.jsonl"]
    assert sum(isinstance(event, EntrySettled) for _, event in ran.told.events) == 5
    assert world.ledger.attempts("0003.jsonl") == []


def test_a_batch_that_is_being_read_is_dropped_by_a_cancel() -> None:
    """A disk that hangs while files are read ahead does not hold up a run that was told to stop."""
    world = _world(5)

    def script(scene: Scene) -> None:
        scene.reader.read_s = 1000.0
        scene.after(1.0, scene.cancel)

    ran = world.run(script=script)
    assert ran.lasted_s < 1.5
    assert set(world.states().values()) == {EntryState.PENDING}


def test_a_throttled_run_reads_no_further_ahead() -> None:
    """While nothing may start, one batch at most is waiting beyond the one that is being started."""
    world = _world(250)
    world.server.script("0000.jsonl", Fate.THROTTLE_NAMED)
    world.server.settings = ServerSettings(named_wait_s=(60, 60))
    loads: list[int] = []

    def script(scene: Scene) -> None:
        scene.after(30, lambda: loads.append(len(scene.reader.loads)))

    assert _all_accepted(world.run(RunSettings(concurrency=1), script=script))
    assert loads == [2]


def test_a_run_that_ends_before_its_first_batch_leaves_no_stream_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The task that makes entries ready may be ended before its first step: then it closes nothing itself."""
    prepare = Feeder._prepare

    def script(scene: Scene) -> None:
        def ends_at_once(feeder: Feeder, *args: Any) -> Any:
            scene.loop.kill()
            return prepare(feeder, *args)

        monkeypatch.setattr(Feeder, "_prepare", ends_at_once)

    assert _world(3).run(script=script).killed
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(one.message) for one in told] == []
