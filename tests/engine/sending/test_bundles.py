"""Several files in one request: each member ends by itself, and what an answer does not say of it is looked up."""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from bulk_upload.core.api.profile import FLOW, Complete, Profile
from bulk_upload.core.bundle.bundling import FAILED_MAX
from bulk_upload.core.events import AttemptEnded, AttemptStarted, Event, Noticed, Reconciling
from bulk_upload.core.model import Entry, EntryState
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.engine.sending.local_sender import LocalSender
from bulk_upload.exit_status import ExitStatus
from tests.fakes.bundle_rules import BundleFate
from tests.fakes.fates import Fate
from tests.fakes.server import unowned
from tests.fakes.world import LARGE_BYTES, PURPOSE, Ran, Scene, World

if TYPE_CHECKING:
    from collections.abc import Callable

BUNDLES = RunSettings(bundle=8)


def world_of(count: int = 20, *fates: BundleFate) -> World:
    """Return a job of small files, and what happens to its first bundles."""
    world = World()
    for number in range(count):
        world.add(f"{number:03d}.jsonl", 1000 + number)
    world.server.bundles.script = deque(fates)
    return world


def run(
    world: World, settings: RunSettings = BUNDLES, script: Callable[[Scene], object] | None = None
) -> Ran:
    """Run a job; nothing is ever sent against the rules."""
    ran = world.run(settings, script=script)
    assert ran.scene.violations == []
    return ran


def require_all_accepted(world: World, ran: Ran) -> None:
    """Every entry has one file at the server, and its id; nothing is there twice or without an owner."""
    assert ran.result is not None
    assert ran.result.status is ExitStatus.DONE
    owned = world.ledger.current_receipts()
    assert len(owned) == len(world.entries)
    assert unowned(world.server.stored, set(owned.values())) == []
    for path, file_id in owned.items():
        (file,) = [one for one in world.server.stored if one.file_id == file_id]
        assert world.files.path_of(file.source) == path


def test_files_whose_holder_is_lost_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that has a file of a bundle no longer: the same files go together once they are read, and no attempt is lost."""
    world = world_of(16)
    lost = iter([True])
    holds = LocalSender.holds
    monkeypatch.setattr(
        LocalSender, "holds", lambda self, number: not next(lost, False) and holds(self, number)
    )
    ran = run(world)
    require_all_accepted(world, ran)
    started = [one for _, one in ran.told.events if isinstance(one, AttemptStarted)]
    assert [one.attempt_no for one in started] == [1] * 16
    assert sorted(Counter(one.bundle_id for one in started).values()) == [8, 8]


def told(ran: Ran) -> list[str]:
    """What a person was told in words."""
    return [one.message for _, one in ran.told.events if isinstance(one, Noticed)]


def bundle_ids(world: World) -> dict[str, list[int | None]]:
    """Return the bundle of every attempt of every entry."""
    found: dict[str, list[int | None]] = {}
    for path, bundle_id in world.ledger.connection.execute(
        "SELECT path, bundle_id FROM attempts JOIN entries USING (entry_id) ORDER BY attempt_id"
    ):
        found.setdefault(path.decode(), []).append(bundle_id)
    return found


def test_one_request_for_several_files() -> None:
    """Twenty files, eight a request: three requests, and an intent, an attempt and a receipt for each file."""
    world = world_of(20)
    ran = run(world)
    require_all_accepted(world, ran)
    assert sorted(world.server.bundles.sizes) == [4, 8, 8]
    assert (world.server.request_count, world.server.file_count) == (3, 20)
    joined = bundle_ids(world)
    assert [joined[f"{number:03d}.jsonl"] for number in (0, 7, 8, 19)] == [[1], [1], [9], [17]]
    assert {path: world.ledger.attempts(path) for path in joined} == {
        path: [("accepted", None)] for path in joined
    }


def test_a_run_without_bundles_has_none() -> None:
    """Unless asked for, each file goes by itself."""
    world = world_of(20)
    require_all_accepted(world, run(world, RunSettings()))
    assert world.server.bundles.sizes == []
    assert set(map(tuple, bundle_ids(world).values())) == {(None,)}


@pytest.mark.parametrize(
    "profile",
    [
        replace(FLOW, bulk_path=None),
        replace(FLOW, can_list=False),
        replace(FLOW, keeps_names=False),
        replace(FLOW, complete=Complete.ONE_PAGE),
    ],
)
def test_never_where_a_doubt_could_not_be_settled(profile: Profile) -> None:
    """Without a list that settles every doubt there are no bundles, whatever was asked for."""
    world = world_of(10)
    world.run(BUNDLES, profile=profile)
    assert world.server.bundles.sizes == []


def test_the_profile_limits_bundles() -> None:
    """A server that takes at most three gets at most three."""
    world = world_of(10)
    world.run(BUNDLES, profile=replace(FLOW, bulk_max=3))
    assert world.server.bundles.sizes == [3, 3, 3]


def test_the_first_bundle_goes_alone() -> None:
    """Nothing else starts before the first bundle was answered; then there are several at once."""
    world = world_of(64)
    in_flight: set[int | None] = set()
    most: list[int] = []

    def hook(event: Event) -> None:
        if isinstance(event, AttemptStarted):
            in_flight.add(event.bundle_id)
            most.append(len(in_flight))
        elif isinstance(event, AttemptEnded):
            in_flight.clear()

    run(world, RunSettings(bundle=8, concurrency=4), script=lambda scene: scene.hooks.append(hook))
    assert most[:8] == [1] * 8
    assert max(most) > 1


def test_what_cannot_go_in_a_bundle() -> None:
    """A database, form fields, a large file, another purpose, or a name that is in it already: not in this bundle."""
    world = world_of(6)
    world.add("large.jsonl", LARGE_BYTES)
    world.add("other/000.jsonl", 5000)
    for path, more in (("db", {"vector_database_id": "v"}), ("fields", {"fields": (("k", "v"),)})):
        world.files.write_size(path, 100)
        world.entries.append(Entry(path=path, purpose=PURPOSE, line_no=len(world.entries) + 1, **more))
    world.add("p1", 100, purpose="pre-train")
    world.add("p2", 101, purpose="pre-train")
    require_all_accepted(world, run(world))
    joined = bundle_ids(world)
    assert [joined[name] for name in ("large.jsonl", "other/000.jsonl", "db", "fields")] == [[None]] * 4
    assert joined["p1"] == joined["p2"] != joined["000.jsonl"]
    assert sorted(world.server.bundles.sizes) == [2, 6]


@pytest.mark.parametrize(
    "fate",
    [
        BundleFate.REVERSED,
        BundleFate.LEFT_OUT,
        BundleFate.OTHER_SIZE,
        BundleFate.DUPLICATE_ID,
        BundleFate.NO_NAMES,
        BundleFate.HTML,
        BundleFate.LOSE_BODY,
        BundleFate.LOSE_UNSTORED,
        BundleFate.LOSE_STORED,
        BundleFate.LOSE_PART,
        BundleFate.FAIL_UNSTORED,
        BundleFate.FAIL_PART,
        BundleFate.REFUSE,
        BundleFate.REFUSE_PART,
        BundleFate.TOO_LARGE,
        BundleFate.THROTTLE,
        BundleFate.THROTTLE_NAMED,
        BundleFate.NO_CALL,
        BundleFate.FORBID,
    ],
)
@pytest.mark.parametrize("before", [[], [BundleFate.ACCEPT]], ids=["first", "later"])
def test_whatever_happens_nothing_is_lost_or_doubled(fate: BundleFate, before: list[BundleFate]) -> None:
    """Every row of what can happen to a bundle, the first of a run or a later one: each file is there once."""
    world = world_of(20, *before, fate)
    require_all_accepted(world, run(world))


def test_one_answer_lost_is_one_question() -> None:
    """All members of a lost bundle are looked up by the same listings, and those that are there are adopted."""
    world = world_of(8, BundleFate.LOSE_STORED)
    ran = run(world)
    require_all_accepted(world, ran)
    asked = [one.waiting_count for _, one in ran.told.events if isinstance(one, Reconciling)]
    assert asked[0] == 8
    assert len(asked) <= 5
    assert world.server.file_count == 8


def test_members_that_fail_go_singly() -> None:
    """Of a refused bundle each file that is not there is sent by itself, and the right one is rejected."""
    world = world_of(8)
    world.server.bundles.bad_names = {"003.jsonl"}
    ran = run(world)
    states = world.states()
    assert states.pop("003.jsonl") is EntryState.REJECTED
    assert set(states.values()) == {EntryState.ACCEPTED}
    assert len(world.server.stored) == 7
    assert all(ids[0] == 1 and set(ids[1:]) == {None} for ids in bundle_ids(world).values())
    assert ran.result is not None
    assert ran.result.status is ExitStatus.SOME_FAILED


def test_a_throttled_bundle_goes_again_together() -> None:
    """The server asked to wait, so none is there: the same files go again in one request, and use no attempts."""
    world = world_of(16, BundleFate.ACCEPT, BundleFate.THROTTLE_NAMED, BundleFate.THROTTLE)
    require_all_accepted(world, run(world))
    assert world.server.bundles.sizes == [8] * 4
    assert world.server.request_count == 4


def test_a_file_that_changed_while_its_bundle_waited() -> None:
    """What is no longer the file that was planned leaves the bundle and is sent by itself, as it is now."""
    world = world_of(8, BundleFate.THROTTLE_NAMED)

    def hook(event: Event) -> None:
        if isinstance(event, AttemptEnded) and event.path == "002.jsonl" and event.retry_in_s:
            world.files.write_size("002.jsonl", 77)

    require_all_accepted(world, run(world, script=lambda scene: scene.hooks.append(hook)))
    assert world.server.bundles.sizes == [8, 7]


def test_413_halves_the_bundles() -> None:
    """Too large together: those files go singly, and later bundles have half as many."""
    world = world_of(64)
    world.server.bundles.files_max = 4
    ran = run(world, RunSettings(bundle=16))
    require_all_accepted(world, ran)
    assert world.server.bundles.sizes[:3] == [16, 8, 4]
    assert set(world.server.bundles.sizes[3:]) == {4}
    assert [one for one in told(ran) if "413" in one] == [
        "HTTP 413 to 16 files in one request: at most 8 from now on",
        "HTTP 413 to 8 files in one request: at most 4 from now on",
    ]


def test_a_server_without_the_call() -> None:
    """404 to the first bundle: nothing is in doubt, no attempt is used, and all files go one by one from then on."""
    world = world_of(40)
    world.server.bundles.serves = False
    ran = run(world)
    require_all_accepted(world, ran)
    assert world.server.bundles.sizes == [8]
    assert world.server.list_count <= 2
    assert [one for one in told(ran) if "one by one" in one] != []
    assert ran.lasted_s < 30


def test_answers_that_show_nothing_end_bundles() -> None:
    """An answer without names to the first bundle: its files are looked up, and no other bundle is sent."""
    world = world_of(40, BundleFate.NO_NAMES)
    require_all_accepted(world, run(world))
    assert world.server.bundles.sizes == [8]


def test_bundles_that_come_to_nothing_end() -> None:
    """Several refusals in a row, with nothing accepted between them: the rest goes one by one."""
    world = world_of(80, *[BundleFate.REFUSE] * FAILED_MAX)
    require_all_accepted(world, run(world))
    assert world.server.bundles.sizes == [8] * FAILED_MAX


def test_a_file_of_nobody_is_told_and_recorded() -> None:
    """A file under another name is said to a person and is a decision in the ledger; the one that can only be it is in
    doubt and not sent again, since this server is said to keep names."""
    world = world_of(8, BundleFate.RENAMED)
    ran = run(world)
    (said,) = [one for one in told(ran) if "they are no receipts" in one]
    assert "renamed-000.jsonl" in said
    states = world.states()
    assert states.pop("000.jsonl") is EntryState.IN_DOUBT
    assert set(states.values()) == {EntryState.ACCEPTED}
    assert len(world.server.stored) == 8
    decided = world.ledger.connection.execute(
        "SELECT decision FROM decisions WHERE decided_by = 'answer'"
    ).fetchall()
    assert len(decided) == 1


def test_a_refused_key_keeps_all() -> None:
    """401 stops the run, and every entry stays pending."""
    world = world_of(16, BundleFate.DENY)
    ran = run(world)
    assert ran.result is not None
    assert ran.result.status is ExitStatus.CREDENTIALS_REFUSED
    assert set(world.states().values()) == {EntryState.PENDING}
    assert world.ledger.open_intent_count() == 0


def test_a_drain_while_bundles_wait() -> None:
    """What has not begun is recorded as not sent, what waits to go again stays pending; a rerun finishes all."""
    world = world_of(40, *[BundleFate.THROTTLE_NAMED] * 3)

    def script(scene: Scene) -> None:
        scene.after(1.0, scene.drain)

    ran = run(world, script=script)
    assert ran.result is not None
    assert world.ledger.open_intent_count() == 0
    assert EntryState.IN_DOUBT not in world.states().values()
    require_all_accepted(world, run(world))


def test_cancelled_in_mid_request() -> None:
    """Every member of a bundle in flight is recorded as what is known of it; a rerun finishes all."""
    world = world_of(40)
    world.server.settings = dataclasses.replace(world.server.settings, latency_s=(1.0, 2.0))

    def script(scene: Scene) -> None:
        def hook(event: Event) -> None:
            if isinstance(event, AttemptStarted) and event.path == "007.jsonl":
                scene.after(0.2, scene.cancel)

        scene.hooks.append(hook)

    run(world, script=script)
    assert world.ledger.open_intent_count() == 0
    require_all_accepted(world, run(world))


@pytest.mark.parametrize("at", ["000.jsonl", "007.jsonl", "012.jsonl"])
def test_killed_in_mid_bundle(at: str) -> None:
    """A process that dies leaves every member of its bundle in doubt; the next run looks them up and finishes."""
    world = world_of(24)

    def script(scene: Scene) -> None:
        def hook(event: Event) -> None:
            if isinstance(event, AttemptStarted) and event.path == at:
                scene.after(0.1, scene.kill)

        scene.hooks.append(hook)

    assert run(world, script=script).killed
    world.now += 60.0
    require_all_accepted(world, run(world))


def test_single_requests_are_no_part_of_it() -> None:
    """A bundle is one start: a limit on requests lets eight times as many files through."""
    world = world_of(64)
    ran = run(world, RunSettings(bundle=8, rate_per_s=1.0))
    require_all_accepted(world, ran)
    assert world.server.request_count == 8
    assert 6.0 <= ran.lasted_s <= 20.0


def test_a_bundle_that_fails_while_singles_do_too() -> None:
    """Files of a failed bundle that fail by themselves, too, end as any other: with their own last reason."""
    world = world_of(8, BundleFate.REFUSE)
    world.server.script("000.jsonl", Fate.REJECT)
    run(world)
    states = world.states()
    assert states.pop("000.jsonl") is EntryState.REJECTED
    assert set(states.values()) == {EntryState.ACCEPTED}
