"""A lost answer is looked into by the hash of the attempt, whatever the next run hashes with."""

from __future__ import annotations

import sys

import pytest
from msgspec.structs import replace

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.doubt.content import ComparedBy
from bulk_upload.core.events import AttemptEnded
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings
from tests.engine.doubt.compared_world import (
    LARGE_BYTES,
    SMALL_LIMIT,
    a_world,
    compared,
    detail,
    ended,
    own_copies,
)
from tests.fakes.fates import Fate
from tests.fakes.world import Scene, World

BLAKE3 = RunSettings(hashing=HashFunction.BLAKE3)
SHA256 = RunSettings(hashing=HashFunction.SHA256)


def killed_with_blake3(size: int = 1000) -> World:
    """Return a job whose run was killed when its answer was lost; the server has the file."""
    pytest.importorskip("blake3")
    world = a_world(Fate.LOSE_STORED, size=size)

    def script(scene: Scene) -> None:
        def kill(event: object) -> None:
            if isinstance(event, AttemptEnded) and event.path == "a.jsonl":
                scene.kill()

        scene.hooks.append(kill)

    world.run(BLAKE3, script=script)
    assert own_copies(world) == 1
    return world


def receipt(world: World) -> tuple[str | None, str | None]:
    """Return the columns of the hash in the receipt of `a.jsonl`."""
    (row,) = world.ledger.connection.execute(
        "SELECT r.sha256, r.blake3 FROM receipts r JOIN entries e USING (receipt_id) WHERE e.path = ?",
        (b"a.jsonl",),
    )
    return row[0], row[1]


def test_the_hash_of_the_dead_run_decides() -> None:
    """The file is gone by now, and the next run hashes with another function: the attempt's hash still proves the file."""
    world = killed_with_blake3()
    world.files.remove("a.jsonl")
    world.run(SHA256)
    assert (ended(world)[0], detail(world)) == (EntryState.ACCEPTED, "content compared whole")
    assert own_copies(world) == 1
    sha256, blake3 = receipt(world)
    assert (sha256, blake3 is not None) == (None, True)


@pytest.mark.parametrize("what", ["unchanged", "gone"])
def test_without_the_package_the_file_itself_decides(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """As with `--hash off`: it is still there to be hashed, or the entry stays in doubt and says why."""
    world = killed_with_blake3()
    monkeypatch.setitem(sys.modules, "blake3", None)
    if what == "gone":
        world.files.remove("a.jsonl")
    world.run(SHA256)
    state, reason = ended(world)
    assert own_copies(world) == 1
    if what == "unchanged":
        assert state is EntryState.ACCEPTED
        return
    assert state is EntryState.IN_DOUBT
    assert "bulk-upload[blake3]" in (reason or "")


@pytest.mark.parametrize("later", [BLAKE3, SHA256])
def test_ranges_are_compared_by_the_function_of_the_attempt(later: RunSettings) -> None:
    """Both sides of a comparison by ranges are hashed alike."""
    world = killed_with_blake3(size=LARGE_BYTES)
    ran = world.run(replace(later, compare_max_bytes=SMALL_LIMIT.compare_max_bytes))
    assert [(one.same, one.by) for one in compared(ran)] == [(True, ComparedBy.RANGES)]
    assert (ended(world)[0], own_copies(world)) == (EntryState.ACCEPTED, 1)
