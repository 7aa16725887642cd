"""A file that the list shows is compared by content before it becomes a receipt."""

from __future__ import annotations

from typing import Any

import pytest

from bulk_upload.core.doubt.content import ComparedBy, ReadBack
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings
from tests.engine.doubt.compared_world import (
    SIZE,
    a_world,
    compared,
    detail,
    ended,
    garbling,
    ours,
    own_copies,
    stranger,
)
from tests.fakes.fates import Fate
from tests.fakes.world import Scene


def test_a_match_is_read_back_once_and_adopted() -> None:
    """The ledger says that the content was compared, and the event how much of it was read."""
    world = a_world(Fate.LOSE_STORED)
    ran = world.run()
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert detail(world) == "content compared whole"
    (one,) = compared(ran)
    assert (one.same, one.by, one.read_bytes) == (True, ComparedBy.WHOLE, SIZE)


def test_a_strangers_file_is_not_ours() -> None:
    """The only match has other content: ours is absent, and is sent again."""
    world = a_world(Fate.FAIL_UNSTORED)
    theirs = stranger(world)
    ran = world.run()
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert world.ledger.current_receipts()["a.jsonl"] != theirs
    assert own_copies(world) == 1
    # However often the list shows it, it is read once.
    assert [(one.file_id, one.same) for one in compared(ran)] == [(theirs, False)]


def test_a_strangers_file_decides_nothing_before_the_server_gave_one_of_ours_back() -> None:
    """A server that never showed that it returns what it was sent may have changed our file."""
    world = a_world(Fate.FAIL_UNSTORED, others=0)
    theirs = stranger(world)
    world.run()
    state, reason = ended(world)
    assert state is EntryState.IN_DOUBT
    assert theirs in (reason or "")
    assert "other content than what was sent" in (reason or "")


def test_a_file_that_is_accepted_later_shows_how_the_server_returns_content() -> None:
    """The first upload of a run is lost, beside a stranger's file: the receipts that follow decide it."""
    world = a_world(Fate.FAIL_UNSTORED, others=0)
    theirs = stranger(world)
    for number in range(3):
        world.add(f"after-{number}.jsonl", 50)
    ran = world.run(RunSettings(concurrency=1))
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert world.ledger.current_receipts()["a.jsonl"] != theirs
    assert len(compared(ran)) <= 2


def test_ours_is_told_from_a_strangers() -> None:
    """Two files of the same name, size and purpose: the content says which is ours."""
    world = a_world(Fate.LOSE_STORED)
    theirs = stranger(world)
    world.run()
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert world.ledger.current_receipts()["a.jsonl"] != theirs
    assert own_copies(world) == 1


def test_the_same_bytes_twice_stay_in_doubt() -> None:
    """Whoever sent the other copy: which one is ours cannot be told."""
    world = a_world(Fate.LOSE_STORED)
    theirs = stranger(world, content=ours(world))
    world.run()
    state, reason = ended(world)
    assert state is EntryState.IN_DOUBT
    assert "2 files on the server have the content that was sent" in (reason or "")
    assert theirs in (reason or "")


def test_the_same_bytes_after_the_attempt_stay_in_doubt() -> None:
    """A file that was made seconds after the answer was lost may be another job's."""
    world = a_world(Fate.FAIL_UNSTORED)
    stranger(world, at_s=6.0, content=ours(world))
    world.run()
    state, reason = ended(world)
    assert state is EntryState.IN_DOUBT
    assert "not during the attempt" in (reason or "")


def test_a_copy_that_the_list_shows_later_counts() -> None:
    """Ours shows a moment after another's: neither is taken for the only one."""
    world = a_world(Fate.LOSE_STORED, list_lag_s=2.0)
    stranger(world, content=ours(world))
    world.run()
    assert ended(world)[0] is EntryState.IN_DOUBT


@pytest.mark.parametrize("at_s", [0.05, 6.0])
def test_without_contents_only_the_only_match_of_the_attempts_time_counts(at_s: float) -> None:
    """A server that returns no content: alone and in time is adopted, and what was not compared is recorded."""
    world = a_world(Fate.LOSE_STORED, returns_content=False)
    ran = world.run()
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert detail(world) == "content not compared: the server returns no content, HTTP 404"
    assert [(one.same, one.by, one.read_bytes) for one in compared(ran)] == [(None, ComparedBy.NONE, 0)]

    world = a_world(Fate.LOSE_STORED, returns_content=False)
    stranger(world, at_s=at_s)
    world.run()
    if at_s < 1:
        state, reason = ended(world)
        assert state is EntryState.IN_DOUBT
        assert "2 files on the server match" in (reason or "")

    world = a_world(Fate.FAIL_UNSTORED, returns_content=False)
    stranger(world, at_s=6.0)
    world.run()
    state, reason = ended(world)
    assert state is EntryState.IN_DOUBT
    assert "does not show that the attempt made it" in (reason or "")


def test_a_server_that_changes_contents_is_not_believed() -> None:
    """It returns none of our files as it was sent: then contents rule nothing out, and nothing is sent twice."""
    world = a_world(Fate.LOSE_STORED)

    def changes(scene: Scene) -> None:
        read_back = scene.transport.read_back

        async def changed(file_id: str, **options: Any) -> ReadBack:
            back = await read_back(file_id, **options)
            return ReadBack(hashes=("f" * 64,), read_bytes=back.read_bytes, total_bytes=back.total_bytes)

        scene.transport.read_back = changed  # type: ignore[method-assign]

    world.run(script=changes)
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert detail(world) == "content not compared: the server does not return content as it was sent"
    assert own_copies(world) == 1


GARBLED = ReadBack(read_bytes=28, total_bytes=28)
CUT_UP = ReadBack(hashes=("e" * 64,), read_bytes=SIZE, total_bytes=SIZE)


@pytest.mark.parametrize("answer", [GARBLED, CUT_UP], ids=["another length", "the same length"])
def test_one_garbled_content_proves_nothing(answer: ReadBack) -> None:
    """The server returns our other files as they were sent, and one answer is broken: the file is read again, and found."""
    world = a_world(Fate.LOSE_STORED)
    ran = world.run(script=garbling(world, answer))
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert own_copies(world) == 1
    assert [one.same for one in compared(ran)] == [True]


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ((GARBLED, CUT_UP), "the server returned two different contents of it"),
        # A gateway's page, however often it comes, is not the content of the file that the list shows.
        ((GARBLED, GARBLED), "has another length than the server shows"),
    ],
    ids=["two different contents", "as long as the list does not say"],
)
def test_what_proves_no_content_leaves_the_doubt_for_the_next_run(
    answers: tuple[ReadBack, ...], why: str
) -> None:
    """The file stays in doubt until the next run reads it."""
    world = a_world(Fate.LOSE_STORED)
    world.run(script=garbling(world, *answers))
    state, reason = ended(world)
    assert state is EntryState.IN_DOUBT
    assert why in (reason or "")
    world.run()
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert own_copies(world) == 1
