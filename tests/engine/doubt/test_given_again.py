"""Servers that make ids of contents or names give an id again to a later version of the same file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from bulk_upload.core.model import EntryState
from bulk_upload.exit_status import ExitStatus
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.server import Request
    from tests.fakes.world import Ran, Scene

PATH = "f1.jsonl"
ROWS = {"A": b"a" * 1000, "B": b"b" * 1000, "C": b"c" * 1200}


def by_content(_: str, content: bytes) -> str:
    """Return an id as a store makes it that keeps equal contents once."""
    return f"file-{hashlib.sha256(content).hexdigest()[:12]}"


def by_name(name: str, _: bytes) -> str:
    """Return an id as a store makes it that replaces files of the same name."""
    return f"file-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def ending(ran: Ran) -> tuple[ExitStatus, int]:
    """Return the verdict of a run that ended by itself, and how many uploads it began."""
    assert ran.result is not None
    return ran.result.status, len(ran.told.started())


def changing(versions: str, world: World) -> list[tuple[ExitStatus, int]]:
    """Return how each run ended, of one after each change of a file."""
    world.add(PATH)
    # Another file of the job shows that the server returns contents as they were sent.
    world.add("other.jsonl", 700)
    endings = []
    for version in versions:
        world.files.write(PATH, ROWS[version])
        endings.append(ending(world.run()))
        world.now += 100.0
    return endings


@pytest.mark.parametrize("id_of", [by_content, by_name], ids=["content", "name"])
@pytest.mark.parametrize("versions", ["ABA", "ABABA", "ACAB"])
def test_a_file_that_is_changed_back_takes_its_id_back(
    versions: str, id_of: Callable[[str, bytes], str]
) -> None:
    """Each version is sent once and accepted, and the id is of the version that the server has under it."""
    world = World(server=ServerSettings(id_of=id_of))
    first, *later = changing(versions, world)
    assert first == (ExitStatus.DONE, 2)
    assert later == [(ExitStatus.DONE, 1)] * len(later)
    assert world.ledger.current_receipts()[PATH] == id_of(PATH, ROWS[versions[-1]])
    assert world.ledger.complaints() == []
    assert ending(world.run()) == (ExitStatus.DONE, 0)


def test_an_id_that_is_given_again_is_not_believed_without_its_content() -> None:
    """The file may be the earlier version: it is sent once, and in doubt with that reason until a person settles it."""
    world = World(server=ServerSettings(id_of=by_content, returns_content=False))
    assert changing("ABA", world)[2] == (ExitStatus.IN_DOUBT, 1)
    assert world.states()[PATH] is EntryState.IN_DOUBT
    assert ending(world.run()) == (ExitStatus.IN_DOUBT, 0)


def test_an_id_that_is_given_again_for_a_file_that_was_not_replaced_is_in_doubt() -> None:
    """A server that keeps the first file of a name is not sent the second one again and again."""
    world = World(server=ServerSettings(id_of=by_name))
    world.server.content_of = lambda _: ROWS["A"]
    assert changing("AB", world)[1] == (ExitStatus.IN_DOUBT, 1)
    assert ending(world.run()) == (ExitStatus.IN_DOUBT, 0)


def test_an_answer_with_the_id_of_the_earlier_version_does_not_hide_the_file() -> None:
    """The file is in the list under an id of its own, with the content that was sent."""
    world = World()
    assert changing("A", world) == [(ExitStatus.DONE, 2)]
    (older,) = (one.file_id for one in world.server.stored if one.filename == PATH)
    world.files.write(PATH, ROWS["B"])

    def answers_with_older(_: Scene) -> None:
        begin = world.server.begin

        def begun(sent_name: str) -> Request:
            request = begin(sent_name)
            request.answers_with = older
            return request

        world.server.begin = begun  # type: ignore[method-assign]

    assert ending(world.run(script=answers_with_older)) == (ExitStatus.DONE, 1)
    assert world.ledger.current_receipts()[PATH] == world.server.stored[-1].file_id != older
    assert world.ledger.complaints() == []
