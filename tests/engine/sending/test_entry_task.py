from __future__ import annotations

import errno
import os

import pytest
from msgspec.structs import replace

from bulk_upload.core.api.profile import FLOW, Answered5xx
from bulk_upload.core.events import AttemptEnded, AttemptStarted, Event, Noticed, PlanMade
from bulk_upload.core.model import EntryState, ReceiptOrigin, Unavailable
from bulk_upload.core.run.patience import UNREADABLE_S
from bulk_upload.core.run.retry import RetryPolicy
from bulk_upload.core.run.settings import InDoubtPolicy, RunSettings
from bulk_upload.engine.doubt.api_retry import TRIES_MAX
from bulk_upload.engine.sending.entry_task import FILE_CHANGES_MAX
from bulk_upload.exit_status import ExitStatus
from tests.fakes.server import Fate, Faults, unowned
from tests.fakes.world import LARGE_BYTES, Ran, Scene, World

STALE = f"cannot read the file: {os.strerror(errno.ESTALE)}"
NO_LIST = replace(FLOW, name="no-list", can_list=False)


def _world(*fates: Fate, size: int = 1000) -> World:
    """Return a world with one entry whose first requests meet these fates."""
    world = World()
    world.add("a.jsonl", size)
    world.server.script("a.jsonl", *fates)
    return world


def _ended(ran: Ran, path: str = "a.jsonl") -> tuple[EntryState, str | None]:
    """Return the one ending of an entry."""
    (ending,) = [one for one in ran.told.settled() if one.path == path]
    assert ran.scene.violations == []
    assert sorted(ran.told.started()) == sorted(ran.told.ended())
    return ending.state, ending.reason


def _starts(ran: Ran) -> list[float]:
    return [at - ran.began_at for at, one in ran.told.events if isinstance(one, AttemptStarted)]


def _outcomes(ran: Ran) -> list[str]:
    return [type(one.outcome).__name__ for _, one in ran.told.events if isinstance(one, AttemptEnded)]


# --- attempts and retries


def test_an_accepted_file_ends_with_its_receipt() -> None:
    """The receipt that is told is the one the ledger holds."""
    ran = _world().run()
    (ending,) = ran.told.settled()
    assert ending.receipt is not None
    assert ending.receipt.file_id == ran.scene.world.ledger.current_receipts()["a.jsonl"]
    assert (ending.receipt.obtained, ending.receipt.size_confirmed) == (ReceiptOrigin.ANSWERED, True)


def test_attempts_that_fail_are_made_again_until_they_are_used_up() -> None:
    """An entry that used up its attempts stays pending with its last reason, and the next run goes on with it."""
    world = _world(*[Fate.FAIL_EARLY] * 3, size=LARGE_BYTES)
    ran = world.run(RunSettings(retry_policy=RetryPolicy(attempts_max=3)))
    assert _ended(ran) == (EntryState.PENDING, "HTTP 500: {} (after 3 attempts)")
    assert ran.result is not None
    assert (ran.result.status, ran.result.stop) == (ExitStatus.UNFINISHED, None)
    assert _outcomes(ran) == ["Unavailable"] * 3
    assert _ended(world.run()) == (EntryState.ACCEPTED, None)


def test_throttling_uses_no_attempt() -> None:
    """However often the server asks to wait, an entry has all its attempts left."""
    ran = _world(*[Fate.THROTTLE_NAMED, Fate.BUSY_NAMED] * 5).run(
        RunSettings(retry_policy=RetryPolicy(attempts_max=1))
    )
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert len(_starts(ran)) == 11


def test_a_success_without_an_id_uses_up_attempts() -> None:
    """A server that answers every upload with a success that is an error is not taken for one that is down."""
    world = _world(*[Fate.SUCCESS_ERROR] * 20)
    ran = world.run()
    state, reason = _ended(ran)
    assert state is EntryState.PENDING
    assert "invalid file (after 6 attempts)" in str(reason)
    assert len(_starts(ran)) == 6


def test_retries_wait_as_the_policy_says() -> None:
    """Between attempts lies at least the policy's wait, which the event of the failed attempt announces."""
    # A given number: one that finds itself takes four failures in a row for an outage and asks when it thinks fit.
    ran = _world(*[Fate.REFUSE] * 4).run(RunSettings(concurrency=8))
    ends = [
        (at - ran.began_at, one.retry_in_s)
        for at, one in ran.told.events
        if isinstance(one, AttemptEnded) and isinstance(one.outcome, Unavailable)
    ]
    for (ended_at, wait_s), started_at in zip(ends, _starts(ran)[1:], strict=True):
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
    world = _world(Fate.REJECT)
    ran = world.run()
    assert _ended(ran) == (EntryState.REJECTED, "HTTP 400: {}")
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
    assert _ended(world.run()) == (EntryState.ACCEPTED, None)
    assert set(world.ledger.receipts().values()) == {"a.jsonl", "b.jsonl"}


# --- files that change


def test_a_file_that_was_resized_is_sent_as_it_is_now() -> None:
    """A file that has another size than planned is sent with that size, in one attempt."""
    world = _world(size=LARGE_BYTES)
    ran = world.run(script=lambda _: world.files.write_size("a.jsonl", LARGE_BYTES + 5))
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert [one.size for one in world.server.stored] == [LARGE_BYTES + 5]
    assert len(_starts(ran)) == 1


@pytest.mark.parametrize("size", [900, LARGE_BYTES], ids=["small", "large"])
def test_a_file_that_became_a_twin_waits_for_it(size: int) -> None:
    """A file resized to the size of a namesake in flight is held back until that one has its answer."""
    world = World()
    world.add("x/data.jsonl", size)
    world.add("y/data.jsonl", LARGE_BYTES + 1)
    ran = world.run(script=lambda _: world.files.write_size("y/data.jsonl", size))
    assert _ended(ran, "y/data.jsonl") == (EntryState.ACCEPTED, None)
    assert [one.size for one in world.server.stored] == [size, size]


def test_a_file_that_never_stops_growing_is_given_up() -> None:
    """A file found larger at every look fails with a reason, instead of being looked at for ever."""
    world = _world(size=LARGE_BYTES)

    def grow(scene: Scene) -> None:
        file = world.files.find("a.jsonl")
        assert file is not None
        world.files.write_size("a.jsonl", len(file.content) + 1)
        scene.after(0.0004, lambda: grow(scene))

    ran = world.run(script=grow, lasts_s_max=100.0)
    assert _ended(ran) == (EntryState.FAILED_LOCAL, "the file keeps changing its size")
    # Once more than it may change its size: its first intent was recorded ahead, for the size it was planned with.
    assert len(ran.scene.reader.opened) == 1 + FILE_CHANGES_MAX + 1


def test_a_file_that_changes_while_it_is_sent_fails() -> None:
    """A file that moved under the upload is named, and nothing of it is at the server."""
    world = _world(size=LARGE_BYTES)
    ran = world.run(script=lambda scene: scene.after(0.2, lambda: world.files.touch("a.jsonl")))
    assert _ended(ran) == (EntryState.FAILED_LOCAL, "the file changed while it was sent")
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
    world = _world(size=size)
    ran = world.run(script=lambda _: world.files.remove("a.jsonl"))
    assert _ended(ran) == (
        EntryState.FAILED_LOCAL,
        "cannot read the file: No such file or directory",
    )
    assert _starts(ran) == []
    assert world.ledger.attempts("a.jsonl") == attempts


@pytest.mark.parametrize("size", [1000, LARGE_BYTES], ids=["small", "large"])
def test_a_machine_short_of_descriptors_waits_and_tries_again(size: int) -> None:
    """Local limits use no attempt and settle nothing: the file is sent once there is room."""
    world = _world(size=size)

    def script(scene: Scene) -> None:
        world.files.deny("a.jsonl", errno.EMFILE)
        scene.after(20, lambda: world.files.deny("a.jsonl", 0))

    ran = world.run(RunSettings(retry_policy=RetryPolicy(attempts_max=1)), script=script)
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert 20 < _starts(ran)[0] < 22


# --- file systems that fail


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ENOTCONN])
@pytest.mark.parametrize("size", [1000, LARGE_BYTES], ids=["small", "large"])
def test_a_file_system_that_fails_for_a_moment_settles_nothing(size: int, number: int) -> None:
    """The file is opened again after a wait, and sent once it can be read."""
    world = _world(size=size)

    def script(scene: Scene) -> None:
        world.files.deny("a.jsonl", number)
        scene.after(0.4, lambda: world.files.deny("a.jsonl", 0))

    ran = world.run(script=script)
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert len(_starts(ran)) == 1
    assert 0.4 < _starts(ran)[0] < 2


@pytest.mark.parametrize("size", [1000, LARGE_BYTES], ids=["small", "large"])
def test_a_file_system_that_stays_away_leaves_the_entry_to_the_next_run(size: int) -> None:
    """After so many tries the entry is pending with the reason in the ledger, and the same command sends it."""
    world = _world(size=size)
    ran = world.run(script=lambda _: world.files.deny("a.jsonl", errno.ESTALE))
    reason = f"{STALE} (after 6 attempts)"
    assert _ended(ran) == (EntryState.PENDING, reason)
    assert (_starts(ran), world.ledger.reason("a.jsonl")) == ([], reason)
    assert ran.result is not None
    assert ran.result.status is ExitStatus.UNFINISHED
    assert 2 < ran.lasted_s < 30
    world.files.deny("a.jsonl", 0)
    assert _ended(world.run()) == (EntryState.ACCEPTED, None)


def test_a_read_that_fails_in_the_middle_of_a_body_is_made_again() -> None:
    """The body stays incomplete, which proves that the server has no file; the next attempt starts anew."""
    world = _world(size=LARGE_BYTES)
    denied: list[bool] = []

    def script(scene: Scene) -> None:
        def deny(event: Event) -> None:
            if isinstance(event, AttemptStarted) and not denied:
                denied.append(True)
                world.files.deny("a.jsonl", errno.EIO)
                scene.after(0.3, lambda: world.files.deny("a.jsonl", 0))

        scene.hooks.append(deny)

    ran = world.run(script=script)
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert _outcomes(ran) == ["NotSent", "Accepted"]
    assert _starts(ran)[1] - _starts(ran)[0] >= 0.5
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
    world = _world(size=LARGE_BYTES)
    ran = world.run(script=lambda scene: scene.after(0.2, lambda: world.files.link("a.jsonl")))
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert len(_starts(ran)) == 1
    assert world.run().scene.reader.opened == []


# --- touched files


def _touched(size: int = 1000) -> World:
    world = _world(size=size)
    world.run()
    world.files.touch("a.jsonl")
    return world


def test_a_touched_file_with_the_same_content_is_not_sent() -> None:
    """Same content as its receipt: the receipt holds, and the next run does not even look."""
    world = _touched()
    first = world.ledger.current_receipts()
    ran = world.run()
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert [one.unchanged for one in ran.told.settled()] == [True]
    assert (_starts(ran), world.ledger.current_receipts()) == ([], first)
    assert world.run().scene.reader.opened == []


def test_a_touched_file_with_other_content_is_sent() -> None:
    """Other content under the same size: sent anew, and the old receipt is superseded, not lost."""
    world = _touched()
    world.files.write_size("a.jsonl", 1000)
    ran = world.run()
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert [one.unchanged for one in ran.told.settled()] == [False]
    assert len(_starts(ran)) == 1
    assert len(world.ledger.receipts()) == 2


def test_a_hard_link_alone_has_a_file_compared_once() -> None:
    """A snapshot by hard links changes every change time: each file is hashed once, and nothing is sent."""
    world = _world()
    world.run()
    world.files.link("a.jsonl")
    ran = world.run()
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert (_starts(ran), len(world.ledger.receipts())) == ([], 1)
    assert world.run().scene.reader.opened == []


def test_an_edit_that_sets_the_modification_time_back_is_sent() -> None:
    """Other bytes of equal size at an equal modification time: the change time gives them away."""
    world = _world()
    world.run()
    world.files.edit("a.jsonl", b"z" * 1000)
    ran = world.run()
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert (len(_starts(ran)), len(world.ledger.receipts())) == (1, 2)


def _touched_without_a_hash() -> World:
    world = _touched()
    world.ledger.connection.execute("UPDATE receipts SET sha256 = NULL")
    return world


def test_what_was_sent_is_read_back_where_nobody_hashed_it() -> None:
    """A run that died left no hash: the server's own copy tells that the touched file is the same, once for all."""
    world = _touched_without_a_hash()
    ran = world.run()
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert _starts(ran) == []
    assert len(world.ledger.sha256s()) == 1


def test_a_copy_that_is_another_one_is_superseded() -> None:
    """Read back and different: the file is sent anew."""
    world = _touched_without_a_hash()
    world.files.write_size("a.jsonl", 1000)
    assert len(_starts(world.run())) == 1


def test_a_file_that_cannot_be_compared_now_stays_accepted() -> None:
    """Where the server does not answer, its receipt holds until the next run looks again."""
    world = _touched_without_a_hash()
    world.server.list_fails = TRIES_MAX
    ran = world.run()
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert _starts(ran) == []
    assert world.ledger.sha256s() == {}


def test_a_file_is_compared_once_the_server_answers() -> None:
    """A failure in between costs time and nothing else: the hash is then in the ledger, and nothing is sent."""
    world = _touched_without_a_hash()
    world.server.list_fails = TRIES_MAX - 1
    ran = world.run()
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert _starts(ran) == []
    assert len(world.ledger.sha256s()) == 1
    world.run()
    assert len(world.ledger.sha256s()) == 1


@pytest.mark.parametrize("gone", [True, False])
def test_a_touched_file_that_cannot_be_read_stays_accepted(gone: bool) -> None:
    """Its receipt is as good as before, and it is said; failed, it would be sent without a comparison later."""
    world = _touched()

    def lose(event: Event) -> None:
        if isinstance(event, PlanMade):
            (world.files.remove if gone else world.files.deny)("a.jsonl")

    ran = world.run(script=lambda scene: scene.hooks.append(lose))
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    (notice,) = [one for _, one in ran.told.events if isinstance(one, Noticed)]
    assert "the next run compares again" in notice.message
    assert _starts(ran) == []


def _notices(ran: Ran) -> list[str]:
    return [one.message for _, one in ran.told.events if isinstance(one, Noticed)]


def test_a_change_time_alone_does_not_fail_or_double_what_cannot_be_compared() -> None:
    """Unreadable after chmod, or without any hash: all other marks speak for its receipt, and a person is told."""
    world = _world()
    world.run()
    world.files.link("a.jsonl")
    world.files.deny("a.jsonl")
    ran = world.run()
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert "next run compares again" in _notices(ran)[0]
    world.files.deny("a.jsonl", 0)
    world.ledger.connection.execute("UPDATE receipts SET sha256 = NULL")
    world.server.sha256_of = lambda file_id: None  # type: ignore[method-assign]
    ran = world.run()
    assert (_ended(ran), _starts(ran)) == ((EntryState.ACCEPTED, None), [])
    assert "no hash to compare" in _notices(ran)[0]
    assert world.ledger.sha256s() == {}
    assert world.run().scene.reader.opened == []


def test_a_run_that_ends_before_it_compared_is_not_done() -> None:
    """Accepted as the entry is, its file may be another one by now: asked to stop, the run says that it is unfinished."""
    world = _touched()
    world.files.deny("a.jsonl", errno.EMFILE)
    ran = world.run(script=lambda scene: scene.after(20, scene.drain))
    assert ran.result is not None
    assert (ran.result.uncompared_count, _starts(ran)) == (1, [])
    assert ran.result.status not in (ExitStatus.DONE, ExitStatus.SOME_FAILED)
    world.files.deny("a.jsonl", 0)
    again = world.run()
    assert again.result is not None
    assert (again.result.uncompared_count, again.result.status) == (0, ExitStatus.DONE)


def test_a_touched_file_waits_for_a_descriptor_to_be_compared() -> None:
    """A machine short of descriptors makes no failure of an entry that is accepted."""
    world = _touched()

    def script(scene: Scene) -> None:
        world.files.deny("a.jsonl", errno.EMFILE)
        scene.after(20, lambda: world.files.deny("a.jsonl", 0))

    ran = world.run(script=script)
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert _starts(ran) == []
    assert [one.after for one in world.ledger.moves()] == [EntryState.ACCEPTED]


def test_a_touched_file_is_compared_once_its_file_system_is_back() -> None:
    """A mount that hiccups makes no failure of an entry that is accepted."""
    world = _touched()

    def script(scene: Scene) -> None:
        world.files.deny("a.jsonl", errno.ESTALE)
        scene.after(1, lambda: world.files.deny("a.jsonl", 0))

    ran = world.run(script=script)
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert _starts(ran) == []
    assert [one.after for one in world.ledger.moves()] == [EntryState.ACCEPTED]


def test_a_touched_file_whose_file_system_stays_away_keeps_its_receipt() -> None:
    """It is not sent without a comparison; the run says so, and the next one compares."""
    world = _touched()
    ran = world.run(script=lambda _: world.files.deny("a.jsonl", errno.ESTALE))
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert _starts(ran) == []
    (notice,) = [one for _, one in ran.told.events if isinstance(one, Noticed)]
    assert notice.path == "a.jsonl"
    assert STALE in notice.message
    world.files.deny("a.jsonl", 0)
    world.files.write_size("a.jsonl", 1000)
    assert len(_starts(world.run())) == 1


def test_a_comparison_does_not_hold_up_a_cancel() -> None:
    """A large file that is being hashed when the run is told to stop stays as the ledger has it."""
    world = _touched(LARGE_BYTES)

    def script(scene: Scene) -> None:
        scene.reader.read_s = 1000.0
        scene.after(1.0, scene.cancel)

    ran = world.run(script=script)
    assert ran.lasted_s < 1.5
    assert world.states() == {"a.jsonl": EntryState.ACCEPTED}
    assert ran.told.settled() == []


# --- doubts


@pytest.mark.parametrize(
    "fate", [Fate.LOSE_STORED, Fate.FAIL_STORED, Fate.BAD_ID, Fate.OTHER_SIZE, Fate.HANG_STORED]
)
def test_a_file_whose_answer_was_lost_is_found(fate: Fate) -> None:
    """A file that is at the server is adopted, not sent again, and its receipt says how it was obtained."""
    ran = _world(fate).run()
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    (ending,) = ran.told.settled()
    assert ending.receipt is not None
    assert ending.receipt.obtained is ReceiptOrigin.RECONCILED
    assert len(_starts(ran)) == 1


@pytest.mark.parametrize(
    ("fate", "waits_s"), [(Fate.LOSE_UNSTORED, 30.0), (Fate.FAIL_UNSTORED, 10.0)], ids=["lost", "answered"]
)
def test_a_file_that_is_not_at_the_server_is_sent_again(fate: Fate, waits_s: float) -> None:
    """Absence is believed once the settle time has passed, and not before."""
    ran = _world(fate).run()
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    first, second = _starts(ran)
    assert waits_s <= second - first < waits_s + 3


def test_doubts_use_attempts() -> None:
    """A server that loses every answer does not keep an entry busy for ever."""
    ran = _world(*[Fate.LOSE_UNSTORED] * 9).run(RunSettings(retry_policy=RetryPolicy(attempts_max=2)))
    assert _ended(ran) == (EntryState.PENDING, "the connection was lost (after 2 attempts)")


def test_hold_leaves_every_doubt_to_a_person() -> None:
    """With `hold` the list is not even asked, now or in the next run."""
    world = _world(Fate.LOSE_STORED)
    settings = RunSettings(in_doubt=InDoubtPolicy.HOLD)
    for _ in range(2):
        ran = world.run(settings)
        assert _ended(ran) == (EntryState.IN_DOUBT, "left in doubt by --in-doubt hold")
    assert world.server.list_count == 0
    assert len(world.server.stored) == 1


@pytest.mark.parametrize("policy", [InDoubtPolicy.RECONCILE, InDoubtPolicy.HOLD], ids=["reconcile", "hold"])
def test_an_answered_failure_is_retried_where_the_profile_says_so(policy: InDoubtPolicy) -> None:
    """Without a list it is sent again only if the profile says that nothing was stored, and no doubt is to be held."""
    profile = replace(NO_LIST, answered_5xx=Answered5xx.NOT_STORED)
    ran = _world(Fate.FAIL_UNSTORED).run(RunSettings(in_doubt=policy), profile=profile)
    held = (EntryState.IN_DOUBT, "left in doubt by --in-doubt hold")
    assert _ended(ran) == (held if policy is InDoubtPolicy.HOLD else (EntryState.ACCEPTED, None))


@pytest.mark.parametrize("fate", [Fate.FAIL_STORED, Fate.FAIL_UNSTORED])
def test_an_answered_failure_stays_in_doubt_where_nothing_can_be_listed(fate: Fate) -> None:
    """Servers answer 5xx for files they have, and without a list nobody can tell: nothing is sent twice on a guess."""
    world = _world(fate)
    ran = world.run(profile=NO_LIST)
    assert _ended(ran)[0] is EntryState.IN_DOUBT
    assert len(_starts(ran)) == 1


def test_not_stored_is_said_of_5xx_alone() -> None:
    """A lost answer stays in doubt, whatever the profile says of answered failures."""
    ran = _world(Fate.LOSE_STORED).run(profile=replace(NO_LIST, answered_5xx=Answered5xx.NOT_STORED))
    assert _ended(ran)[0] is EntryState.IN_DOUBT


def test_not_stored_is_not_believed_where_the_list_decides() -> None:
    """Where the list can tell, it is asked: the file that a 5xx left there is adopted and not doubled."""
    world = _world(Fate.FAIL_STORED)
    ran = world.run(profile=replace(FLOW, answered_5xx=Answered5xx.NOT_STORED))
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert len(world.server.stored) == 1


@pytest.mark.parametrize("lacks", ["can_list", "keeps_names"])
@pytest.mark.parametrize("size", [1000, LARGE_BYTES])
def test_a_kill_leaves_no_more_in_doubt_than_was_in_flight(lacks: str, size: int) -> None:
    """Where no list shows what was not acted on, intents are not recorded ahead of their requests."""
    world = World()
    for number in range(100):
        world.add(f"{number}.jsonl", size)
    profile = replace(FLOW, can_list=lacks != "can_list", keeps_names=lacks != "keeps_names")
    settings = RunSettings(concurrency=4)
    ran = world.run(settings, script=lambda scene: scene.after(2.0, scene.kill), profile=profile)
    assert ran.killed
    assert ran.scene.violations == []
    states = list(world.states().values())
    assert states.count(EntryState.ACCEPTED) > 4
    assert states.count(EntryState.PENDING) > 20
    assert len(world.ledger.open_intents()) <= 4
    world.now += 3600
    world.run(profile=profile)
    states = list(world.states().values())
    assert states.count(EntryState.IN_DOUBT) <= 4
    assert states.count(EntryState.ACCEPTED) == 100 - states.count(EntryState.IN_DOUBT)
    doubled = len(world.server.stored) - len({one.source for one in world.server.stored})
    assert doubled == 0


def test_a_lost_answer_stays_in_doubt_where_nothing_can_be_listed() -> None:
    """Without a list nobody can tell, and a file is never sent twice on a guess."""
    world = _world(Fate.LOSE_STORED)
    ran = world.run(profile=NO_LIST)
    assert _ended(ran) == (EntryState.IN_DOUBT, "a no-list server's list cannot decide this")
    assert len(world.server.stored) == 1


def test_resend_sends_what_stays_undecided() -> None:
    """With `resend` the person accepts a duplicate where the list cannot tell, and only there."""
    world = _world(Fate.LOSE_STORED)
    ran = world.run(RunSettings(in_doubt=InDoubtPolicy.RESEND), profile=NO_LIST)
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert len(world.server.stored) == 2
    found = _world(Fate.LOSE_STORED)
    assert _ended(found.run(RunSettings(in_doubt=InDoubtPolicy.RESEND))) == (EntryState.ACCEPTED, None)
    assert len(found.server.stored) == 1


def test_a_twin_of_a_doubt_is_not_sent() -> None:
    """While an entry stays in doubt its look-alikes stay pending: an id could reach the wrong file."""
    world = World()
    world.add("x/data.jsonl")
    world.add("y/data.jsonl")
    world.server.script("data.jsonl", Fate.LOSE_STORED)
    ran = world.run(profile=NO_LIST)
    assert _ended(ran, "x/data.jsonl")[0] is EntryState.IN_DOUBT
    assert _ended(ran, "y/data.jsonl") == (
        EntryState.PENDING,
        "another entry with the same name, size and purpose is in doubt",
    )
    assert _ended(world.run(), "y/data.jsonl") == (EntryState.ACCEPTED, None)
    assert len(world.server.stored) == 2
    assert unowned(world.server.stored, set(world.ledger.receipts())) == []


# --- doubts of earlier runs


def _crashed(fate: Fate) -> World:
    """Return a world whose first run died while the answer was on its way."""
    world = _world(fate)
    world.run(script=lambda scene: scene.hooks.append(lambda event: _die_after_start(scene, event)))
    world.now += 3600
    return world


def _die_after_start(scene: Scene, event: Event) -> None:
    if isinstance(event, AttemptStarted):
        scene.after(50.0, scene.kill)


def test_a_file_that_a_dead_run_sent_is_found_with_its_hash() -> None:
    """The next run adopts what the dead one sent; the file is unchanged, so its hash is known."""
    world = _crashed(Fate.HANG_STORED)
    ran = world.run()
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    (ending,) = ran.told.settled()
    assert ending.receipt is not None
    assert ending.receipt.sha256 is not None
    assert _starts(ran) == []


def test_a_file_that_a_dead_run_did_not_get_through_is_sent() -> None:
    """What the server does not have is sent by the next run."""
    world = _crashed(Fate.HANG_STORED)
    world.server.stored.clear()
    ran = world.run()
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert len(_starts(ran)) == 1


def test_a_file_that_changed_after_a_crash_is_adopted_and_sent_anew() -> None:
    """The copy at the server gets its receipt, and the new content is sent as well."""
    world = _crashed(Fate.HANG_STORED)
    world.files.write_size("a.jsonl", 1001)
    assert _ended(world.run()) == (EntryState.ACCEPTED, None)
    assert len(world.ledger.receipts()) == 2
    assert [one.size for one in world.server.stored] == [1000, 1001]


def test_a_changed_file_is_pending_when_the_run_ends_before_it_is_sent() -> None:
    """What is told and what the ledger says agree: an adopted old copy does not settle the new content."""
    world = _crashed(Fate.HANG_STORED)
    world.files.write_size("a.jsonl", LARGE_BYTES)

    def script(scene: Scene) -> None:
        scene.reader.read_s = 10.0
        scene.after(5.0, scene.drain)

    ran = world.run(script=script)
    assert _ended(ran)[0] is EntryState.PENDING
    assert world.states() == {"a.jsonl": EntryState.PENDING}
    assert ran.result is not None
    assert ran.result.status is ExitStatus.INTERRUPTED


def test_a_doubt_whose_file_is_gone_is_settled() -> None:
    """An entry that left nothing at the server and has no file any more has failed, until the file is back."""
    world = _crashed(Fate.HANG_STORED)
    world.server.stored.clear()
    content = world.files.find("a.jsonl")
    assert content is not None
    world.files.remove("a.jsonl")
    assert _ended(world.run()) == (
        EntryState.FAILED_LOCAL,
        "cannot read the file: No such file or directory",
    )
    world.files.write("a.jsonl", content.content)
    assert _ended(world.run()) == (EntryState.ACCEPTED, None)


def test_a_doubt_whose_file_is_gone_is_found_by_what_was_sent() -> None:
    """The server has the file: the receipt is that of the attempt, whatever became of the file here."""
    world = _crashed(Fate.HANG_STORED)
    world.files.remove("a.jsonl")
    ran = world.run()
    assert _ended(ran) == (EntryState.ACCEPTED, None)
    assert [one.size for one in world.server.stored] == [1000]
    assert _starts(world.run()) == []


@pytest.mark.parametrize("policy", InDoubtPolicy)
def test_a_doubt_without_a_file_is_released_by_proof_alone(policy: InDoubtPolicy) -> None:
    """Where the list cannot decide, an entry that cannot be sent stays in doubt, also with `resend`."""
    world = _crashed(Fate.HANG_STORED)
    world.files.remove("a.jsonl")
    assert _ended(world.run(RunSettings(in_doubt=policy), profile=NO_LIST))[0] is EntryState.IN_DOUBT
    assert world.states() == {"a.jsonl": EntryState.IN_DOUBT}


def test_a_doubt_whose_file_system_fails_stays_pending() -> None:
    """Absence is known, the file is not: nothing is settled before its file system answers."""
    world = _crashed(Fate.HANG_STORED)
    world.server.stored.clear()
    content = world.files.find("a.jsonl")
    assert content is not None
    world.files.remove("a.jsonl")

    def script(scene: Scene) -> None:
        world.files.write("a.jsonl", content.content)
        world.files.deny("a.jsonl", errno.ESTALE)

    assert _ended(world.run(script=script))[0] is EntryState.PENDING
    world.files.write("a.jsonl", content.content)
    assert _ended(world.run()) == (EntryState.ACCEPTED, None)


def test_a_doubt_whose_file_came_back_since_the_plan_is_sent() -> None:
    """The file is looked at when its turn comes, not only when the run is planned."""
    world = _crashed(Fate.HANG_STORED)
    world.server.stored.clear()
    content = world.files.find("a.jsonl")
    assert content is not None
    world.files.remove("a.jsonl")
    ran = world.run(script=lambda _: world.files.write("a.jsonl", content.content))
    assert _ended(ran) == (EntryState.ACCEPTED, None)


def test_a_doubt_that_the_manifest_no_longer_names_is_resolved_silently() -> None:
    """Its receipt is recorded, nobody is told of an entry that is not in the plan."""
    world = _crashed(Fate.HANG_STORED)
    world.entries.clear()
    ran = world.run()
    assert ran.told.settled() == []
    assert world.states() == {"a.jsonl": EntryState.ACCEPTED}


def test_a_hash_does_not_hold_up_the_end_of_a_cancelled_run() -> None:
    """A file found at the server that could not be compared in time stays in doubt, and the next run adopts it."""
    world = _world(Fate.HANG_STORED, size=LARGE_BYTES)
    world.run(script=lambda scene: scene.hooks.append(lambda event: _die_after_start(scene, event)))

    def script(scene: Scene) -> None:
        scene.reader.read_s = 1000.0
        scene.after(5.0, scene.cancel)

    ran = world.run(script=script)
    assert ran.lasted_s < 5.5
    assert _ended(ran) == (EntryState.IN_DOUBT, "the run ended before the server's file could be compared")
    assert _ended(world.run()) == (EntryState.ACCEPTED, None)
    assert len(world.server.stored) == 1
