"""Answers that name other files, by how much the names and sizes in the list can show of it.

Long version, 40 jobs for each combination: pytest -m soak tests/engine/doubt/test_evidence_matrix.py
"""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import product
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.exit_status import ExitStatus
from tests.fakes.fates import Fate, Faults
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.api.profile import Profile

FILE_COUNT = 8
SEEDS = range(2)
SETTINGS = RunSettings(concurrency=4)


def hashed(name: str) -> str:
    """Return a name that shows nothing of the one that was sent."""
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def underlined(name: str) -> str:
    """Return a name as servers store it that dislike some signs."""
    return name.replace("-", "_")


class Names(msgspec.Struct, frozen=True):
    """What a server does to names and purposes, and what the profile says of it."""

    profile: Profile
    name_of: Callable[[str], str] = str
    purpose_of: Callable[[str], str] = str


FAULTS = {
    "crossed": Faults(crossed_id=0.6),
    "swapped names": Faults(other_file=0.4),
    "foreign": Faults(any_id=0.4),
    "repeated": Faults(other_id=0.3, lose_stored=0.2),
    "all": Faults(crossed_id=0.3, any_id=0.1, other_id=0.1, other_file=0.1, lose_stored=0.1),
}
SIZES = {"equal": (500,), "different": tuple(range(500, 500 + FILE_COUNT))}
RENAMING = replace(FLOW, keeps_names=False)
NAMES = {
    "kept": Names(FLOW),
    "respelt": Names(FLOW, underlined),
    "changed": Names(FLOW, hashed),
    "no evidence": Names(RENAMING),
    "no evidence, changed": Names(RENAMING, hashed),
    "purposes respelt": Names(FLOW, str, underlined),
}


def wrong_receipts(world: World) -> list[str]:
    """Return the accepted entries whose receipt is for another file than theirs."""
    sources = {one.file_id: one.source for one in world.server.stored}
    states = world.states()
    return [
        path
        for path, file_id in world.ledger.current_receipts().items()
        if states[path] is EntryState.ACCEPTED and world.files.path_of(sources[file_id]) != path
    ]


def copies(world: World) -> list[str]:
    """Return the paths of which the server has more than one copy."""
    stored = Counter(world.files.path_of(one.source) for one in world.server.stored if one.source)
    return sorted(path for path, count in stored.items() if count > 1)


def live(seed: int, faults: str, sizes: str, names: str) -> World:
    """Run a job twice at a server that errs, and twice once it is sound; return the world."""
    how = NAMES[names]
    server = ServerSettings(name_of=how.name_of, purpose_of=how.purpose_of)
    world = World(f"matrix {seed}", faults=FAULTS[faults], server=server)
    for number in range(FILE_COUNT):
        world.add(f"f-{number}.jsonl", SIZES[sizes][number % len(SIZES[sizes])])
    for run_no in range(4):
        if run_no == 2:
            world.server.heal()
        ran = world.run(SETTINGS, profile=how.profile)
        assert ran.result is not None
        assert copies(world) == []
        assert ran.result.status in (ExitStatus.DONE, ExitStatus.IN_DOUBT)
        assert ran.result.status is ExitStatus.IN_DOUBT or wrong_receipts(world) == []
        assert ran.scene.violations == []
        assert world.ledger.complaints() == []
        world.now += 100.0
    return world


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("faults", FAULTS)
def test_no_receipt_is_wrong_and_nothing_is_doubled(faults: str, sizes: str, names: str) -> None:
    """Whatever ids a server mixes up, in the end each entry has its own file, or is in doubt with a reason."""
    for seed in SEEDS:
        world = live(seed, faults, sizes, names)
        assert wrong_receipts(world) == []
        in_doubt = [path for path, state in world.states().items() if state is EntryState.IN_DOUBT]
        assert all(map(world.ledger.reason, in_doubt))
        assert in_doubt == [] or names not in ("kept", "purposes respelt")


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_no_receipt_is_wrong_in_many_jobs() -> None:
    """The same for longer."""
    for faults, sizes, names in product(FAULTS, SIZES, NAMES):
        for seed in range(100, 140):
            assert wrong_receipts(live(seed, faults, sizes, names)) == [], (seed, faults, sizes, names)


def test_a_receipt_is_compared_by_content_beside_entries_in_doubt_of_its_size() -> None:
    """Only one entry of that size is left as accepted, and its id is that of one in doubt: the closing check reads it back."""
    world = live(116, "all", "equal", "no evidence, changed")
    assert wrong_receipts(world) == []
    assert set(world.states().values()) == {EntryState.ACCEPTED, EntryState.IN_DOUBT}


def test_sizes_of_entries_in_doubt_are_no_habit_of_the_list() -> None:
    """Both receipts are shown with the size of an entry that is in doubt, however often the list was read: they are false."""
    world = live(126, "all", "different", "no evidence")
    assert wrong_receipts(world) == []


def test_a_lost_file_under_a_name_of_the_servers_own_is_not_absent() -> None:
    """The names of other files of the job show that the server gives its own: what lacks an answer may be any of them."""
    world = World(server=ServerSettings(name_of=hashed, returns_content=False))
    for number in range(2):
        world.add(f"f-{number}.jsonl", 500 + number)
    world.server.script("f-0.jsonl", Fate.LOSE_STORED)
    for _ in range(2):
        world.run(RunSettings(concurrency=2))
        assert copies(world) == []
        world.now += 100.0
    assert set(world.states().values()) == {EntryState.IN_DOUBT}


def test_a_respelt_file_whose_id_another_answer_had_is_not_absent() -> None:
    """The receipt that has its id is for a file of another name: it proves nothing, and nothing is sent again."""
    for seed in range(6):
        world = World(f"m {seed}", faults=Faults(any_id=0.4), server=ServerSettings(name_of=underlined))
        for number in range(16):
            world.add(f"f-{number}.jsonl", 500 + number)
        world.run(SETTINGS)
        assert (copies(world), wrong_receipts(world)) == ([], [])


def test_crossed_answers_where_names_are_respelt() -> None:
    """A respelt name still shows whose a file is, also where most answers are crossed."""
    for seed in (0, 2, 3):
        faults = Faults(crossed_id=0.6)
        world = World(f"m {seed}", faults=faults, server=ServerSettings(name_of=underlined))
        for number in range(16):
            world.add(f"f-{number}.jsonl", 500)
        # The first run may be stopped before its check: the second one makes it.
        world.run(SETTINGS)
        world.run(SETTINGS)
        assert (copies(world), wrong_receipts(world)) == ([], [])
