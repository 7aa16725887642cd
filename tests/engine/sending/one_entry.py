from __future__ import annotations

import errno
import os

from msgspec.structs import replace

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.events import AttemptEnded, AttemptStarted
from bulk_upload.core.model import EntryState
from tests.fakes.fates import Fate
from tests.fakes.world import Ran, World

STALE = f"cannot read the file: {os.strerror(errno.ESTALE)}"
NO_LIST = replace(FLOW, name="no-list", can_list=False)


def world_of(*fates: Fate, size: int = 1000) -> World:
    """Return a world with one entry whose first requests meet these fates."""
    world = World()
    world.add("a.jsonl", size)
    world.server.script("a.jsonl", *fates)
    return world


def ended(ran: Ran, path: str = "a.jsonl") -> tuple[EntryState, str | None]:
    """Return the one ending of an entry."""
    (ending,) = [one for one in ran.told.settled() if one.path == path]
    assert ran.scene.violations == []
    assert sorted(ran.told.started()) == sorted(ran.told.ended())
    return ending.state, ending.reason


def starts(ran: Ran) -> list[float]:
    return [at - ran.began_at for at, one in ran.told.events if isinstance(one, AttemptStarted)]


def outcomes(ran: Ran) -> list[str]:
    return [type(one.outcome).__name__ for _, one in ran.told.events if isinstance(one, AttemptEnded)]
