from __future__ import annotations

import errno

import pytest

from bulk_upload.core.events import Event, Noticed, PlanMade
from bulk_upload.core.model import EntryState
from bulk_upload.engine.doubt.api_retry import TRIES_MAX
from bulk_upload.exit_status import ExitStatus
from tests.engine.sending.one_entry import STALE, ended, starts, world_of
from tests.fakes.world import LARGE_BYTES, Ran, Scene, World


def _touched(size: int = 1000) -> World:
    world = world_of(size=size)
    world.run()
    world.files.touch("a.jsonl")
    return world


def test_a_touched_file_with_the_same_content_is_not_sent() -> None:
    """Same content as its receipt: the receipt holds, and the next run does not even look."""
    world = _touched()
    first = world.ledger.current_receipts()
    ran = world.run()
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert [one.unchanged for one in ran.told.settled()] == [True]
    assert (starts(ran), world.ledger.current_receipts()) == ([], first)
    assert world.run().scene.reader.opened == []


def test_a_touched_file_with_other_content_is_sent() -> None:
    """Other content under the same size: sent anew, and the old receipt is superseded, not lost."""
    world = _touched()
    world.files.write_size("a.jsonl", 1000)
    ran = world.run()
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert [one.unchanged for one in ran.told.settled()] == [False]
    assert len(starts(ran)) == 1
    assert len(world.ledger.receipts()) == 2


def test_a_hard_link_alone_has_a_file_compared_once() -> None:
    """A snapshot by hard links changes every change time: each file is hashed once, and nothing is sent."""
    world = world_of()
    world.run()
    world.files.link("a.jsonl")
    ran = world.run()
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert (starts(ran), len(world.ledger.receipts())) == ([], 1)
    assert world.run().scene.reader.opened == []


def test_an_edit_that_sets_the_modification_time_back_is_sent() -> None:
    """Other bytes of equal size at an equal modification time: the change time gives them away."""
    world = world_of()
    world.run()
    world.files.edit("a.jsonl", b"z" * 1000)
    ran = world.run()
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert (len(starts(ran)), len(world.ledger.receipts())) == (1, 2)


def _touched_without_a_hash() -> World:
    world = _touched()
    world.ledger.connection.execute("UPDATE receipts SET sha256 = NULL")
    return world


def test_what_was_sent_is_read_back_where_nobody_hashed_it() -> None:
    """A run that died left no hash: the server's own copy tells that the touched file is the same, once for all."""
    world = _touched_without_a_hash()
    ran = world.run()
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert starts(ran) == []
    assert len(world.ledger.sha256s()) == 1


def test_a_copy_that_is_another_one_is_superseded() -> None:
    """Read back and different: the file is sent anew."""
    world = _touched_without_a_hash()
    world.files.write_size("a.jsonl", 1000)
    assert len(starts(world.run())) == 1


@pytest.mark.parametrize("garbled_count", [1, 2])
def test_a_garbled_copy_supersedes_nothing(garbled_count: int) -> None:
    """One answer that is not the file, or two that differ, are no reason to send it again."""
    world = _touched_without_a_hash()
    hashes_of = world.server.hashes_of
    answers = ["a" * 64, "b" * 64][:garbled_count]
    world.server.hashes_of = lambda *asked: (answers.pop(),) if answers else hashes_of(*asked)  # type: ignore[method-assign]
    ran = world.run()
    assert (ended(ran), starts(ran)) == ((EntryState.ACCEPTED, None), [])
    assert len(world.ledger.sha256s()) == 2 - garbled_count


def test_a_file_that_cannot_be_compared_now_stays_accepted() -> None:
    """Where the server does not answer, its receipt holds until the next run looks again."""
    world = _touched_without_a_hash()
    world.server.list_fails = TRIES_MAX
    ran = world.run()
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert starts(ran) == []
    assert world.ledger.sha256s() == {}


def test_a_file_is_compared_once_the_server_answers() -> None:
    """A failure in between costs time and nothing else: the hash is then in the ledger, and nothing is sent."""
    world = _touched_without_a_hash()
    world.server.list_fails = TRIES_MAX - 1
    ran = world.run()
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert starts(ran) == []
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
    assert ended(ran) == (EntryState.ACCEPTED, None)
    (notice,) = [one for _, one in ran.told.events if isinstance(one, Noticed)]
    assert "the next run compares again" in notice.message
    assert starts(ran) == []


def _notices(ran: Ran) -> list[str]:
    return [one.message for _, one in ran.told.events if isinstance(one, Noticed)]


def test_a_change_time_alone_does_not_fail_or_double_what_cannot_be_compared() -> None:
    """Unreadable after chmod, or without any hash: all other marks speak for its receipt, and a person is told."""
    world = world_of()
    world.run()
    world.files.link("a.jsonl")
    world.files.deny("a.jsonl")
    ran = world.run()
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert "next run compares again" in _notices(ran)[0]
    world.files.deny("a.jsonl", 0)
    world.ledger.connection.execute("UPDATE receipts SET sha256 = NULL")
    world.server.hashes_of = lambda *_: ()  # type: ignore[method-assign]
    ran = world.run()
    assert (ended(ran), starts(ran)) == ((EntryState.ACCEPTED, None), [])
    assert "no hash to compare" in _notices(ran)[0]
    assert world.ledger.sha256s() == {}
    assert world.run().scene.reader.opened == []


def test_a_run_that_ends_before_it_compared_is_not_done() -> None:
    """Accepted as the entry is, its file may be another one by now: asked to stop, the run says that it is unfinished."""
    world = _touched()
    world.files.deny("a.jsonl", errno.EMFILE)
    ran = world.run(script=lambda scene: scene.after(20, scene.drain))
    assert ran.result is not None
    assert (ran.result.uncompared_count, starts(ran)) == (1, [])
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
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert starts(ran) == []
    assert [one.after for one in world.ledger.moves()] == [EntryState.ACCEPTED]


def test_a_touched_file_is_compared_once_its_file_system_is_back() -> None:
    """A mount that hiccups makes no failure of an entry that is accepted."""
    world = _touched()

    def script(scene: Scene) -> None:
        world.files.deny("a.jsonl", errno.ESTALE)
        scene.after(1, lambda: world.files.deny("a.jsonl", 0))

    ran = world.run(script=script)
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert starts(ran) == []
    assert [one.after for one in world.ledger.moves()] == [EntryState.ACCEPTED]


def test_a_touched_file_whose_file_system_stays_away_keeps_its_receipt() -> None:
    """It is not sent without a comparison; the run says so, and the next one compares."""
    world = _touched()
    ran = world.run(script=lambda _: world.files.deny("a.jsonl", errno.ESTALE))
    assert ended(ran) == (EntryState.ACCEPTED, None)
    assert starts(ran) == []
    (notice,) = [one for _, one in ran.told.events if isinstance(one, Noticed)]
    assert notice.path == "a.jsonl"
    assert STALE in notice.message
    world.files.deny("a.jsonl", 0)
    world.files.write_size("a.jsonl", 1000)
    assert len(starts(world.run())) == 1


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
