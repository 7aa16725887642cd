"""A file that the list shows is compared by content before it becomes a receipt."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload.core.doubt.content import ComparedBy, ReadBack
from bulk_upload.core.events import AttemptEnded, AttemptStarted, ContentCompared
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.doubt.comparing import COMPARED_AT_ONCE_MAX
from tests.fakes.server import Fate, ServerSettings
from tests.fakes.world import PURPOSE, Scene, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.world import Ran

SIZE = 1000
LARGE_BYTES = 3 * 1024 * 1024
SMALL_LIMIT = RunSettings(compare_max_bytes=0)
"""Ranges of 64 KiB: a megabyte in all."""


def a_world(*fates: Fate, size: int = SIZE, others: int = 1, **settings: Any) -> World:
    """Return a job of `a.jsonl`, whose requests meet these fates, and of files that are accepted before it."""
    world = World(server=ServerSettings(latency_s=(0.01, 0.01), **settings))
    for number in range(others):
        world.add(f"before-{number}.jsonl", 50 + number)
    world.add("a.jsonl", size)
    world.server.script("a.jsonl", *fates)
    return world


def stranger(world: World, *, at_s: float = 0.05, size: int = SIZE, content: bytes | None = None) -> str:
    """Store another's file that looks like ours, some time from now; return its id."""
    file = world.server.add_stranger("a.jsonl", size=size, purpose=PURPOSE, stored_at=world.now + at_s)
    file.content = content
    return file.file_id


def ours(world: World) -> bytes:
    found = world.files.find("a.jsonl")
    assert found is not None
    return found.content


def compared(ran: Ran) -> list[ContentCompared]:
    """Return what was compared of `a.jsonl`."""
    events = [event for _, event in ran.told.events if isinstance(event, ContentCompared)]
    return [one for one in events if one.path == "a.jsonl"]


def ended(world: World) -> tuple[EntryState, str | None]:
    """Return the state of `a.jsonl` and why."""
    return world.states()["a.jsonl"], world.ledger.reason("a.jsonl")


def own_copies(world: World) -> int:
    """Return how many copies of `a.jsonl` this job has at the server."""
    return sum(one.filename == "a.jsonl" and one.source > 0 for one in world.server.stored)


def detail(world: World) -> str | None:
    """Return how the file that was adopted was compared, as the ledger has it."""
    ((text,),) = world.ledger.connection.execute(
        "SELECT detail FROM decisions WHERE decision LIKE 'adopted %'"
    )
    return None if text is None else str(text)


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
            return ReadBack(sha256="f" * 64, read_bytes=back.read_bytes, total_bytes=back.total_bytes)

        scene.transport.read_back = changed  # type: ignore[method-assign]

    world.run(script=changes)
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert detail(world) == "content not compared: the server does not return content as it was sent"
    assert own_copies(world) == 1


GARBLED = ReadBack(sha256=None, read_bytes=28, total_bytes=28)
CUT_UP = ReadBack(sha256="e" * 64, read_bytes=SIZE, total_bytes=SIZE)


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


@pytest.mark.parametrize("what", ["changed", "gone"])
@pytest.mark.parametrize("hashing", [True, False])
def test_what_was_sent_must_be_known(what: str, hashing: bool) -> None:
    """The hash of the attempt, or the file as it was then: without either the entry stays in doubt."""
    world = a_world(Fate.LOSE_STORED)
    settings = RunSettings(hashing=hashing)

    def script(scene: Scene) -> None:
        def lose_the_file(event: object) -> None:
            if isinstance(event, AttemptEnded) and event.path == "a.jsonl":
                world.files.remove("a.jsonl")
                if what == "changed":
                    world.files.write_size("a.jsonl", SIZE)

        scene.reader.hashing = hashing
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
        scene.reader.hashing = False
        scene.hooks.append(
            lambda event: world.files.remove("a.jsonl") if isinstance(event, AttemptEnded) else None
        )

    world.run(RunSettings(hashing=False), script=script)
    assert ended(world)[0] is EntryState.ACCEPTED


def test_without_hashing_the_file_itself_is_compared() -> None:
    """`--hash off` keeps no hash; the file is still there to be hashed."""
    world = a_world(Fate.LOSE_STORED)
    theirs = stranger(world)
    world.run(RunSettings(hashing=False), script=lambda scene: setattr(scene.reader, "hashing", False))
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


def test_a_content_that_cannot_be_read_now_leaves_the_doubt_for_the_next_run() -> None:
    """A failure is no evidence: nothing is adopted and nothing sent, until the server answers."""
    world = a_world(Fate.LOSE_STORED)
    world.run(
        script=reading(NoAnswer("reading file-2 back gave no usable answer (HTTP 503)", http_status=503))
    )
    state, reason = ended(world)
    assert state is EntryState.IN_DOUBT
    assert "its content cannot be compared now" in (reason or "")
    world.run()
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert own_copies(world) == 1


@pytest.mark.parametrize("status", [302, 400, 403, 409, 410])
def test_a_refusal_is_a_server_without_contents(status: int) -> None:
    """Some servers return only files of some purposes: then there is nothing to compare."""
    world = a_world(Fate.LOSE_STORED)
    world.run(script=reading(NoAnswer(f"refused (HTTP {status})", http_status=status)))
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert detail(world) == f"content not compared: refused (HTTP {status})"


def test_a_wait_that_the_server_asks_for_is_kept() -> None:
    """A Retry-After in answer to a content holds it back, and no slot."""
    world = a_world(Fate.LOSE_STORED)
    asked_at: list[float] = []

    def throttle(scene: Scene) -> None:
        read_back = scene.transport.read_back

        async def throttled(file_id: str, **options: Any) -> ReadBack:
            asked_at.append(scene.loop.time())
            if len(asked_at) == 1:
                raise NoAnswer("HTTP 429", http_status=429, retry_after_s=60.0)
            return await read_back(file_id, **options)

        scene.transport.read_back = throttled  # type: ignore[method-assign]

    world.run(script=throttle)
    assert ended(world) == (EntryState.ACCEPTED, None)
    assert len(asked_at) == 2
    assert asked_at[1] - asked_at[0] >= 60.0


def test_a_drain_ends_a_comparison() -> None:
    """A content that never comes does not hold up the end of a run."""
    world = a_world(Fate.LOSE_STORED)

    def script(scene: Scene) -> None:
        reading_for(3600.0)(scene)
        scene.after(5.0, scene.drain)

    ran = world.run(script=script)
    assert ran.lasted_s < 5.5
    assert ended(world) == (EntryState.IN_DOUBT, "the run ended before the server's file could be compared")
    world.run()
    assert ended(world) == (EntryState.ACCEPTED, None)


def test_comparisons_hold_no_slot_and_are_few_at_once() -> None:
    """While contents are read, uploads go on; the line is not filled with downloads."""
    world = World(server=ServerSettings(latency_s=(0.01, 0.01)))
    lost = [f"{number}.jsonl" for number in range(6)]
    for path in lost:
        world.add(path, 100)
        world.server.script(path, Fate.LOSE_STORED)
    for number in range(20):
        world.add(f"later-{number}.jsonl", 100)
    most = [0]

    def script(scene: Scene) -> None:
        reading_for(30.0, most)(scene)

    ran = world.run(RunSettings(concurrency=1), script=script)
    assert set(world.states().values()) == {EntryState.ACCEPTED}
    assert most == [COMPARED_AT_ONCE_MAX]
    last_started_s = max(at for at, one in ran.told.events if isinstance(one, AttemptStarted))
    assert last_started_s - ran.began_at < 30.0
    assert ran.scene.violations == []


def reading(error: NoAnswer) -> Callable[[Scene], None]:
    """Return a script in which every content fails with an error."""

    def script(scene: Scene) -> None:
        async def fails(file_id: str, **options: Any) -> ReadBack:
            del file_id, options
            await asyncio.sleep(0.01)
            raise error

        scene.transport.read_back = fails  # type: ignore[method-assign]

    return script


def garbling(world: World, *answers: ReadBack) -> Callable[[Scene], None]:
    """Return a script in which the first contents of `a.jsonl` are these."""
    left = list(answers)

    def script(scene: Scene) -> None:
        read_back = scene.transport.read_back

        async def garbled(file_id: str, **options: Any) -> ReadBack:
            back = await read_back(file_id, **options)
            names = {one.file_id: one.filename for one in world.server.stored}
            return left.pop(0) if left and names[file_id] == "a.jsonl" else back

        scene.transport.read_back = garbled  # type: ignore[method-assign]

    return script


def reading_for(seconds: float, most: list[int] | None = None) -> Callable[[Scene], None]:
    """Return a script in which every content takes so long; `most` has how many were read at once."""
    running = [0]

    def script(scene: Scene) -> None:
        read_back = scene.transport.read_back

        async def slow(file_id: str, **options: Any) -> ReadBack:
            running[0] += 1
            try:
                if most is not None:
                    most[0] = max(most[0], running[0])
                await asyncio.sleep(seconds)
                return await read_back(file_id, **options)
            finally:
                running[0] -= 1

        scene.transport.read_back = slow  # type: ignore[method-assign]

    return script
