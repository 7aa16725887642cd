"""Objects that are checked on their way: one read, and no last block before all of it is known to be good."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bulk_upload.core.events import DataFindings
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings, ValidateMode
from tests.fakes.validator import BAD, ODD, FakeValidator
from tests.fakes.world import LARGE_BYTES, World

ON = [ValidateMode.EACH, ValidateMode.AHEAD]
LARGE, SMALL = "s3://b/large.jsonl", "s3://b/small.jsonl"


def world_of(**contents: bytes) -> World:
    """A world with objects of these contents, and a file beside them."""
    world = World()
    world.add("file.jsonl", LARGE_BYTES)
    for name, content in contents.items():
        world.add(f"s3://b/{name}.jsonl", 1)
        world.files.write(f"s3://b/{name}.jsonl", content)
    return world


@pytest.mark.parametrize("mode", ON)
def test_an_invalid_object_is_never_completed(mode: ValidateMode) -> None:
    """Most of it may have left; the server has nothing of it, and the ledger says why."""
    world = world_of(large=BAD + b"." * LARGE_BYTES, small=BAD)
    validator = FakeValidator(world.files)
    ran = world.run(RunSettings(validate=mode), validator=validator)
    assert ran.scene.violations == []
    assert world.states() == {
        "file.jsonl": EntryState.ACCEPTED, LARGE: EntryState.INVALID, SMALL: EntryState.INVALID,
    }  # fmt: skip
    assert validator.looked.count(LARGE) == 1
    assert ran.scene.reader.opened.count(LARGE) == 1


@pytest.mark.parametrize("mode", ON)
def test_a_good_object_is_read_once(mode: ValidateMode) -> None:
    """What is worth a warning is sent, and the warning is told; nothing is read a second time."""
    world = world_of(large=ODD + b"." * LARGE_BYTES, small=b"good")
    validator = FakeValidator(world.files)
    ran = world.run(RunSettings(validate=mode), validator=validator)
    assert set(world.states().values()) == {EntryState.ACCEPTED}
    assert validator.looked.count(LARGE) == validator.looked.count(SMALL) == 1
    assert ran.scene.reader.opened.count(LARGE) == 1
    assert [one.path for _, one in ran.scene.told.events if isinstance(one, DataFindings)] == [LARGE]


def test_the_verdict_is_kept_for_the_next_run() -> None:
    """The next run neither reads nor sends the same version; another version is read again."""
    world = world_of(large=BAD + b"." * LARGE_BYTES)
    validator = FakeValidator(world.files)
    world.run(RunSettings(), validator=validator)
    ran = world.run(RunSettings(), validator=validator)
    assert world.states()[LARGE] is EntryState.INVALID
    assert ran.scene.reader.opened == []
    world.files.write(LARGE, b"good" + b"." * LARGE_BYTES)
    world.run(RunSettings(), validator=validator)
    assert world.states()[LARGE] is EntryState.ACCEPTED


def test_sent_all_the_same() -> None:
    """With --force an invalid object is completed."""
    world = world_of(large=BAD + b"." * LARGE_BYTES)
    settings = replace(RunSettings(), sends_invalid=True)
    world.run(settings, validator=FakeValidator(world.files))
    assert set(world.states().values()) == {EntryState.ACCEPTED}
