from __future__ import annotations

import errno

import pytest
from msgspec.structs import replace

from bulk_upload.core.api.profile import FLOW, Answered5xx
from bulk_upload.core.events import AttemptStarted, Event
from bulk_upload.core.model import EntryState, ReceiptOrigin
from bulk_upload.core.run.retry import RetryPolicy
from bulk_upload.core.run.settings import InDoubtPolicy, RunSettings
from bulk_upload.exit_status import ExitStatus
from tests.engine.sending.one_entry import NO_LIST, ended, starts, world_of
from tests.fakes.fates import Fate
from tests.fakes.server import unowned
from tests.fakes.world import LARGE_BYTES, Scene, World


@pytest.mark.parametrize(
    "fate", [Fate.LOSE_STORED, Fate.FAIL_STORED, Fate.BAD_ID, Fate.OTHER_SIZE, Fate.HANG_STORED]
)
def test_a_file_whose_answer_was_lost_is_found(fate: Fate) -> None:
    """A file that is at the server is adopted, not sent again, and its receipt says how it was obtained."""
    ran = world_of(fate).run()
    assert ended(ran) == (EntryState.ACCEPTED, None)
    (ending,) = ran.told.settled()
    assert ending.receipt is not None
    assert ending.receipt.obtained is ReceiptOrigin.RECONCILED
    assert len(starts(ran)) == 1


@pytest.mark.parametrize(
    ("fate", "waits_s"), [(Fate.LOSE_UNSTORED, 30.0), (Fate.FAIL_UNSTORED, 10.0)], ids=["lost", "answered"]
)
def test_a_file_that_is_not_at_the_server_is_sent_again(fate: Fate, waits_s: float) -> None:
    """Absence is believed once the settle time has passed, and not before."""
    ran = world_of(fate).run()
    assert ended(ran) == (EntryState.ACCEPTED, None)
    first, second = starts(ran)
    assert waits_s <= second - first < waits_s + 3


def test_doubts_use_attempts() -> None:
    """A server that loses every answer does not keep an entry busy for ever."""
    ran = world_of(*[Fate.LOSE_UNSTORED] * 9).run(RunSettings(retry_policy=RetryPolicy(attempts_max=2)))
    assert ended(ran) == (EntryState.PENDING, "the connection was lost (after 2 attempts)")


def test_hold_leaves_every_doubt_to_a_person() -> None:
    """With `hold` the list is not even asked, now or in the next run."""
    world = world_of(Fate.LOSE_STORED)
    settings = RunSettings(in_doubt=InDoubtPolicy.HOLD)
    for _ in range(2):
        ran = world.run(settings)
        assert ended(ran) == (EntryState.IN_DOUBT, "left in doubt by --in-doubt hold")
    assert world.server.list_count == 0
    assert len(world.server.stored) == 1


@pytest.mark.parametrize("policy", [InDoubtPolicy.RECONCILE, InDoubtPolicy.HOLD], ids=["reconcile", "hold"])
def test_an_answered_failure_is_retried_where_the_profile_says_so(policy: InDoubtPolicy) -> None:
    """Without a list it is sent again only if the profile says that nothing was stored, and no doubt is to be held."""
    profile = replace(NO_LIST, answered_5xx=Answered5xx.NOT_STORED)
    ran = world_of(Fate.FAIL_UNSTORED).run(RunSettings(in_doubt=policy), profile=profile)
    held = (EntryState.IN_DOUBT, "left in doubt by --in-doubt hold")
    assert ended(ran) == (held if policy is InDoubtPolicy.HOLD else (EntryState.ACCEPTED, None))


@pytest.mark.parametrize("fate", [Fate.FAIL_STORED, Fate.FAIL_UNSTORED])
def test_an_answered_failure_stays_in_doubt_where_nothing_can_be_listed(fate: Fate) -> None:
    """Servers answer 5xx for files they have, and without a list nobody can tell: nothing is sent twice on a guess."""
    world = world_of(fate)
    ran = world.run(profile=NO_LIST)
    assert ended(ran)[0] is EntryState.IN_DOUBT
    assert len(starts(ran)) == 1


def test_not_stored_is_said_of_5xx_alone() -> None:
    """A lost answer stays in doubt, whatever the profile says of answered failures."""
    ran = world_of(Fate.LOSE_STORED).run(profile=replace(NO_LIST, answered_5xx=Answered5xx.NOT_STORED))
    assert ended(ran)[0] is EntryState.IN_DOUBT


def test_not_stored_is_not_believed_where_the_list_decides() -> None:
    """Where the list can tell, it is asked: the file that a 5xx left there is adopted and not doubled."""
    world = world_of(Fate.FAIL_STORED)
    ran = world.run(profile=replace(FLOW, answered_5xx=Answered5xx.NOT_STORED))
    assert ended(ran) == (EntryState.ACCEPTED, None)
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
    world = world_of(Fate.LOSE_STORED)
    ran = world.run(profile=NO_LIST)
    assert ended(ran) == (EntryState.IN_DOUBT, "by the profile no-list the server's list cannot decide this")
    assert len(world.server.stored) == 1


def test_resend_sends_what_stays_undecided() -> None:
    """With `resend` the person accepts a duplicate where the list cannot tell, and only there."""
    world = world_of(Fate.LOSE_STORED)
    ran = world.run(RunSettings(in_doubt=InDoubtPolicy.RESEND), profile=NO_LIST)
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert len(world.server.stored) == 2
    found = world_of(Fate.LOSE_STORED)
    assert ended(found.run(RunSettings(in_doubt=InDoubtPolicy.RESEND))) == (EntryState.ACCEPTED, None)
    assert len(found.server.stored) == 1


def test_a_twin_of_a_doubt_is_not_sent() -> None:
    """While an entry stays in doubt its look-alikes stay pending: an id could reach the wrong file."""
    world = World()
    world.add("x/data.jsonl")
    world.add("y/data.jsonl")
    world.server.script("data.jsonl", Fate.LOSE_STORED)
    ran = world.run(profile=NO_LIST)
    assert ended(ran, "x/data.jsonl")[0] is EntryState.IN_DOUBT
    assert ended(ran, "y/data.jsonl") == (
        EntryState.PENDING,
        "another entry with the same name, size and purpose is in doubt",
    )
    assert ended(world.run(), "y/data.jsonl") == (EntryState.ACCEPTED, None)
    assert len(world.server.stored) == 2
    assert unowned(world.server.stored, set(world.ledger.receipts())) == []


# --- doubts of earlier runs


def _crashed(fate: Fate) -> World:
    """Return a world whose first run died while the answer was on its way."""
    world = world_of(fate)
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
    assert ended(ran) == (EntryState.ACCEPTED, None)
    (ending,) = ran.told.settled()
    assert ending.receipt is not None
    assert ending.receipt.sha256 is not None
    assert starts(ran) == []


def test_a_file_that_a_dead_run_did_not_get_through_is_sent() -> None:
    """What the server does not have is sent by the next run."""
    world = _crashed(Fate.HANG_STORED)
    world.server.stored.clear()
    ran = world.run()
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert len(starts(ran)) == 1


def test_a_file_that_changed_after_a_crash_is_adopted_and_sent_anew() -> None:
    """The copy at the server gets its receipt, and the new content is sent as well."""
    world = _crashed(Fate.HANG_STORED)
    world.files.write_size("a.jsonl", 1001)
    assert ended(world.run()) == (EntryState.ACCEPTED, None)
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
    assert ended(ran)[0] is EntryState.PENDING
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
    assert ended(world.run()) == (
        EntryState.FAILED_LOCAL,
        "cannot read the file: No such file or directory",
    )
    world.files.write("a.jsonl", content.content)
    assert ended(world.run()) == (EntryState.ACCEPTED, None)


def test_a_doubt_whose_file_is_gone_is_found_by_what_was_sent() -> None:
    """The server has the file: the receipt is that of the attempt, whatever became of the file here."""
    world = _crashed(Fate.HANG_STORED)
    world.files.remove("a.jsonl")
    ran = world.run()
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert [one.size for one in world.server.stored] == [1000]
    assert starts(world.run()) == []


@pytest.mark.parametrize("policy", InDoubtPolicy)
def test_a_doubt_without_a_file_is_released_by_proof_alone(policy: InDoubtPolicy) -> None:
    """Where the list cannot decide, an entry that cannot be sent stays in doubt, also with `resend`."""
    world = _crashed(Fate.HANG_STORED)
    world.files.remove("a.jsonl")
    assert ended(world.run(RunSettings(in_doubt=policy), profile=NO_LIST))[0] is EntryState.IN_DOUBT
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

    assert ended(world.run(script=script))[0] is EntryState.PENDING
    world.files.write("a.jsonl", content.content)
    assert ended(world.run()) == (EntryState.ACCEPTED, None)


def test_a_doubt_whose_file_came_back_since_the_plan_is_sent() -> None:
    """The file is looked at when its turn comes, not only when the run is planned."""
    world = _crashed(Fate.HANG_STORED)
    world.server.stored.clear()
    content = world.files.find("a.jsonl")
    assert content is not None
    world.files.remove("a.jsonl")
    ran = world.run(script=lambda _: world.files.write("a.jsonl", content.content))
    assert ended(ran) == (EntryState.ACCEPTED, None)


def test_a_doubt_that_the_manifest_no_longer_names_is_resolved_silently() -> None:
    """Its receipt is recorded, nobody is told of an entry that is not in the plan."""
    world = _crashed(Fate.HANG_STORED)
    world.entries.clear()
    ran = world.run()
    assert ran.told.settled() == []
    assert world.states() == {"a.jsonl": EntryState.ACCEPTED}


def test_a_hash_does_not_hold_up_the_end_of_a_cancelled_run() -> None:
    """A file found at the server that could not be compared in time stays in doubt, and the next run adopts it."""
    world = world_of(Fate.HANG_STORED, size=LARGE_BYTES)
    world.run(script=lambda scene: scene.hooks.append(lambda event: _die_after_start(scene, event)))

    def script(scene: Scene) -> None:
        scene.reader.read_s = 1000.0
        scene.after(5.0, scene.cancel)

    ran = world.run(script=script)
    assert ran.lasted_s < 5.5
    assert ended(ran) == (EntryState.IN_DOUBT, "the run ended before the server's file could be compared")
    assert ended(world.run()) == (EntryState.ACCEPTED, None)
    assert len(world.server.stored) == 1
