"""The closing check of a run, in a world of fakes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from bulk_upload.core.api.paging import ListedPage, PageRequest
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.events import EntrySettled, Noticed, ReceiptsChecked, ReceiptWithdrawn
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import ConfirmMode, RunSettings
from bulk_upload.exit_status import ExitStatus
from tests.fakes.fates import Fate, Faults
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import World

if TYPE_CHECKING:
    from bulk_upload.core.events import Event
    from bulk_upload.core.model import ListedFile
    from tests.fakes.world import Ran, Scene


def world_of(count: int = 20, *, seed: int = 0, server: ServerSettings | None = None) -> World:
    """A job of small files of one size."""
    world = World(seed, server=server)
    for number in range(count):
        world.add(f"{number:05d}.jsonl")
    return world


def checked(ran: Ran) -> ReceiptsChecked:
    """What the closing check said."""
    (only,) = [one for _, one in ran.told.events if isinstance(one, ReceiptsChecked)]
    return only


def withdrawn(ran: Ran) -> dict[str, EntryState]:
    """The state of each entry whose receipt was withdrawn or questioned, by its path."""
    return {one.path: one.state for _, one in ran.told.events if isinstance(one, ReceiptWithdrawn)}


def status(ran: Ran) -> ExitStatus:
    """The verdict of a run."""
    assert ran.result is not None
    return ran.result.status


def wrong_receipts(world: World) -> list[str]:
    """The accepted entries whose receipt is for another file than theirs."""
    rows = world.ledger.connection.execute(
        "SELECT e.path, r.file_id FROM entries e JOIN receipts r USING (receipt_id) WHERE e.state = 'accepted'"
    ).fetchall()
    files = {one.file_id: one.source for one in world.server.stored}
    return [
        path.decode()
        for path, file_id in rows
        if file_id not in files or world.files.path_of(files[file_id]) != path.decode()
    ]


def copies(world: World) -> list[str]:
    """The names that the server has more than once."""
    names = [one.filename for one in world.server.stored]
    return sorted({one for one in names if names.count(one) > 1})


def test_a_run_that_went_well_costs_one_page() -> None:
    """All receipts are in the list: the result is as without the check, and nothing is said."""
    world = world_of()
    ran = world.run()
    assert checked(ran) == ReceiptsChecked(
        receipt_count=20, checked_count=20, withdrawn_count=0, in_doubt_count=0, request_count=1
    )
    assert status(ran) is ExitStatus.DONE
    assert not any(isinstance(one, Noticed) for _, one in ran.told.events)


@pytest.mark.parametrize("how", ["off", "no list", "nothing to send", "nothing accepted"])
def test_who_asks_nothing(how: str) -> None:
    """A run that was told not to, one without a list, and one that has no receipt of its own."""
    world = world_of(3)
    profile, settings = FLOW, RunSettings()
    if how == "off":
        settings = RunSettings(confirm=ConfirmMode.OFF)
    elif how == "no list":
        profile = replace(FLOW, can_list=False)
    elif how == "nothing to send":
        world.run()
    else:
        world.server.faults = Faults(reject=1.0)
    before = world.server.list_count
    ran = world.run(settings, profile=profile)
    assert world.server.list_count == before
    assert not any(isinstance(one, ReceiptsChecked) for _, one in ran.told.events)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_crossed_answers_of_equal_size(seed: int, share: float) -> None:
    """No receipt is wrong at the end of a run; the next one gives each entry the id of its own file, and sends nothing."""
    world = world_of(20, seed=seed)
    world.server.faults = Faults(crossed_id=share)
    ran = world.run()
    assert wrong_receipts(world) == []
    assert withdrawn(ran)
    assert set(withdrawn(ran).values()) == {EntryState.IN_DOUBT}
    assert status(ran) is ExitStatus.IN_DOUBT
    world.server.faults = Faults()
    again = world.run()
    assert status(again) is ExitStatus.DONE
    assert again.told.started() == []
    assert (wrong_receipts(world), copies(world)) == ([], [])


def test_crossed_sizes_where_names_are_changed() -> None:
    """Where names are no evidence, the sizes are."""
    world = World()
    for number in range(20):
        world.add(f"{number}.jsonl", 1000 + number)
    world.server.faults = Faults(crossed_id=1.0)
    world.server.shown_as = lambda file: replace(file, filename=f"{file.file_id}.bin")
    ran = world.run(profile=replace(FLOW, keeps_names=False))
    assert wrong_receipts(world) == []
    assert status(ran) is ExitStatus.IN_DOUBT


def test_a_list_that_changes_all_names_is_no_evidence() -> None:
    """Without a word of that in its profile: it is said, and nothing is withdrawn."""
    world = world_of()
    world.server.shown_as = lambda file: replace(file, filename=f"{file.file_id}.bin")
    ran = world.run()
    assert withdrawn(ran) == {}
    assert status(ran) is ExitStatus.DONE
    (notice,) = [one for _, one in ran.told.events if isinstance(one, Noticed)]
    assert "names" in notice.message


def test_a_foreign_id_is_not_believed() -> None:
    """The entry is in doubt; while the id is there and nobody's, nothing is sent a second time."""
    world = world_of(5)

    def shown(file: ListedFile) -> ListedFile:
        return replace(file, filename="theirs.jsonl") if file.filename == "00003.jsonl" else file

    world.server.shown_as = shown
    ran = world.run()
    assert withdrawn(ran) == {"00003.jsonl": EntryState.IN_DOUBT}
    again = world.run()
    assert again.told.started() == []
    assert world.states()["00003.jsonl"] is EntryState.IN_DOUBT


def test_a_list_that_lags_makes_the_run_wait_but_not_doubt() -> None:
    """What it does not show yet is looked up, or found in it after the settle time."""
    for lag_s in (5.0, 25.0):
        world = world_of(40, server=ServerSettings(list_lag_s=lag_s))
        ran = world.run()
        assert checked(ran).checked_count == 40
        assert status(ran) is ExitStatus.DONE
        assert withdrawn(ran) == {}
        assert checked(ran).request_count <= 10


def test_a_file_that_is_gone_is_withdrawn_after_the_settle_time() -> None:
    """It is looked up before: then the entry is settled as withdrawn, and only --retry withdrawn sends it again."""
    world = world_of(20)

    def lose(event: Event) -> None:
        if isinstance(event, EntrySettled) and event.path == "00007.jsonl":
            world.server.stored = [one for one in world.server.stored if one.filename != "00007.jsonl"]

    ran = world.run(script=lambda scene: scene.hooks.append(lose))
    assert withdrawn(ran) == {"00007.jsonl": EntryState.WITHDRAWN}
    assert status(ran) is ExitStatus.SOME_FAILED
    assert ran.lasted_s >= RunSettings().settle_s
    assert world.run().told.started() == []
    assert status(world.run(RunSettings(retry=frozenset({EntryState.REJECTED})))) is ExitStatus.SOME_FAILED
    again = world.run(RunSettings(retry=frozenset({EntryState.WITHDRAWN})))
    assert again.told.started() == ["00007.jsonl"]
    assert status(again) is ExitStatus.DONE
    assert (wrong_receipts(world), copies(world)) == ([], [])


def test_an_adopted_file_that_is_gone_is_withdrawn_with_that_reason() -> None:
    """Its id came with no answer, so the reason names none."""
    world = world_of(5)
    world.server.script("00002.jsonl", Fate.LOSE_STORED)

    def lose(event: Event) -> None:
        if isinstance(event, EntrySettled) and event.path == "00002.jsonl":
            world.server.stored = [one for one in world.server.stored if one.filename != "00002.jsonl"]

    ran = world.run(script=lambda scene: scene.hooks.append(lose))
    assert withdrawn(ran) == {"00002.jsonl": EntryState.WITHDRAWN}
    receipts = "SELECT obtained, file_id, withdrawn_reason FROM receipts WHERE withdrawn_utc IS NOT NULL"
    ((obtained, file_id, reason),) = world.ledger.connection.execute(receipts)
    assert (obtained, reason) == ("reconciled", f"the server no longer has {file_id}")


def test_what_no_look_up_answers_is_in_doubt_until_it_is_found() -> None:
    """A file that the list does not show, and no look-up either: the next run finds it and believes its receipt again."""
    world = world_of(5)
    hidden = {"00002.jsonl"}

    def hide(scene: Scene) -> None:
        real = scene.transport.list_page

        async def list_page(request: PageRequest) -> ListedPage:
            page = await real(request)
            world.server.list_fails = 100  # Look-ups from here on.
            return ListedPage([one for one in page.files if one.filename not in hidden])

        async def listing(request: PageRequest) -> ListedPage:
            world.server.list_fails = 0
            return await list_page(request)

        scene.transport.list_page = listing  # type: ignore[method-assign]

    ran = world.run(script=hide)
    assert withdrawn(ran) == {"00002.jsonl": EntryState.IN_DOUBT}
    assert status(ran) is ExitStatus.IN_DOUBT
    world.server.list_fails = 0
    again = world.run()
    assert again.told.started() == []
    assert status(again) is ExitStatus.DONE
    assert (wrong_receipts(world), copies(world)) == ([], [])
    assert world.ledger.connection.execute("SELECT count(*) FROM receipts").fetchone() == (5,)


@pytest.mark.parametrize("count", [1, 5])
def test_not_found_proves_nothing_where_own_files_are_not_found(count: int) -> None:
    """A server that lists other ids than it answers, and looks nothing up: no receipt is withdrawn, nothing sent twice."""
    world = world_of(count)

    def other_ids(scene: Scene) -> None:
        real = scene.transport.list_page

        async def list_page(request: PageRequest) -> ListedPage:
            page = await real(request)
            return ListedPage([replace(one, file_id=f"x{one.file_id}") for one in page.files])

        async def look_up(file_id: str) -> ListedFile | None:
            return None

        scene.transport.list_page = list_page  # type: ignore[method-assign]
        scene.transport.look_up = look_up  # type: ignore[method-assign]

    ran = world.run(script=other_ids)
    assert (withdrawn(ran), status(ran)) == ({}, ExitStatus.DONE)
    assert (checked(ran).checked_count, checked(ran).reason) == (0, "it shows no file of this run")
    assert world.run(script=other_ids).told.started() == []
    assert copies(world) == []


def test_an_empty_list_proves_nothing() -> None:
    """Some servers list nothing, and know no look-ups either: the run waits once, and ends as it would have."""
    world = world_of(5)

    def hide(scene: Scene) -> None:
        async def list_page(request: PageRequest) -> ListedPage:
            del request
            return ListedPage()

        scene.transport.list_page = list_page  # type: ignore[method-assign]
        world.server.list_fails = 1000

    ran = world.run(script=hide)
    assert (withdrawn(ran), status(ran), checked(ran).checked_count) == ({}, ExitStatus.DONE, 0)
    assert ran.lasted_s < 2 * RunSettings().settle_s


def test_a_list_that_fails_changes_nothing() -> None:
    """The receipts came with answers: the run says that they were not compared, and soon."""
    world = world_of(5)

    def break_list(scene: Scene) -> None:
        scene.world.server.list_fails = 1000

    ran = world.run(script=break_list)
    assert checked(ran).checked_count == 0
    assert "no usable answer" in str(checked(ran).reason)
    assert status(ran) is ExitStatus.DONE
    assert ran.lasted_s < 60


@pytest.mark.parametrize(("count", "page_max"), [(150, 10), (1000, 20)])
def test_the_check_never_costs_more_than_it_may(count: int, page_max: int) -> None:
    """A list in small pages is read as far as one percent and ten requests go; what is left is said."""
    world = world_of(count, server=ServerSettings(page_max=page_max))
    ran = world.run()
    said = checked(ran)
    assert world.server.list_count == said.request_count <= 10 + count // 100
    assert 0 < said.checked_count < count
    assert said.reason is not None
    assert (withdrawn(ran), status(ran)) == ({}, ExitStatus.DONE)


def test_only_the_runs_own_part_of_the_list_is_read() -> None:
    """However many older files the account has: the list is newest first."""
    world = world_of(20)
    for number in range(1000):
        world.server.add_stranger(f"old{number}", size=1, purpose="fine-tune", stored_at=-1000.0 - number)
    assert checked(world.run()).request_count == 1


@pytest.mark.parametrize("how", ["drain", "cancel"])
def test_a_drain_ends_the_check_at_once(how: str) -> None:
    """Also while it waits for the list to settle; what was not compared is said."""
    world = world_of(20, server=ServerSettings(list_lag_s=1000.0))

    def script(scene: Scene) -> None:
        def hook(event: Event) -> None:
            if isinstance(event, Noticed):
                scene.after(1.0, partial(getattr, scene, how)())

        scene.hooks.append(hook)

    ran = world.run(script=script)
    assert ran.lasted_s < 10
    said = checked(ran)
    assert said.checked_count < 20
    assert said.reason == "the run was stopped"
    assert status(ran) is ExitStatus.DONE


def test_without_any_clock_the_whole_list_is_read() -> None:
    """Where times say nothing, only the end of the list, or all receipts in it, end the check."""
    settings = ServerSettings(has_date=False, answers_created_at=False, clock_ahead_s=3600.0)
    world = world_of(20, server=settings)
    world.server.add_stranger("old", size=1, purpose="fine-tune", stored_at=-1e6)
    ran = world.run()
    assert (checked(ran).checked_count, status(ran)) == (20, ExitStatus.DONE)


@pytest.mark.parametrize("ends", ["kill", "cancel"])
def test_the_next_run_checks_what_one_that_ended_early_did_not(ends: str) -> None:
    """Also if it has nothing to send; and then no run asks again."""
    world = world_of(20)
    world.server.faults = Faults(crossed_id=1.0)

    def script(scene: Scene) -> None:
        def hook(event: Event) -> None:
            if isinstance(event, EntrySettled) and len(scene.told.settled()) == 20:
                scene.after(0.0, getattr(scene, ends))

        scene.hooks.append(hook)

    world.run(script=script)
    assert wrong_receipts(world)
    world.server.faults = Faults()
    ran = world.run()
    assert (wrong_receipts(world), ran.told.started()) == ([], [])
    assert status(ran) is ExitStatus.IN_DOUBT
    assert status(world.run()) is ExitStatus.DONE
    lists = world.server.list_count
    assert status(world.run()) is ExitStatus.DONE
    assert world.server.list_count == lists
