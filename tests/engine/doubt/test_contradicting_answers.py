"""Answers that contradict what was sent, and lists that show it in another form: no wrong receipt, no second copy."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec.structs import replace

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.events import ContentCompared, ReceiptWithdrawn
from bulk_upload.core.model import Altered, AlteredField, EntryState
from bulk_upload.core.report.tally import Tally
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.edge.ledger.reading.run_receipts import receipt_by_answer
from bulk_upload.edge.ledger.withdrawals import withdraw_receipt
from bulk_upload.exit_status import ExitStatus
from tests.fakes.fates import Fate, Faults
from tests.fakes.server_settings import ServerSettings
from tests.fakes.virtual_time import EPOCH_UTC_S
from tests.fakes.world import PURPOSE, Ran, World

RENAMING = replace(FLOW, keeps_names=False)
FILE_COUNT = 16


def underlined(name: str) -> str:
    """Return a name as servers store it that dislike spaces."""
    return name.replace(" ", "_")


def respelt(purpose: str) -> str:
    """Return a purpose as a server stores it that knows it under another name."""
    return purpose.replace("-", "_")


def copies(world: World) -> list[str]:
    """Return the paths of which the server has more than one copy."""
    stored = Counter(world.files.path_of(one.source) for one in world.server.stored if one.source)
    return sorted(path for path, count in stored.items() if count > 1)


def wrong_receipts(world: World) -> list[str]:
    """Return the ids in receipts that are not of the receipt's own file."""
    sources = {one.file_id: one.source for one in world.server.stored}
    return [
        file_id
        for file_id, path in world.ledger.receipts().items()
        if world.files.path_of(sources[file_id]) != path
    ]


def status_of(ran: Ran) -> ExitStatus:
    """Return the verdict of a run that ended by itself."""
    assert ran.result is not None
    return ran.result.status


def test_a_receipt_withdrawn_for_another_entry_is_no_longer_counted_as_accepted() -> None:
    """The summary of a run and the states in its ledger agree."""
    withdrawn_count = 0
    for seed in range(4):
        world = World(f"counted {seed}", faults=Faults(any_id=0.4))
        for number in range(FILE_COUNT):
            world.add(f"{number}.jsonl", 1000)
        ran = world.run(RunSettings(concurrency=4))
        tally = Tally()
        for _, event in ran.told.events:
            tally.add(event)
            withdrawn_count += isinstance(event, ReceiptWithdrawn)
        assert ran.result is not None
        assert +Counter({state: tally.count(state) for state in EntryState}) == +Counter(ran.result.states)
    assert withdrawn_count


@pytest.mark.parametrize("profile", [FLOW, RENAMING], ids=["names-kept", "names-no-evidence"])
@pytest.mark.parametrize("sizes", [(1000,), (500, 600, 700, 800)], ids=["equal", "different"])
@pytest.mark.parametrize(
    "faults",
    [
        Faults(other_file=0.4),
        Faults(any_id=0.4),
        Faults(other_file=0.2, any_id=0.2, lose_stored=0.2),
        Faults(any_id=0.3, other_id=0.2, lose_stored=0.2, lose_unstored=0.1),
    ],
    ids=["crossed", "foreign", "crossed-and-lost", "repeated-and-lost"],
)
@pytest.mark.parametrize("seed", range(3))
def test_no_wrong_id_ends_well_and_nothing_is_doubled(
    seed: int, faults: Faults, sizes: tuple[int, ...], profile: object
) -> None:
    """Whatever ids and names a server mixes up, a run that ends with 0 has the right ones, and a rerun doubles nothing."""
    assert isinstance(profile, type(FLOW))
    world = World(f"mixed {seed}", faults=faults)
    for number in range(FILE_COUNT):
        world.add(f"{number}.jsonl", sizes[number % len(sizes)])
    for _ in range(3):
        ran = world.run(RunSettings(concurrency=4), profile=profile)
        assert copies(world) == []
        assert status_of(ran) is ExitStatus.IN_DOUBT or wrong_receipts(world) == []
        assert status_of(ran) in (ExitStatus.DONE, ExitStatus.IN_DOUBT, ExitStatus.UNFINISHED)
        assert ran.scene.violations == []
        assert world.ledger.complaints() == []
        world.now += 100.0


def test_both_owners_of_an_id_are_in_doubt_where_nothing_tells_whose_it_is() -> None:
    """Two answers with one id, and a server that returns no content and no list: neither receipt is proven."""
    # With this seed the second answer has the first one's id.
    world = World("2", server=ServerSettings(returns_content=False))
    for path in ("a/data.jsonl", "b/data.jsonl"):
        world.add(path, 500)
    world.server.script("data.jsonl", Fate.ACCEPT, Fate.ANY_ID)
    ran = world.run(RunSettings(concurrency=1), profile=replace(FLOW, can_list=False))
    assert set(world.states().values()) == {EntryState.IN_DOUBT}
    assert status_of(ran) is ExitStatus.IN_DOUBT
    assert world.ledger.current_receipts() == {}
    withdrawn = [event for _, event in ran.told.events if isinstance(event, ReceiptWithdrawn)]
    assert [(one.state, one.of_this_run) for one in withdrawn] == [(EntryState.IN_DOUBT, True)]


def test_the_owner_of_an_id_is_told_by_content() -> None:
    """An id that comes with a second answer stays the first one's, whose bytes the server returns for it."""
    world = World("2")
    for path in ("a/data.jsonl", "b/data.jsonl"):
        world.add(path, 500)
    world.server.script("data.jsonl", Fate.ACCEPT, Fate.ANY_ID)
    ran = world.run(RunSettings(concurrency=1))
    assert status_of(ran) is ExitStatus.DONE
    assert (copies(world), wrong_receipts(world)) == ([], [])
    compared = [event.path for _, event in ran.told.events if isinstance(event, ContentCompared)]
    assert compared[:2] == ["a/data.jsonl", "b/data.jsonl"]


def test_a_server_that_respells_is_understood_once_a_file_was_read_back() -> None:
    """The first contradiction is in doubt, its content proves it, and later files of that habit are believed."""
    world = World(server=ServerSettings(name_of=underlined, purpose_of=respelt))
    for number in range(40):
        world.add(f"f {number}.jsonl", 500 + number)
    ran = world.run(RunSettings(concurrency=2))
    assert status_of(ran) is ExitStatus.DONE
    assert (copies(world), wrong_receipts(world)) == ([], [])
    assert 0 < world.server.content_count < 10
    told = Counter(one.field for event in ran.told.settled() for one in event.altered)
    assert told == {AlteredField.NAME: 40, AlteredField.PURPOSE: 40}


@pytest.mark.parametrize(
    "settings",
    [
        ServerSettings(name_of=underlined, returns_content=False),
        ServerSettings(purpose_of=respelt, returns_content=False),
        ServerSettings(name_of=lambda name: f"up/1712-{name}", returns_content=False),
        ServerSettings(
            name_of=lambda name: name[:2], purpose_of=lambda _: "user_data", returns_content=False
        ),
    ],
    ids=["signs", "purpose", "prefix", "cut"],
)
def test_a_habit_that_cannot_be_proven_stays_in_doubt(settings: ServerSettings) -> None:
    """Without contents nothing is believed, nothing is sent twice, and after a few such files the run stops."""
    world = World(faults=Faults(fail_stored=0.3, lose_stored=0.3), server=settings)
    for number in range(100):
        world.add(f"f {number}.jsonl", 500)
    for _ in range(2):
        ran = world.run(RunSettings(concurrency=2))
        assert copies(world) == []
        assert status_of(ran) is ExitStatus.IN_DOUBT
        world.now += 100.0
    assert EntryState.PENDING in world.states().values()
    assert EntryState.ACCEPTED not in world.states().values()


@pytest.mark.parametrize("name_of", [underlined, str.upper, lambda name: f"up/{name}"])
def test_a_lost_answer_is_found_under_the_name_the_server_gave(name_of: object) -> None:
    """A stored file whose answer was lost is found by its size, purpose, time and content."""
    assert callable(name_of)
    world = World(server=ServerSettings(name_of=name_of))
    for number in range(4):
        world.add(f"f {number}.jsonl", 500 + number)
        world.server.script(f"f {number}.jsonl", *([Fate.FAIL_STORED] if number % 2 else []))
    ran = world.run()
    assert status_of(ran) is ExitStatus.DONE
    assert (copies(world), wrong_receipts(world)) == ([], [])


def test_ids_that_are_numbers_stop_the_run() -> None:
    """One request a file, nothing accepted, and the run says why; a rerun sends no file a second time."""
    world = World(server=ServerSettings(has_numbers=True))
    for number in range(30):
        world.add(f"{number}.jsonl", 500)
    ran = world.run(RunSettings(concurrency=4))
    assert ran.result is not None
    assert ran.result.stop is not None
    assert "a number" in ran.result.stop.reason
    assert status_of(ran) is ExitStatus.IN_DOUBT
    assert len(world.server.stored) <= 4
    reason = next(
        world.ledger.reason(path) for path, one in world.states().items() if one is EntryState.IN_DOUBT
    )
    assert "it is a number" in str(reason)
    world.now += 100.0
    world.run()
    assert copies(world) == []
    assert EntryState.ACCEPTED not in world.states().values()


def test_a_numbered_file_in_the_list_is_not_absent() -> None:
    """The answer was lost, and the list shows the file under a number: it is not sent again, and the reason shows it."""
    world = World(server=ServerSettings(has_numbers=True))
    world.add("a.jsonl", 500)
    world.server.script("a.jsonl", Fate.LOSE_STORED)
    assert status_of(world.run()) is ExitStatus.IN_DOUBT
    assert len(world.server.stored) == 1
    assert "a.jsonl, 500 bytes, fine-tune" in str(world.ledger.reason("a.jsonl"))


@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
def test_a_list_with_other_times_than_the_answers_proves_nothing(ahead_s: float) -> None:
    """Own files at impossible times show that the list's times are wrong: no time rules a file out then."""
    world = World(server=ServerSettings(list_ahead_s=ahead_s, answers_created_at=False))
    for number in range(6):
        world.add(f"{number}.jsonl", 500)
    world.server.script("5.jsonl", Fate.LOSE_STORED)
    world.run(RunSettings(concurrency=1))
    assert copies(world) == []


def test_a_list_that_lacks_own_files_proves_no_absence() -> None:
    """A list without a file that this run had accepted, and that a look-up shows, says nothing of another."""
    world = World()
    for path in ("a.jsonl", "b.jsonl"):
        world.add(path, 500)
    world.server.script("a.jsonl", Fate.LOSE_STORED)
    world.server.hidden = {"file-000001", "file-000002"}
    ran = world.run(RunSettings(concurrency=1))
    assert status_of(ran) is ExitStatus.IN_DOUBT
    assert copies(world) == []
    assert "does not show" in str(world.ledger.reason("a.jsonl"))


def test_an_empty_list_is_believed_before_anything_was_accepted() -> None:
    """The first upload of all fails, and an empty account shows nothing: it is sent again."""
    world = World()
    world.add("a.jsonl", 500)
    world.server.script("a.jsonl", Fate.FAIL_UNSTORED)
    assert status_of(world.run()) is ExitStatus.DONE
    assert len(world.server.stored) == 1


def test_a_file_that_was_deleted_since_does_not_spoil_the_list() -> None:
    """An own file that the server no longer has at all is missing from its list for that reason."""
    world = World()
    for path in ("a.jsonl", "b.jsonl"):
        world.add(path, 500)
    world.server.script("a.jsonl", Fate.LOSE_UNSTORED)

    def clear() -> None:
        world.server.stored.clear()

    world.run(RunSettings(concurrency=1), script=lambda scene: scene.after(10.0, clear))
    assert world.states() == {"a.jsonl": EntryState.ACCEPTED, "b.jsonl": EntryState.WITHDRAWN}


def test_content_tells_other_forms_of_a_name_apart() -> None:
    """Two files may be ours under a name that the server gave: the one with our bytes is."""
    world = World(server=ServerSettings(name_of=underlined))
    world.add("a b.jsonl", 500)
    world.server.script("a b.jsonl", Fate.FAIL_STORED)
    theirs = world.server.add_stranger("a_b.jsonl", size=500, purpose=PURPOSE, stored_at=0.05)
    theirs.content = b"x" * 500
    # Another job's file shows that the server returns contents as they were sent.
    world.add("c.jsonl", 40)
    ran = world.run()
    assert status_of(ran) is ExitStatus.DONE
    assert (copies(world), wrong_receipts(world)) == ([], [])
    assert theirs.file_id not in world.ledger.receipts()


def test_a_copy_of_another_job_proves_no_habit() -> None:
    """Equal bytes under another name, while another job sends our files, do not show how the server writes names."""
    world = World(server=ServerSettings(latency_s=(0.01, 0.01)))
    for number in range(3):
        world.add(f"{number}.jsonl", 40 + number)
    world.add("a b.jsonl", 500)
    world.server.script("a b.jsonl", Fate.LOSE_UNSTORED)
    for name, path, stored_at in (("0.jsonl", "0.jsonl", 0.5), ("a_b.jsonl", "a b.jsonl", 0.15)):
        found = world.files.find(path)
        assert found is not None
        theirs = world.server.add_stranger(
            name, size=len(found.content), purpose=PURPOSE, stored_at=stored_at
        )
        theirs.content = found.content
    ran = world.run(RunSettings(concurrency=1))
    assert status_of(ran) is ExitStatus.IN_DOUBT
    assert "another job seems to send the same files" in str(world.ledger.reason("a b.jsonl"))
    habits = ran.scene.run._reconciler.habits
    space = Altered(field=AlteredField.NAME, sent="a b", stored="a_b")
    assert not habits.are_proven([space])
    habits.prove([space])
    assert habits.are_proven([space])


def test_a_withdrawn_receipt_is_not_adopted_again_beside_a_look_alike() -> None:
    """Its file has the bytes that were sent, and the other one has not: a person decides all the same."""
    world = World(server=ServerSettings(latency_s=(0.01, 0.01)))
    for path in ("a.jsonl", "b.jsonl"):
        world.add(path, 500)
    world.run(RunSettings(concurrency=1))
    store = world.ledger.begin_run(utc_s=EPOCH_UTC_S + world.now)
    file_id = world.ledger.current_receipts()["a.jsonl"]
    receipt = receipt_by_answer(store, file_id=file_id)
    assert receipt is not None
    withdraw_receipt(
        store, receipt, state=EntryState.IN_DOUBT, reason="false", decided_by="x", utc_s=EPOCH_UTC_S
    )
    alike = world.server.add_stranger("a.jsonl", size=500, purpose=PURPOSE, stored_at=0.05)
    alike.content = b"x" * 500
    world.now += 100.0
    assert status_of(world.run()) is ExitStatus.IN_DOUBT
    assert "its receipt was withdrawn" in str(world.ledger.reason("a.jsonl"))


def test_a_form_that_two_entries_may_have_is_left_in_doubt() -> None:
    """The server cut both names to one; the bytes are equal, and only one of the files is there."""
    world = World(server=ServerSettings(name_of=lambda _: "data"))
    for path in ("data-x1.jsonl", "data-x2.jsonl"):
        world.add(path, 500)
        world.files.write(path, b"x" * 500)
    world.server.script("data-x1.jsonl", Fate.LOSE_STORED)
    world.server.script("data-x2.jsonl", Fate.LOSE_UNSTORED)
    ran = world.run()
    assert status_of(ran) is ExitStatus.IN_DOUBT
    assert wrong_receipts(world) == []
    assert "another entry in doubt" in str(world.ledger.reason("data-x2.jsonl"))


@pytest.mark.parametrize("fate", [Fate.LOSE_STORED, Fate.LOSE_UNSTORED])
def test_a_file_that_is_just_what_another_entry_sent_keeps_no_entry_in_doubt(fate: Fate) -> None:
    """Until a listed name was seen to be kept, `長.jsonl` may be stored as `a.jsonl`: the entry that sent just that decides."""
    world = World(server=ServerSettings(latency_s=(0.01, 0.01)))
    for path in ("長.jsonl", "a.jsonl"):
        world.add(path, 500)
        world.server.script(path, Fate.LOSE_STORED if path == "a.jsonl" else fate)
    assert status_of(world.run()) is ExitStatus.DONE
    assert wrong_receipts(world) == []
    assert copies(world) == []


@pytest.mark.parametrize("size", [0, 500])
def test_the_contents_of_twins_tell_them_apart(size: int) -> None:
    """Both have another entry's id: each gets the file with its own bytes, and where the bytes are equal a person decides."""
    world = World(faults=Faults(crossed_id=1.0), server=ServerSettings(latency_s=(0.01, 0.01)))
    for path in ("a/twin.jsonl", "x.jsonl", "b/twin.jsonl", "y.jsonl"):
        world.add(path, size if "twin" in path else 700)
    world.run(RunSettings(concurrency=2))
    twins = ("a/twin.jsonl", "b/twin.jsonl")
    assert all(world.states()[path] is EntryState.IN_DOUBT for path in twins)
    world.server.heal()
    world.now += 100.0
    ran = world.run()
    assert status_of(ran) is (ExitStatus.DONE if size else ExitStatus.IN_DOUBT)
    assert (copies(world), wrong_receipts(world)) == ([], [])


def test_no_twin_starts_beside_an_entry_whose_receipt_is_taken_back() -> None:
    """Its id came with an answer to a twin: both are in doubt, and the other twins are not sent in this run."""
    world = World()
    world.add("t/0/a.jsonl", 0)
    world.run()
    world.now += 100
    for number in (1, 2, 3):
        world.add(f"t/{number}/a.jsonl", 0)
    world.server.script("a.jsonl", Fate.OTHER_ID)
    ran = world.run(RunSettings(concurrency=1))
    assert any(isinstance(event, ReceiptWithdrawn) for _, event in ran.told.events)
    assert ran.scene.violations == []
    assert len(ran.told.started()) == 1
    world.now += 100
    world.run()
    assert set(world.run().scene.world.states().values()) == {EntryState.ACCEPTED}
    assert copies(world) == []
