"""Runs that hash with different functions: a hash is compared only with one of the same function."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.events import Noticed
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings
from tests.engine.sending.one_entry import ended, starts, world_of
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import World

SHA256 = RunSettings(hashing=HashFunction.SHA256)
BLAKE3 = RunSettings(hashing=HashFunction.BLAKE3)
OFF = RunSettings(hashing=None)


def functions(world: World) -> list[str | None]:
    """Return what made the hash in each receipt, in their order."""
    rows = world.ledger.connection.execute(
        "SELECT iif(sha256 IS NOT NULL, 'sha256', iif(blake3 IS NOT NULL, 'blake3', NULL))"
        " FROM receipts ORDER BY receipt_id"
    )
    return [word for (word,) in rows]


@given(
    story=st.lists(
        st.tuples(
            st.sampled_from([SHA256, BLAKE3, OFF]),
            st.sampled_from(["nothing", "touch", "link", "other content"]),
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=40, deadline=None)
def test_only_other_content_is_sent_whatever_the_runs_hash_with(
    story: list[tuple[RunSettings, str]],
) -> None:
    """No change of `--hash` makes a file look changed, and none hides a change."""
    pytest.importorskip("blake3")
    world, sent_with = World(), []
    world.add("a.jsonl")
    for number, (how, change) in enumerate(story):
        if number and change == "touch":
            world.files.touch("a.jsonl")
        elif number and change == "link":
            world.files.link("a.jsonl")
        elif number and change == "other content":
            world.files.write_size("a.jsonl", 1000)
        ran = world.run(how)
        is_sent = not number or change == "other content"
        assert world.states() == {"a.jsonl": EntryState.ACCEPTED}
        assert len(starts(ran)) == int(is_sent)
        if is_sent:
            sent_with.append(how.hashing)
    made = functions(world)
    assert len(made) == len(sent_with)
    # A receipt without a hash may get one later, once its file was compared.
    assert all(wanted in (None, found) for wanted, found in zip(sent_with, made, strict=True))


@pytest.mark.parametrize("later", [SHA256, OFF])
def test_a_receipt_keeps_its_hash(later: RunSettings) -> None:
    """A touched file is hashed as its receipt was, and read by no request."""
    pytest.importorskip("blake3")
    world = world_of()
    world.run(BLAKE3)
    world.files.touch("a.jsonl")
    ran = world.run(later)
    assert (ended(ran), starts(ran)) == ((EntryState.ACCEPTED, None), [])
    assert (functions(world), world.server.content_count) == (["blake3"], 0)


def test_what_was_not_hashed_is_hashed_as_the_run_does_now() -> None:
    """The server's own copy tells that the touched file is the same; its receipt gets the hash of this run."""
    pytest.importorskip("blake3")
    world = world_of()
    world.run(OFF)
    world.files.touch("a.jsonl")
    ran = world.run(BLAKE3)
    assert (ended(ran), starts(ran)) == ((EntryState.ACCEPTED, None), [])
    assert functions(world) == ["blake3"]


@pytest.mark.parametrize("returns_content", [True, False])
@pytest.mark.parametrize("is_changed", [True, False])
def test_without_the_package_the_servers_copy_is_compared(
    monkeypatch: pytest.MonkeyPatch, returns_content: bool, is_changed: bool
) -> None:
    """What the server returns tells whether a touched file has changed; without that its receipt stays, and a note says so."""
    pytest.importorskip("blake3")
    world = World(server=ServerSettings(returns_content=returns_content))
    world.add("a.jsonl")
    world.run(BLAKE3)
    monkeypatch.setitem(sys.modules, "blake3", None)
    if is_changed:
        world.files.write_size("a.jsonl", 1000)
    else:
        world.files.touch("a.jsonl")
    ran = world.run(SHA256)
    assert ended(ran)[0] is EntryState.ACCEPTED
    assert len(starts(ran)) == int(returns_content and is_changed)
    notices = [event.message for _, event in ran.told.events if isinstance(event, Noticed)]
    assert any("bulk-upload[blake3]" in one for one in notices) is not returns_content
