"""A person's caps over whole runs, and their change while a run goes on: a world of fakes, virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bulk_upload.core.events import AttemptStarted, BodyNow, ControlChanged, LimitChanged, RunLimited
from bulk_upload.core.limits.bottleneck import Bottleneck
from bulk_upload.core.limits.controller import LearnedLimits
from bulk_upload.core.limits.fixed import FixedLimit
from bulk_upload.core.limits.timetable import Span, Timetable
from bulk_upload.core.run.control import (
    MESSAGE_BYTES_MAX,
    ControlAnswer,
    ControlRequest,
    decode_answer,
    encode,
)
from bulk_upload.core.run.settings import ConfirmMode, RunSettings
from bulk_upload.edge.clock import SystemClock
from bulk_upload.engine.limits.watched import WatchedRun
from bulk_upload.exit_status import ExitStatus
from tests.fakes.fates import Faults
from tests.fakes.server_settings import ServerSettings
from tests.fakes.world import LARGE_BYTES, Ran, Scene, World

BY = "kim (uid 7)"


def world_of(count: int, size: int = 1000, **more: Any) -> World:
    """A job of so many files."""
    world = World(**more)
    for number in range(count):
        world.add(f"{number:04d}.jsonl", size)
    return world


def starts(ran: Ran) -> list[float]:
    """When each request began, from the beginning of the run."""
    return [at - ran.began_at for at, one in ran.told.events if isinstance(one, AttemptStarted)]


def held(ran: Ran) -> dict[Bottleneck, float]:
    """What the run said at its end held it back."""
    (event,) = [one for _, one in ran.told.events if isinstance(one, RunLimited)]
    return dict(event.held_s)


class Person:
    """Asks something of a run at given times; `answers` has what came back, in that order."""

    def __init__(self, *asked: tuple[float, ControlRequest]) -> None:
        self._asked = asked
        self.answers: list[ControlAnswer] = []
        self._tasks: list[asyncio.Task[None]] = []

    def __call__(self, scene: Scene) -> None:
        """Plan it for a scene."""
        for seconds, request in self._asked:
            scene.after(seconds, lambda request=request: self._begin(scene, request))  # type: ignore[misc]

    def _begin(self, scene: Scene, request: ControlRequest) -> None:
        self._tasks.append(scene.loop.create_task(self._ask(scene, request)))

    async def _ask(self, scene: Scene, request: ControlRequest) -> None:
        self.answers.append(await scene.run.control(request, BY))


def assert_whole(world: World, ran: Ran) -> None:
    """Every entry is accepted, once, and nothing was seen that must not be."""
    assert ran.result is not None
    assert ran.result.status is ExitStatus.DONE
    assert ran.scene.violations == []
    assert len(world.ledger.receipts()) == len(world.entries)


def test_a_rate_spreads_the_starts() -> None:
    """Four a second: 40 files take ten seconds, and no second has more than its share and one burst."""
    world = world_of(40)
    ran = world.run(RunSettings(rate_per_s=4.0))
    assert_whole(world, ran)
    began = starts(ran)
    assert began[-1] - began[0] == pytest.approx(39 / 4, abs=0.5)
    assert all(sum(at <= one < at + 1.0 for one in began) <= 5 for at in began)
    assert held(ran)[Bottleneck.RATE] == pytest.approx(10.0, abs=1.0)


@pytest.mark.parametrize("size", [2_000, LARGE_BYTES])
def test_a_bandwidth_is_what_the_run_takes(size: int) -> None:
    """Small files that are sent whole and large ones that are streamed: both are counted."""
    world = world_of(1_200_000 // size, size)
    ran = world.run(
        RunSettings(concurrency=32, bandwidth=Timetable.always(100_000.0), confirm=ConfirmMode.OFF)
    )
    assert_whole(world, ran)
    sent_bytes = ran.scene.transport.wire_bytes
    assert ran.lasted_s == pytest.approx(sent_bytes / 100_000, rel=0.05, abs=0.5)
    assert held(ran)[Bottleneck.BANDWIDTH] > 0.8 * ran.lasted_s


def test_a_timetable_changes_the_bandwidth_at_its_minute() -> None:
    """A run that begins before the minute speeds up when it comes."""
    world = world_of(100, 10_000)
    first = world.run(RunSettings(bandwidth=Timetable((Span(0, 5_000.0),))), lasts_s_max=500.0)
    assert first.lasted_s > 180
    world = world_of(100, 10_000)
    # Virtual time begins at 20:26:40 UTC.
    table = Timetable((Span(0, 5_000.0), Span(20 * 60 + 27, None)))
    ran = world.run(RunSettings(bandwidth=table))
    assert_whole(world, ran)
    assert 20.0 < ran.lasted_s < 25.0


def test_a_cap_tells_the_controller_that_it_may_not_judge() -> None:
    """What is measured while our own bandwidth cap holds bodies back says nothing about the server."""

    class Listening(FixedLimit):
        held_count = 0

        def on_held(self, now: float) -> None:
            self.held_count += 1

    free, capped = Listening(8), Listening(8)
    world_of(50, 20_000).run(RunSettings(), controller=free)
    world_of(50, 20_000).run(RunSettings(bandwidth=Timetable.always(100_000.0)), controller=capped)
    assert free.held_count == 0
    assert capped.held_count > 30


def test_a_pause_stops_starts_and_resume_goes_on() -> None:
    """Nothing starts in the pause; what was in flight ends; afterwards the rest is sent."""
    world = world_of(200)
    person = Person((0.5, ControlRequest(paused=True)), (60.5, ControlRequest(paused=False)))
    ran = world.run(RunSettings(concurrency=2), script=person)
    assert_whole(world, ran)
    assert not [at for at in starts(ran) if 0.5 < at < 60.5]
    assert [at for at in starts(ran) if at < 0.5]
    assert held(ran)[Bottleneck.PERSON] == pytest.approx(60.0, abs=0.6)
    assert [one.changes for one in person.answers] == [("paused",), ("resumed",)]
    paused = person.answers[0].status
    assert paused is not None
    assert (paused.paused, paused.reason) == (True, "paused by hand")


def test_a_pause_is_not_the_servers_fault() -> None:
    """Its time does not count against the patience with a server that throttles before and after it."""
    world = world_of(3, faults=Faults(throttle=1.0))

    def script(scene: Scene) -> None:
        Person((1.0, ControlRequest(paused=True)), (301.0, ControlRequest(paused=False)))(scene)
        scene.after(310.0, lambda: setattr(world.server, "faults", Faults()))

    ran = world.run(RunSettings(patience_s=100.0), script=script)
    assert ran.result is not None
    assert ran.result.status is ExitStatus.DONE
    assert [at for at in starts(ran) if 301 <= at < 310], "it met the throttling server again"


def test_changes_hold_at_once_and_are_told_and_recorded() -> None:
    """Several in one request: each is an event and a row with who asked, and the answer has the new status."""
    world = world_of(150)
    request = ControlRequest(concurrency=1, starts_per_s=20.0, bandwidth=((0, 50_000.0),))
    person = Person((0.3, request))
    ran = world.run(RunSettings(concurrency=8), script=person, lasts_s_max=500.0)
    assert_whole(world, ran)
    told = [one for _, one in ran.told.events if isinstance(one, ControlChanged)]
    assert [(str(one.change), one.by) for one in told] == [
        ("--concurrency: 8 -> 1", BY),
        ("--rate: off -> 20/s", BY),
        ("--bandwidth: off -> 50kB/s", BY),
    ]
    rows = world.ledger.connection.execute(
        "SELECT decision, detail, decided_by, entry_id FROM decisions ORDER BY decision_id"
    ).fetchall()
    assert rows == [
        ("--concurrency 1", "was 8", BY, None),
        ("--rate 20/s", "was off", BY, None),
        ("--bandwidth 50kB/s", "was off", BY, None),
    ]
    (answer,) = person.answers
    assert answer.status is not None
    assert (answer.status.limit, answer.status.starts_per_s, answer.status.bytes_per_s) == (1, 20.0, 50_000.0)
    later = [at for at in starts(ran) if at > 1.0]
    assert max(sum(at <= one < at + 1.0 for one in later) for at in later) <= 25


def test_more_in_flight_while_it_runs() -> None:
    """A higher number starts more at once, without waiting for an answer."""
    world = world_of(300, server=ServerSettings())
    ran = world.run(
        RunSettings(concurrency=1), script=Person((0.2, ControlRequest(concurrency=16))), lasts_s_max=500.0
    )
    assert_whole(world, ran)
    limits = [one.limit for _, one in ran.told.events if isinstance(one, LimitChanged)]
    assert limits == [1, 16]


def test_more_than_the_run_was_made_for_is_refused() -> None:
    """Connections are set aside at the start: beyond them nothing changes, and the answer says what to do."""
    world = world_of(100)
    person = Person((0.1, ControlRequest(concurrency=300, paused=True)))
    ran = world.run(RunSettings(), script=person)
    assert_whole(world, ran)
    (answer,) = person.answers
    assert answer.error is not None
    assert "256" in answer.error
    assert (answer.exit_code, answer.changes, answer.status) == (ExitStatus.USAGE, (), None)
    assert not [one for _, one in ran.told.events if isinstance(one, ControlChanged)]


def test_a_question_changes_nothing() -> None:
    """`--status` alone leaves no trace, and tells what holds the run back."""
    world = world_of(300)
    person = Person((2.0, ControlRequest()))
    ran = world.run(RunSettings(concurrency=1), script=person, lasts_s_max=500.0)
    (answer,) = person.answers
    assert answer.status is not None
    assert answer.changes == ()
    assert (answer.status.limit, answer.status.in_flight) == (1, 1)
    assert answer.status.held_by == "in_flight_limit"
    assert answer.status.held_s == {"in_flight_limit": pytest.approx(2.0, abs=0.3)}
    assert world.ledger.connection.execute("SELECT count(*) FROM decisions").fetchone() == (0,)
    assert_whole(world, ran)


def test_a_paused_run_can_be_drained() -> None:
    """Ctrl-C works in a pause."""
    world = world_of(100)

    def script(scene: Scene) -> None:
        Person((0.2, ControlRequest(paused=True)))(scene)
        scene.after(30.0, scene.drain)

    ran = world.run(RunSettings(), script=script)
    assert ran.result is not None
    assert ran.result.status is ExitStatus.INTERRUPTED
    assert ran.lasted_s == pytest.approx(30.0, abs=2.0)


def test_how_starts_were_governed_is_on_record() -> None:
    """The limit at the beginning and each change are rows with a reason."""
    world = world_of(300)
    person = Person((2.0, ControlRequest(concurrency=3)))
    world.run(RunSettings(concurrency=1), script=person, lasts_s_max=500.0)
    rows = world.ledger.connection.execute(
        "SELECT in_flight_limit, reason, starts_per_s, pause_s FROM controller_events ORDER BY event_id"
    ).fetchall()
    assert rows == [
        (1, "1 in flight, as set", None, 0.0),
        (3, "3 in flight, as set", None, 0.0),
    ]


def test_what_the_controller_learned_is_kept_for_the_next_run() -> None:
    """The last good values are in the ledger when the run ends."""

    class Learning(FixedLimit):
        @property
        def learned(self) -> LearnedLimits:
            return LearnedLimits(limit=21, rate_per_s=4.5)

    world = world_of(5)
    world.run(RunSettings(), controller=Learning(8))
    rows = world.ledger.connection.execute("SELECT endpoint, in_flight_limit, starts_per_s FROM warm_starts")
    assert rows.fetchall() == [(world.ledger.job.endpoint, 21, 4.5)]


def test_who_watches_gets_the_numbers_of_the_run() -> None:
    """Entries, bytes, and the longest-running requests in flight, as many as asked for; nothing of it is recorded."""
    world = world_of(40, LARGE_BYTES)
    person = Person(
        (4.0, ControlRequest(uploads=2)), (4.1, ControlRequest(uploads=0)), (4.2, ControlRequest())
    )
    ran = world.run(RunSettings(concurrency=4, bandwidth=Timetable.always(LARGE_BYTES)), script=person)
    assert_whole(world, ran)
    two, none, plain = person.answers
    assert plain.numbers is None
    assert none.numbers is not None
    assert none.uploads == plain.uploads == ()
    assert two.numbers is not None
    assert (two.numbers.entry_count, two.numbers.total_bytes) == (40, 40 * LARGE_BYTES)
    assert 3.0 < two.numbers.running_s < 5.0
    assert sum(two.numbers.ended.values()) * LARGE_BYTES == two.numbers.accepted_bytes
    assert two.numbers.partial_bytes <= two.numbers.wire_bytes
    assert len(two.uploads) == 2
    assert two.uploads[0].since_s >= two.uploads[1].since_s
    assert not [one for _, one in ran.told.events if isinstance(one, ControlChanged)]


def test_an_answer_with_long_paths_stays_short() -> None:
    """It is read in one piece of bounded length: uploads that do not fit are left out, and no path breaks the line."""
    watched = WatchedRun(SystemClock())
    bodies = [
        BodyNow(path=f"{number}\udcff\n{'long' * 200}", body_bytes=1, left_bytes=0, waiting=False)
        for number in range(100)
    ]
    uploads = tuple(watched.uploads(bodies, 100))
    line = encode(ControlAnswer(uploads=uploads))
    assert 0 < len(uploads) < 100
    assert len(line) <= MESSAGE_BYTES_MAX - 4096
    assert line.count(b"\n") == 1
    assert decode_answer(line).uploads == uploads
