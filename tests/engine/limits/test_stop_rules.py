from __future__ import annotations

import pytest

from bulk_upload.core.events import AttemptEnded, AttemptStarted, Event, Paused
from bulk_upload.core.model import (
    Accepted,
    EntryState,
    InDoubt,
    NotSent,
    Outcome,
    Rejected,
    SourceFailed,
    Throttled,
    Unavailable,
)
from bulk_upload.core.run.failure_limit import CANARY_MAX, IN_A_ROW_MAX
from bulk_upload.core.run.patience import UNREADABLE_S
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.engine.limits.drain import Drain
from bulk_upload.engine.limits.stop_rules import StopRules
from bulk_upload.exit_status import ExitStatus
from tests.fakes.fates import Fate, Faults
from tests.fakes.server_settings import ServerSettings
from tests.fakes.virtual_time import VirtualClock, on_virtual_time
from tests.fakes.world import Ran, Scene, World

TAKEN = Accepted(file_id="file-1", http_status=200, size_confirmed=True)
LOST = Unavailable(reason="cannot connect")


class Watch:
    """An StopRules with its clock, drain and events."""

    def __init__(self, settings: RunSettings | None = None, *, to_send_count: int = 100) -> None:
        self.clock = VirtualClock()
        self.events: list[Event] = []
        self.drain = Drain(lambda _: None)
        self.stop_rules = StopRules(
            settings or RunSettings(),
            to_send_count=to_send_count,
            clock=self.clock,
            drain=self.drain,
            emit=self.events.append,
        )

    @property
    def stop_reason(self) -> str | None:
        """Why the run drains, None while it does not."""
        return None if self.drain.stop is None else self.drain.stop.reason


def _throttled(wait_s: float | None = None) -> Throttled:
    return Throttled(http_status=429, retry_after_s=wait_s)


# --- errors


@pytest.mark.parametrize(
    ("settings", "failures"),
    [(RunSettings(errors_max=3), 3), (RunSettings(errors_share=0.05), 5), (RunSettings(errors_max=1), 1)],
)
def test_a_run_with_too_many_failures_of_one_cause_drains(settings: RunSettings, failures: int) -> None:
    """As many entries as the limit that failed for one cause end the run; accepted ones in between do not help."""
    watch = Watch(settings)
    for number in range(failures - 1):
        watch.stop_rules.on_settled(EntryState.REJECTED, f"HTTP 422: line {number} is bad")
        watch.stop_rules.on_settled(EntryState.ACCEPTED, None)
    assert not watch.drain.begun
    watch.stop_rules.on_settled(EntryState.REJECTED, "HTTP 422: line 77 is bad")
    reason = watch.stop_reason or ""
    assert reason.startswith(f"{failures} entr")
    assert "rejected by the server: HTTP 422: line 77 is bad" in reason
    assert "--max-errors" in reason


def test_failures_of_different_causes_do_not_add_up() -> None:
    """Each cause has its own count."""
    watch = Watch(RunSettings(errors_max=3))
    for _ in range(2):
        watch.stop_rules.on_settled(EntryState.REJECTED, "HTTP 422: bad")
        watch.stop_rules.on_settled(EntryState.REJECTED, "HTTP 413: too large")
        watch.stop_rules.on_settled(EntryState.FAILED_LOCAL, "cannot read the file: Permission denied")
    assert watch.stop_reason is None


def test_the_first_entries_are_the_canary_of_the_rest() -> None:
    """Ten entries that fail for one cause before anything was accepted end a run that was told no limit."""
    watch = Watch()
    for _ in range(CANARY_MAX - 1):
        watch.stop_rules.on_settled(EntryState.REJECTED, "HTTP 422: wrong purpose")
    assert not watch.drain.begun
    watch.stop_rules.on_settled(EntryState.REJECTED, "HTTP 422: wrong purpose")
    assert watch.drain.stop is not None
    assert watch.drain.stop.status is ExitStatus.UNFINISHED
    assert (
        watch.stop_reason == "the first 10 entries were all rejected by the server: HTTP 422: wrong purpose"
    )
    assert "--retry rejected" in watch.drain.stop.hint


def test_a_run_that_got_somewhere_bears_a_hundred_in_a_row() -> None:
    """Later it takes a hundred failures of one cause with nothing accepted in between."""
    watch = Watch()
    watch.stop_rules.on_settled(EntryState.ACCEPTED, None)
    for _ in range(3):
        for _ in range(IN_A_ROW_MAX - 1):
            watch.stop_rules.on_settled(EntryState.FAILED_LOCAL, "cannot read the file: Input/output error")
        watch.stop_rules.on_settled(EntryState.ACCEPTED, None)
    assert not watch.drain.begun
    for _ in range(IN_A_ROW_MAX):
        watch.stop_rules.on_settled(EntryState.FAILED_LOCAL, "cannot read the file: Input/output error")
    assert watch.stop_reason == (
        "100 entries in a row were not readable here: cannot read the file: Input/output error"
    )


def test_invalid_entries_cost_no_request_and_end_no_run() -> None:
    """Unless the person asked for it: finding all of them is what validation is for."""
    watch = Watch()
    for _ in range(1000):
        watch.stop_rules.on_settled(EntryState.INVALID, "no `messages`")
    assert not watch.drain.begun


# --- patience


@on_virtual_time
async def test_a_run_that_is_only_throttled_loses_its_patience() -> None:
    """Throttled for longer than `patience_s` without one accepted file: the run drains."""
    watch = Watch(RunSettings(patience_s=100.0))
    for _ in range(10):
        watch.stop_rules.review(_throttled(), 1)
        await watch.clock.sleep(10)
    assert not watch.drain.begun
    watch.stop_rules.review(_throttled(), 1)
    assert watch.stop_reason is not None
    assert "throttled every upload" in watch.stop_reason


@on_virtual_time
async def test_a_run_that_gets_somewhere_keeps_its_patience() -> None:
    """One accepted file now and then is enough to be throttled for ever."""
    watch = Watch(RunSettings(patience_s=100.0))
    for _ in range(50):
        watch.stop_rules.review(_throttled(), 1)
        await watch.clock.sleep(60)
        watch.stop_rules.review(TAKEN, 1)
    assert not watch.drain.begun


@on_virtual_time
async def test_a_wait_longer_than_the_patience_drains_at_once() -> None:
    """A Retry-After that nobody wants to wait for ends the run and says when to come back."""
    watch = Watch(RunSettings(patience_s=100.0))
    watch.stop_rules.review(_throttled(101.0), 1)
    assert watch.drain.stop is not None
    assert watch.drain.stop.hint.startswith("run the same command again after 2026-")
    assert watch.events == []


@on_virtual_time
async def test_a_pause_is_told_once() -> None:
    """Many refusals of one burst are one pause to a listener; a later one is another."""
    watch = Watch()
    for _ in range(5):
        watch.stop_rules.review(_throttled(30.0), 1)
    await watch.clock.sleep(30)
    watch.stop_rules.review(_throttled(30.0), 1)
    watch.stop_rules.review(_throttled(), 1)
    assert [one.pause_s for one in watch.events if isinstance(one, Paused)] == [30.0, 30.0]


# --- reach


def test_a_server_that_nobody_reaches_ends_the_run() -> None:
    """Three entries that used up their attempts without one answer: the address or the network is wrong."""
    watch = Watch()
    for number in range(3):
        assert not watch.drain.begun
        watch.stop_rules.review(LOST, number)
        watch.stop_rules.on_exhausted(LOST)
    assert watch.stop_reason == "the server cannot be reached: cannot connect"


@pytest.mark.parametrize(
    "answer",
    [
        Unavailable(reason="HTTP 500", http_status=500),
        Rejected(http_status=400, reason="HTTP 400"),
        InDoubt(reason="HTTP 500", answered=True, http_status=500),
        TAKEN,
    ],
)
def test_any_answer_proves_that_the_server_is_there(answer: Outcome) -> None:
    """Whatever a server says, it can be reached."""
    watch = Watch()
    for number in range(9):
        watch.stop_rules.review(LOST, number)
        watch.stop_rules.on_exhausted(LOST)
        if number % 2:
            watch.stop_rules.review(answer, 100 + number)
    assert not watch.drain.begun


@pytest.mark.parametrize("outcome", [NotSent(reason="drained"), SourceFailed(reason="changed")])
def test_what_never_reached_the_server_proves_nothing(outcome: Outcome) -> None:
    """Our own troubles say nothing about the server."""
    watch = Watch()
    for number in range(3):
        watch.stop_rules.on_exhausted(LOST)
        watch.stop_rules.review(outcome, number)
    assert watch.drain.begun


# --- file systems that fail


@on_virtual_time
async def test_files_that_cannot_be_read_end_the_run_where_nothing_moves() -> None:
    """A mount that is gone ends the run as unfinished, with what to check."""
    watch = Watch()
    watch.stop_rules.on_unreadable("Stale file handle", wire_bytes=0)
    await watch.clock.sleep(UNREADABLE_S)
    watch.stop_rules.on_unreadable("Stale file handle", wire_bytes=0)
    assert watch.drain.stop is not None
    assert watch.drain.stop.status is ExitStatus.UNFINISHED
    assert watch.drain.stop.reason == "no file could be read for 1 min 00 s: Stale file handle"
    assert "mount" in watch.drain.stop.hint


@on_virtual_time
async def test_a_request_shows_that_files_can_be_read() -> None:
    """While files are sent, even in vain, one file system that fails does not end the run; other failures show nothing."""
    stale = NotSent(reason="Stale file handle", transient=True)
    for outcome, goes_on in ((TAKEN, True), (LOST, True), (stale, False), (SourceFailed(reason="r"), False)):
        watch = Watch()
        watch.stop_rules.on_unreadable("Stale file handle", wire_bytes=0)
        await watch.clock.sleep(UNREADABLE_S)
        watch.stop_rules.review(outcome, 1)
        watch.stop_rules.on_unreadable("Stale file handle", wire_bytes=0)
        assert watch.drain.begun is not goes_on


@on_virtual_time
async def test_a_check_shows_that_files_can_be_read() -> None:
    """A long validation sends nothing, and is no standstill of the file system."""
    watch = Watch()
    watch.stop_rules.on_unreadable("Stale file handle", wire_bytes=0)
    await watch.clock.sleep(UNREADABLE_S)
    watch.stop_rules.on_read()
    watch.stop_rules.on_unreadable("Stale file handle", wire_bytes=0)
    assert not watch.drain.begun


# --- the retry budget


def test_retries_spend_what_successes_earn() -> None:
    """The budget runs dry with retries and comes back with accepted files."""
    watch = Watch()
    for _ in range(100):
        watch.stop_rules.on_retry()
    assert watch.stop_rules.budget.empty
    for _ in range(5):
        watch.stop_rules.review(TAKEN, 1)
    assert not watch.stop_rules.budget.empty


# --- in a whole run


def _starts_after_stop(ran: Ran) -> list[str]:
    """Return the attempts that started after the answer that ended the run was recorded."""
    assert ran.result is not None
    ends = [at for at, one in ran.told.events if isinstance(one, AttemptEnded)]
    return [one.path for at, one in ran.told.events if isinstance(one, AttemptStarted) and at > ends[-1]]


@pytest.mark.parametrize("fate", [Fate.DENY, Fate.FORBID, Fate.REDIRECT])
def test_an_answer_about_the_run_keeps_every_entry(fate: Fate) -> None:
    """A refused key or a redirect stops the run; no entry is settled by it, and the next run finishes."""
    world = World()
    for number in range(30):
        world.add(f"{number}.jsonl")
    for number in range(30):
        world.server.script(f"{number}.jsonl", fate)
    ran = world.run(RunSettings(concurrency=3))
    assert ran.scene.violations == []
    assert ran.result is not None
    redirected = fate is Fate.REDIRECT
    assert ran.result.status is (ExitStatus.UNFINISHED if redirected else ExitStatus.CREDENTIALS_REFUSED)
    assert set(world.states().values()) == {EntryState.PENDING}
    assert len(ran.told.started()) <= 3
    assert _starts_after_stop(ran) == []
    world.server.scripts.clear()
    after = world.run()
    assert after.result is not None
    assert after.result.status is ExitStatus.DONE


@pytest.mark.parametrize(
    ("fate", "first_fate", "status"),
    [
        (Fate.FORBID, Fate.ACCEPT, ExitStatus.CREDENTIALS_REFUSED),
        (Fate.ASTRAY, Fate.ASTRAY, ExitStatus.UNFINISHED),
    ],
    ids=["forbidden", "astray"],
)
def test_entries_rejected_before_the_run_was_at_fault_are_opened_again(
    fate: Fate, first_fate: Fate, status: ExitStatus
) -> None:
    """Three in a row are the run's fault: those that were settled as rejected by then are pending again."""
    world = World(faults=Faults(forbid=1.0) if fate is Fate.FORBID else Faults(astray=1.0))
    for number in range(20):
        world.add(f"{number:02d}.jsonl")
    world.server.script("00.jsonl", first_fate)
    ran = world.run(RunSettings(concurrency=1))
    assert ran.result is not None
    assert ran.result.status is status
    states = world.states()
    expected = EntryState.ACCEPTED if first_fate is Fate.ACCEPT else EntryState.PENDING
    assert states.pop("00.jsonl") is expected
    assert set(states.values()) == {EntryState.PENDING}
    world.server.heal()
    after = world.run()
    assert after.result is not None
    assert after.result.status is ExitStatus.DONE


def test_a_long_pause_ends_the_run_and_leaves_everything_pending() -> None:
    """A run that is asked to wait longer than its patience stops instead of waiting."""
    world = World(faults=Faults(throttle_named=1.0))
    world.server.settings = ServerSettings(named_wait_s=(1000, 1000))
    for number in range(10):
        world.add(f"{number}.jsonl")
    ran = world.run()
    assert ran.lasted_s < 5
    assert ran.result is not None
    assert ran.result.status is ExitStatus.UNFINISHED
    assert set(world.states().values()) == {EntryState.PENDING}


def test_a_server_that_is_down_is_given_up() -> None:
    """Nobody tries all entries against a server that three could not reach."""
    world = World(faults=Faults(refuse=1.0))
    for number in range(50):
        world.add(f"{number}.jsonl")
    ran = world.run()
    assert ran.result is not None
    assert ran.result.stop is not None
    assert "cannot be reached" in ran.result.stop.reason
    assert world.server.request_count < 50 * 6


def test_errors_drain_a_run_that_goes_on_otherwise() -> None:
    """At the limit of errors what is in flight finishes, and the rest stays pending."""
    world = World(faults=Faults(reject=1.0))
    for number in range(50):
        world.add(f"{number}.jsonl")

    def script(scene: Scene) -> None:
        scene.after(1000, scene.kill)

    ran = world.run(RunSettings(concurrency=2, errors_max=5), script=script)
    assert ran.result is not None
    assert ran.result.status is ExitStatus.UNFINISHED
    assert 5 <= ran.result.states[EntryState.REJECTED] <= 6


# --- bundles


@pytest.mark.parametrize(
    "outcomes",
    [
        (TAKEN,) * 5,
        (InDoubt(reason="not named", answered=True, http_status=200), *(TAKEN,) * 3),
        (TAKEN, InDoubt(reason="number", answered=False, http_status=200, id_kind="a number"), TAKEN, TAKEN),
        (*(InDoubt(reason="no id", answered=False, http_status=200, id_kind="null"),) * 3, TAKEN, TAKEN),
        (LOST, TAKEN, TAKEN),
    ],
)
def test_one_answer_about_several_files_says_what_as_many_answers_say(outcomes: tuple[Outcome, ...]) -> None:
    """What is recorded, the retry budget, and what later outcomes mean are those of single reviews."""
    one_by_one, together = Watch(), Watch()
    for watch in (one_by_one, together):
        watch.stop_rules.review(LOST, 99)
    ids = list(range(len(outcomes)))
    singly = [one_by_one.stop_rules.review(one, number) for one, number in zip(outcomes, ids, strict=True)]
    assert together.stop_rules.review_each(outcomes, ids) == singly
    assert together.stop_rules.budget == one_by_one.stop_rules.budget
    assert together.stop_reason == one_by_one.stop_reason
    assert together.stop_rules.knows_server == one_by_one.stop_rules.knows_server
    refused = Rejected(http_status=404, reason="no")
    assert together.stop_rules.review(refused, 50) == one_by_one.stop_rules.review(refused, 50)
