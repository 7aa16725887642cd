from __future__ import annotations

import errno

import pytest

from bulk_upload.core.events import AttemptEnded, AttemptStarted, Event
from bulk_upload.core.model import EntryState, ReceiptOrigin, Unavailable
from bulk_upload.core.run.patience import UNREADABLE_S
from bulk_upload.core.run.retry import RetryPolicy
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.engine.sending.entry_task import FILE_CHANGES_MAX
from bulk_upload.exit_status import ExitStatus
from tests.engine.sending.one_entry import STALE, ended, outcomes, starts, world_of
from tests.fakes.fates import Fate, Faults
from tests.fakes.world import LARGE_BYTES, Scene, World

# --- attempts and retries


def test_an_accepted_file_ends_with_its_receipt() -> None:
    """The receipt that is told is the one the ledger holds."""
    ran = world_of().run()
    (ending,) = ran.told.settled()
    assert ending.receipt is not None
    assert ending.receipt.file_id == ran.scene.world.ledger.current_receipts()["a.jsonl"]
    assert (ending.receipt.obtained, ending.receipt.size_confirmed) == (ReceiptOrigin.ANSWERED, True)


def test_attempts_that_fail_are_made_again_until_they_are_used_up() -> None:
    """An entry that used up its attempts stays pending with its last reason, and the next run goes on with it."""
    world = world_of(*[Fate.FAIL_EARLY] * 3, size=LARGE_BYTES)
    ran = world.run(RunSettings(retry_policy=RetryPolicy(attempts_max=3)))
    assert ended(ran) == (EntryState.PENDING, "HTTP 500: {} (after 3 attempts)")
    assert ran.result is not None
    assert (ran.result.status, ran.result.stop) == (ExitStatus.UNFINISHED, None)
    assert outcomes(ran) == ["Unavailable"] * 3
    assert ended(world.run()) == (EntryState.ACCEPTED, None)


def test_throttling_uses_no_attempt() -> None:
    """However often the server asks to wait, an entry has all its attempts left."""
    ran = world_of(*[Fate.THROTTLE_NAMED, Fate.BUSY_NAMED] * 5).run(
        RunSettings(retry_policy=RetryPolicy(attempts_max=1))
    )
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert len(starts(ran)) == 11


def test_a_success_without_an_id_uses_up_attempts() -> None:
    """A server that answers every upload with a success that is an error is not taken for one that is down."""
    world = world_of(*[Fate.SUCCESS_ERROR] * 20)
    ran = world.run()
    state, reason = ended(ran)
    assert state is EntryState.PENDING
    assert "invalid file (after 6 attempts)" in str(reason)
    assert len(starts(ran)) == 6


def test_retries_wait_as_the_policy_says() -> None:
    """Between attempts lies at least the policy's wait, which the event of the failed attempt announces."""
    # A given number: one that finds itself takes four failures in a row for an outage and asks when it thinks fit.
    ran = world_of(*[Fate.REFUSE] * 4).run(RunSettings(concurrency=8))
    ends = [
        (at - ran.began_at, one.retry_in_s)
        for at, one in ran.told.events
        if isinstance(one, AttemptEnded) and isinstance(one.outcome, Unavailable)
    ]
    for (ended_at, wait_s), started_at in zip(ends, starts(ran)[1:], strict=True):
        assert wait_s is not None
        assert started_at >= ended_at + wait_s
        assert started_at < ended_at + wait_s + 0.01


def test_an_empty_retry_budget_slows_retries_and_ends_nothing() -> None:
    """Once retries outnumber successes by far, each waits at least five seconds; all is accepted in the end."""
    world = World(faults=Faults(refuse=1.0))
    for number in range(8):
        world.add(f"{number}.jsonl")

    def script(scene: Scene) -> None:
        scene.after(120, world.server.heal)

    # A given number of uploads: one that finds itself would stop them all and ask with one.
    settings = RunSettings(retry_policy=RetryPolicy(attempts_max=1000), concurrency=8)
    ran = world.run(settings, script=script)
    assert ran.result is not None
    assert ran.result.status is ExitStatus.DONE
    waits = [one.retry_in_s for _, one in ran.told.events if isinstance(one, AttemptEnded)]
    slowed = [one for one in waits[30:] if one is not None]
    assert slowed
    assert min(slowed) >= 5.0
    assert min(one for one in waits[:20] if one is not None) < 5.0


def test_a_rejected_file_is_settled() -> None:
    """A 4xx about the file ends it; running again leaves it alone."""
    world = world_of(Fate.REJECT)
    ran = world.run()
    assert ended(ran) == (EntryState.REJECTED, "HTTP 400: {}")
    assert [one.http_status for one in ran.told.settled()] == [400]
    assert world.run().told.settled() == []


def test_an_id_that_another_entry_has_is_not_believed() -> None:
    """Where the server answers with somebody else's id, its own file is found in the list."""
    world = World()
    world.add("b.jsonl", 500)
    world.run()
    world.now += 100
    world.add("a.jsonl")
    world.server.script("a.jsonl", Fate.OTHER_ID)
    assert ended(world.run()) == (EntryState.ACCEPTED, None)
    assert set(world.ledger.receipts().values()) == {"a.jsonl", "b.jsonl"}


# --- files that change


def test_a_file_that_was_resized_is_sent_as_it_is_now() -> None:
    """A file that has another size than planned is sent with that size, in one attempt."""
    world = world_of(size=LARGE_BYTES)
    ran = world.run(script=lambda _: world.files.write_size("a.jsonl", LARGE_BYTES + 5))
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert [one.size for one in world.server.stored] == [LARGE_BYTES + 5]
    assert len(starts(ran)) == 1


@pytest.mark.parametrize("size", [900, LARGE_BYTES], ids=["small", "large"])
def test_a_file_that_became_a_twin_waits_for_it(size: int) -> None:
    """A file resized to the size of a namesake in flight is held back until that one has its answer."""
    world = World()
    world.add("x/data.jsonl", size)
    world.add("y/data.jsonl", LARGE_BYTES + 1)
    ran = world.run(script=lambda _: world.files.write_size("y/data.jsonl", size))
    assert ended(ran, "y/data.jsonl") == (EntryState.ACCEPTED, None)
    assert [one.size for one in world.server.stored] == [size, size]


def test_a_file_that_never_stops_growing_is_given_up() -> None:
    """A file found larger at every look fails with a reason, instead of being looked at for ever."""
    world = world_of(size=LARGE_BYTES)

    def grow(scene: Scene) -> None:
        file = world.files.find("a.jsonl")
        assert file is not None
        world.files.write_size("a.jsonl", len(file.content) + 1)
        scene.after(0.0004, lambda: grow(scene))

    ran = world.run(script=grow, lasts_s_max=100.0)
    assert ended(ran) == (EntryState.FAILED_LOCAL, "the file keeps changing its size")
    # Once more than it may change its size: its first intent was recorded ahead, for the size it was planned with.
    assert len(ran.scene.reader.opened) == 1 + FILE_CHANGES_MAX + 1


def test_a_file_that_changes_while_it_is_sent_fails() -> None:
    """A file that moved under the upload is named, and nothing of it is at the server."""
    world = world_of(size=LARGE_BYTES)
    ran = world.run(script=lambda scene: scene.after(0.2, lambda: world.files.touch("a.jsonl")))
    assert ended(ran) == (EntryState.FAILED_LOCAL, "the file changed while it was sent")
    assert world.server.stored == []


@pytest.mark.parametrize(
    ("size", "attempts"), [(1000, []), (LARGE_BYTES, [("not_sent", None)])], ids=["small", "large"]
)
def test_a_file_that_cannot_be_opened_fails_before_any_attempt(
    size: int, attempts: list[tuple[str, str | None]]
) -> None:
    """A file that is gone when its turn comes is settled as failed; no attempt is told or left open.

    The intent of a large one was recorded ahead, and is marked as not sent.
    """
    world = world_of(size=size)
    ran = world.run(script=lambda _: world.files.remove("a.jsonl"))
    assert ended(ran) == (
        EntryState.FAILED_LOCAL,
        "cannot read the file: No such file or directory",
    )
    assert starts(ran) == []
    assert world.ledger.attempts("a.jsonl") == attempts


@pytest.mark.parametrize("size", [1000, LARGE_BYTES], ids=["small", "large"])
def test_a_machine_short_of_descriptors_waits_and_tries_again(size: int) -> None:
    """Local limits use no attempt and settle nothing: the file is sent once there is room."""
    world = world_of(size=size)

    def script(scene: Scene) -> None:
        world.files.deny("a.jsonl", errno.EMFILE)
        scene.after(20, lambda: world.files.deny("a.jsonl", 0))

    ran = world.run(RunSettings(retry_policy=RetryPolicy(attempts_max=1)), script=script)
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert 20 < starts(ran)[0] < 22


# --- file systems that fail


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ENOTCONN])
@pytest.mark.parametrize("size", [1000, LARGE_BYTES], ids=["small", "large"])
def test_a_file_system_that_fails_for_a_moment_settles_nothing(size: int, number: int) -> None:
    """The file is opened again after a wait, and sent once it can be read."""
    world = world_of(size=size)

    def script(scene: Scene) -> None:
        world.files.deny("a.jsonl", number)
        scene.after(0.4, lambda: world.files.deny("a.jsonl", 0))

    ran = world.run(script=script)
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert len(starts(ran)) == 1
    assert 0.4 < starts(ran)[0] < 2


@pytest.mark.parametrize("size", [1000, LARGE_BYTES], ids=["small", "large"])
def test_a_file_system_that_stays_away_leaves_the_entry_to_the_next_run(size: int) -> None:
    """After so many tries the entry is pending with the reason in the ledger, and the same command sends it."""
    world = world_of(size=size)
    ran = world.run(script=lambda _: world.files.deny("a.jsonl", errno.ESTALE))
    reason = f"{STALE} (after 6 attempts)"
    assert ended(ran) == (EntryState.PENDING, reason)
    assert (starts(ran), world.ledger.reason("a.jsonl")) == ([], reason)
    assert ran.result is not None
    assert ran.result.status is ExitStatus.UNFINISHED
    assert 2 < ran.lasted_s < 30
    world.files.deny("a.jsonl", 0)
    assert ended(world.run()) == (EntryState.ACCEPTED, None)


def test_a_read_that_fails_in_the_middle_of_a_body_is_made_again() -> None:
    """The body stays incomplete, which proves that the server has no file; the next attempt starts anew."""
    world = world_of(size=LARGE_BYTES)
    denied: list[bool] = []

    def script(scene: Scene) -> None:
        def deny(event: Event) -> None:
            if isinstance(event, AttemptStarted) and not denied:
                denied.append(True)
                world.files.deny("a.jsonl", errno.EIO)
                scene.after(0.3, lambda: world.files.deny("a.jsonl", 0))

        scene.hooks.append(deny)

    ran = world.run(script=script)
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert outcomes(ran) == ["NotSent", "Accepted"]
    assert starts(ran)[1] - starts(ran)[0] >= 0.5
    assert len(world.server.stored) == 1


def test_a_file_system_that_fails_counts_as_nobodys_failure() -> None:
    """--max-errors is about entries: files on a mount that is away do not stop the others."""
    world = World()
    for number in range(10):
        world.add(f"{number}.jsonl")
    away = [f"{number}.jsonl" for number in range(8)]

    def script(_: Scene) -> None:
        for path in away:
            world.files.deny(path, errno.EIO)

    ran = world.run(RunSettings(errors_max=1), script=script)
    assert ran.result is not None
    assert (ran.result.stop, ran.result.status) == (None, ExitStatus.UNFINISHED)
    states = world.states()
    assert {states[path] for path in away} == {EntryState.PENDING}
    assert states["8.jsonl"] is states["9.jsonl"] is EntryState.ACCEPTED


def test_a_mount_that_is_gone_for_good_ends_the_run() -> None:
    """However many tries are allowed, a run that can read nothing ends, and says why; the ledger does, too."""
    world = World()
    for number in range(300):
        world.add(f"{number}.jsonl")

    def script(_: Scene) -> None:
        for entry in world.entries:
            world.files.deny(entry.path, errno.ESTALE)

    ran = world.run(RunSettings(retry_policy=RetryPolicy(attempts_max=10**6)), script=script)
    assert ran.result is not None
    assert ran.result.stop is not None
    assert ran.result.stop.reason.endswith(f": {STALE}")
    assert ran.result.status is ExitStatus.UNFINISHED
    assert UNREADABLE_S <= ran.lasted_s < UNREADABLE_S + 5
    assert set(world.states().values()) == {EntryState.PENDING}
    assert world.ledger.reason("0.jsonl") == STALE
    assert len(ran.scene.reader.loads) < 300 * UNREADABLE_S


def test_a_hard_link_made_while_a_file_is_sent_is_no_change_of_it() -> None:
    """Attributes that change between plan, intent and last block cost nothing but a look; the next run hashes nothing."""
    world = world_of(size=LARGE_BYTES)
    ran = world.run(script=lambda scene: scene.after(0.2, lambda: world.files.link("a.jsonl")))
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert len(starts(ran)) == 1
    assert world.run().scene.reader.opened == []
