"""What a file at the server is compared with: the hash of what was sent, the file itself, or ranges of it."""

from __future__ import annotations

import pytest

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.doubt.content import ComparedBy
from bulk_upload.core.events import AttemptEnded
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings
from tests.engine.doubt.compared_world import (
    LARGE_BYTES,
    SIZE,
    SMALL_LIMIT,
    a_world,
    compared,
    detail,
    ended,
    stranger,
)
from tests.fakes.fates import Fate
from tests.fakes.world import Scene


@pytest.mark.parametrize("what", ["changed", "gone"])
@pytest.mark.parametrize("hashing", [True, False])
def test_what_was_sent_must_be_known(what: str, hashing: bool) -> None:
    """The hash of the attempt, or the file as it was then: without either the entry stays in doubt."""
    world = a_world(Fate.LOSE_STORED)
    function = HashFunction.SHA256 if hashing else None
    settings = RunSettings(hashing=function)

    def script(scene: Scene) -> None:
        def lose_the_file(event: object) -> None:
            if isinstance(event, AttemptEnded) and event.path == "a.jsonl":
                world.files.remove("a.jsonl")
                if what == "changed":
                    world.files.write_size("a.jsonl", SIZE)

        scene.hooks.append(lose_the_file)

    world.run(settings, script=script)
    state, reason = ended(world)
    if hashing:
        assert state is EntryState.ACCEPTED
        return
    assert state is EntryState.IN_DOUBT
    assert "no hash of what was sent is known" in (reason or "")


def test_what_was_sent_need_not_be_known_where_nothing_is_returned() -> None:
    """A server that returns no content leaves nothing to compare: the match counts by its time, as always there."""
    world = a_world(Fate.LOSE_STORED, returns_content=False)

    def script(scene: Scene) -> None:
        scene.hooks.append(
            lambda event: world.files.remove("a.jsonl") if isinstance(event, AttemptEnded) else None
        )

    world.run(RunSettings(hashing=None), script=script)
    assert ended(world)[0] is EntryState.ACCEPTED


def test_without_hashing_the_file_itself_is_compared() -> None:
    """`--hash off` keeps no hash; the file is still there to be hashed."""
    world = a_world(Fate.LOSE_STORED)
    theirs = stranger(world)
    world.run(RunSettings(hashing=None))
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert world.ledger.current_receipts()["a.jsonl"] != theirs


def test_a_large_file_is_compared_by_ranges() -> None:
    """Above the limit a part is read, from the first byte to the last."""
    world = a_world(Fate.LOSE_STORED, size=LARGE_BYTES)
    ran = world.run(SMALL_LIMIT)
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert detail(world) == "content compared by ranges"
    (one,) = compared(ran)
    assert (one.same, one.by, one.read_bytes) == (True, ComparedBy.RANGES, 1024 * 1024)


def test_ranges_tell_look_alikes_apart_too() -> None:
    """A large file of another has other bytes where it is looked at."""
    world = a_world(Fate.LOSE_STORED, size=LARGE_BYTES)
    theirs = stranger(world, size=LARGE_BYTES)
    ran = world.run(SMALL_LIMIT)
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert {one.file_id: one.same for one in compared(ran)}[theirs] is False


def test_a_large_file_is_read_whole_where_ranges_are_not_served() -> None:
    """A server that ignores ranges costs the whole file, and no less is believed."""
    world = a_world(Fate.LOSE_STORED, size=LARGE_BYTES, serves_ranges=False)
    ran = world.run(SMALL_LIMIT)
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert detail(world) == "content compared whole"
    (one,) = compared(ran)
    assert one.read_bytes == LARGE_BYTES


def test_a_large_file_that_is_gone_is_compared_by_its_hash() -> None:
    """Ranges need the file; the hash of all of it is in the ledger."""
    world = a_world(Fate.LOSE_STORED, size=LARGE_BYTES)

    def script(scene: Scene) -> None:
        def gone(event: object) -> None:
            if isinstance(event, AttemptEnded) and event.path == "a.jsonl":
                world.files.remove("a.jsonl")

        scene.hooks.append(gone)

    ran = world.run(SMALL_LIMIT, script=script)
    assert ended(world)[0] is EntryState.ACCEPTED
    assert compared(ran)[0].by is ComparedBy.WHOLE
