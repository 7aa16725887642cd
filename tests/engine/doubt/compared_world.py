"""A job with one upload that may be in doubt, and what became of its comparison."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bulk_upload.core.doubt.content import ReadBack
from bulk_upload.core.events import ContentCompared
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.edge.transport import NoAnswer
from tests.fakes.fates import Fate
from tests.fakes.server_settings import ServerSettings
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
