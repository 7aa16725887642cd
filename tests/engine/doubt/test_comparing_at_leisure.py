"""Contents that cannot be read now, or not yet: what a comparison waits for, and what ends it."""

from __future__ import annotations

from typing import Any

import pytest

from bulk_upload.core.doubt.content import ReadBack
from bulk_upload.core.events import AttemptStarted
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.doubt.comparing import COMPARED_AT_ONCE_MAX
from tests.engine.doubt.compared_world import (
    a_world,
    detail,
    ended,
    own_copies,
    reading,
    reading_for,
)
from tests.fakes.fates import Fate
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import Scene, World


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
