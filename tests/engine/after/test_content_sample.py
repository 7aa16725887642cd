"""The closing check where the server's list shows no names, and sizes are equal."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.doubt.content import ReadBack
from bulk_upload.core.events import ContentCompared
from bulk_upload.core.model import EntryState
from bulk_upload.engine.after.content_sample import FILE_BYTES_MAX, NOT_TOLD_APART
from bulk_upload.exit_status import ExitStatus
from tests.engine.after.test_confirm import checked, copies, status, withdrawn, world_of, wrong_receipts
from tests.fakes.fates import Faults
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import Scene, World

NO_NAMES = replace(FLOW, keeps_names=False)


def source_of(world: World, file_id: str) -> str:
    """Return the path of the file that the server has under an id."""
    (source,) = [one.source for one in world.server.stored if one.file_id == file_id]
    return world.files.path_of(source)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_contents_show_crossed_answers(share: float) -> None:
    """A content that is another upload's makes its receipt false, and those that were not read back doubtful.

    The next run reads these back, too.
    """
    world = world_of(40)
    world.server.faults = Faults(crossed_id=share)
    ran = world.run(profile=NO_NAMES)
    before = {one.path: one.receipt.file_id for one in ran.told.settled() if one.receipt is not None}
    assert (wrong_receipts(world), copies(world)) == ([], [])
    assert status(ran) is ExitStatus.IN_DOUBT
    assert checked(ran).request_count <= 10
    assert checked(ran).in_doubt_count == len(withdrawn(ran)) > 20
    right = {path for path, file_id in before.items() if source_of(world, file_id) == path}
    again = world.run(profile=NO_NAMES)
    assert again.told.started() == []
    assert (wrong_receipts(world), copies(world)) == ([], [])
    accepted = {path for path, state in world.states().items() if state is EntryState.ACCEPTED}
    assert accepted == right


def test_one_garbled_content_withdraws_nothing() -> None:
    """An answer that is not the file's content is asked for again."""
    world = world_of(40)

    def garble(scene: Scene) -> None:
        read_back = scene.transport.read_back
        answers = [ReadBack(read_bytes=28, total_bytes=28)]

        async def garbled(file_id: str, **options: Any) -> ReadBack:
            back = await read_back(file_id, **options)
            return answers.pop() if answers else back

        scene.transport.read_back = garbled  # type: ignore[method-assign]

    ran = world.run(profile=NO_NAMES, script=garble)
    assert (withdrawn(ran), status(ran)) == ({}, ExitStatus.DONE)


@pytest.mark.parametrize("returns_content", [True, False])
def test_what_nothing_tells_apart_is_said(returns_content: bool) -> None:
    """A sample that agrees leaves the others accepted, and the result says how many were compared by their size alone."""
    world = world_of(40, server=ServerSettings(returns_content=returns_content))
    ran = world.run(profile=NO_NAMES)
    assert (withdrawn(ran), status(ran)) == ({}, ExitStatus.DONE)
    said = checked(ran)
    assert (said.checked_count, said.reason) == (9 if returns_content else 0, NOT_TOLD_APART)
    assert said.request_count == (10 if returns_content else 2)


@pytest.mark.parametrize("how", ["other sizes", "large", "names"])
def test_whose_content_is_not_read(how: str) -> None:
    """A file of another size than all others, a large one, and one that is shown with its name."""
    world = World()
    for number in range(4):
        size = FILE_BYTES_MAX + 1 if how == "large" else 500 + (number if how == "other sizes" else 0)
        world.add(f"{number}.jsonl", size)
    profile = FLOW if how == "names" else NO_NAMES
    ran = world.run(profile=profile)
    assert not any(isinstance(one, ContentCompared) for _, one in ran.told.events)
    assert checked(ran).checked_count == (4 if how in ("other sizes", "names") else 0)


def test_a_server_that_changes_contents_proves_nothing_with_them() -> None:
    """No content is as it was sent, nor as another file's: that is how the server returns them."""
    world = world_of(8)
    world.server.content_of = lambda _: b"x" * 1000
    ran = world.run(profile=NO_NAMES)
    assert (withdrawn(ran), status(ran)) == ({}, ExitStatus.DONE)
