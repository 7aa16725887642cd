"""However a call is interrupted: it ends the run, nothing goes on afterwards, and the same call resumes."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bulk_upload import EntryState, LedgerReader, Result, Uploader, upload
from bulk_upload.engine.plan import Preparation
from bulk_upload.library.waiting import BackgroundRun
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.library.scenes import assert_at_rest, assert_each_once, assert_nothing_goes_on, manifest_of
from tests.waiting import HANG_S, until_in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload import JobRun
    from bulk_upload.sandbox import Sandbox

COUNT = 12
AT_ONCE = 3
NEVER_ANSWERED = "answer-delay=3600"


class TaskKilled(Exception):
    """What a task runner's signal handler raises."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig()) as running:
        yield running


class Ticks:
    """Raises one error after another in the waiting thread, as signal handlers do: each when its moment has come."""

    def __init__(self, run: JobRun, *errors: BaseException) -> None:
        self._run = run
        self._errors = list(errors)
        self.raised: list[BaseException] = []

    def __call__(self) -> None:
        snapshot = self._run.snapshot
        moments = (snapshot is not None and snapshot.in_flight == AT_ONCE, self._run.stop is not None)
        if self._errors and moments[min(1, len(self.raised))]:
            self.raised.append(self._errors.pop(0))
            raise self.raised[-1]


def background(sandbox: Sandbox, manifest: Path) -> tuple[BackgroundRun, JobRun]:
    uploader = Uploader(api_key="key", base_url=sandbox.url, concurrency=AT_ONCE, settle_s=0.5)
    run = uploader.run(manifest, ledger=manifest.with_name("job.ledger.db"))
    return BackgroundRun(uploader, run), run


def resumed(sandbox: Sandbox, manifest: Path) -> Result:
    return upload(
        manifest,
        ledger=manifest.with_name("job.ledger.db"),
        api_key="key",
        base_url=sandbox.url,
        settle_s=0.5,
        settle_answered_s=0.5,
    )


def test_the_first_interrupt_lets_uploads_in_flight_finish(tmp_path: Path, sandbox: Sandbox) -> None:
    """Nothing new starts, what is in flight is accepted, and KeyboardInterrupt is raised when all is recorded."""
    many = 120  # the run must not end by itself before the interrupt comes
    sandbox.use_faults(parse_faults("answer-delay=0.6"))
    manifest = manifest_of(tmp_path, many)
    waiting, run = background(sandbox, manifest)
    with pytest.raises(KeyboardInterrupt) as caught:
        waiting.wait(Ticks(run, KeyboardInterrupt()))
    assert "resumes" in caught.value.__notes__[0]
    assert_nothing_goes_on()
    assert_at_rest(tmp_path / "job.ledger.db")
    with LedgerReader(tmp_path / "job.ledger.db") as reader:
        states = reader.states()
    assert set(states) == {EntryState.ACCEPTED, EntryState.PENDING}
    assert states[EntryState.ACCEPTED] == len(sandbox.files)
    sandbox.use_faults(parse_faults(""))
    assert resumed(sandbox, manifest).ok
    assert_each_once(sandbox, many)


def test_ctrl_c_below_asyncio_run_is_an_interrupt(tmp_path: Path, sandbox: Sandbox) -> None:
    """There the handler of SIGINT cancels the task, and raises nothing while the task is blocked by the upload."""
    sandbox.use_faults(parse_faults("answer-delay=0.6"))
    manifest = manifest_of(tmp_path, 120)
    waiting, run = background(sandbox, manifest)

    async def notebook() -> None:
        task = asyncio.current_task()
        assert task is not None

        def tick() -> None:
            snapshot = run.snapshot
            if snapshot is not None and snapshot.in_flight == AT_ONCE and not task.cancelling():
                task.cancel()

        with pytest.raises(KeyboardInterrupt):
            waiting.wait(tick)
        raised.append(True)

    raised: list[bool] = []
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(notebook())
    assert raised
    assert_nothing_goes_on()
    assert_at_rest(tmp_path / "job.ledger.db")
    with LedgerReader(tmp_path / "job.ledger.db") as reader:
        assert set(reader.states()) == {EntryState.ACCEPTED, EntryState.PENDING}


def test_the_second_interrupt_aborts_and_records(tmp_path: Path, sandbox: Sandbox) -> None:
    """Uploads that are never answered end in doubt at the second interrupt, and the next call looks them up."""
    sandbox.use_faults(parse_faults(NEVER_ANSWERED))
    manifest = manifest_of(tmp_path, COUNT)
    waiting, run = background(sandbox, manifest)
    ticks = Ticks(run, KeyboardInterrupt("first"), KeyboardInterrupt("second"))
    with pytest.raises(KeyboardInterrupt, match="first"):
        waiting.wait(ticks)
    assert len(ticks.raised) == 2
    assert_nothing_goes_on()
    assert_at_rest(tmp_path / "job.ledger.db")
    assert_nothing_is_accepted(tmp_path / "job.ledger.db")
    sandbox.use_faults(parse_faults(""))
    assert resumed(sandbox, manifest).ok


def test_a_killed_task_aborts_at_once(tmp_path: Path, sandbox: Sandbox) -> None:
    """An exception that is no KeyboardInterrupt has nobody behind it who would send a second one."""
    sandbox.use_faults(parse_faults(NEVER_ANSWERED))
    waiting, run = background(sandbox, manifest_of(tmp_path, COUNT))
    with pytest.raises(TaskKilled):
        waiting.wait(Ticks(run, TaskKilled()))
    assert_nothing_goes_on()
    assert_at_rest(tmp_path / "job.ledger.db")


def test_an_interrupt_while_planning_ends_the_call(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is in flight then: the first interrupt is enough, and there is no ledger."""
    began, goes_on = threading.Event(), threading.Event()

    def plan(self: Preparation, lines: object) -> None:
        began.set()
        assert goes_on.wait(HANG_S)

    monkeypatch.setattr(Preparation, "plan", plan)
    waiting, _ = background(sandbox, manifest_of(tmp_path, COUNT))
    interrupted: list[BaseException] = []

    def tick() -> None:
        if interrupted:
            goes_on.set()
        elif began.is_set():
            interrupted.append(KeyboardInterrupt())
            raise interrupted[0]

    with pytest.raises(KeyboardInterrupt):
        waiting.wait(tick)
    assert_nothing_goes_on()
    assert not list(tmp_path.glob("*.db*"))
    assert sandbox.request_count == 0


def test_an_interrupt_before_the_first_step_is_obeyed(tmp_path: Path, sandbox: Sandbox) -> None:
    """A run that is interrupted before it has begun does nothing."""
    uploader = Uploader(api_key="key", base_url=sandbox.url)
    run = uploader.run(manifest_of(tmp_path, 2))
    run.interrupt(1)
    with pytest.raises(BaseException) as caught:
        BackgroundRun(uploader, run).wait(lambda: None)
    assert type(caught.value).__name__ == "CancelledError"
    assert sandbox.request_count == 0
    assert_nothing_goes_on()


def test_the_fourth_interrupt_leaves_a_run_that_hangs(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a disk never answers, the caller gets away after four interrupts."""
    began, goes_on = threading.Event(), threading.Event()

    def hang(self: Preparation, lines: object) -> None:
        began.set()
        assert goes_on.wait(HANG_S)

    monkeypatch.setattr(Preparation, "plan", hang)
    waiting, _ = background(sandbox, manifest_of(tmp_path, 1))
    monkeypatch.setattr("bulk_upload.library.waiting.PLAN_ENDS_S", HANG_S)
    errors = [KeyboardInterrupt(str(number)) for number in range(4)]

    def tick() -> None:
        if began.is_set() and errors:
            raise errors.pop(0)

    with pytest.raises(KeyboardInterrupt, match="0"):
        waiting.wait(tick)
    assert errors == []
    goes_on.set()
    assert_nothing_goes_on()


def test_an_interrupt_in_the_middle_of_another_counts(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one may come before the wait goes on after the first one: it aborts all the same."""
    sandbox.use_faults(parse_faults(NEVER_ANSWERED))
    waiting, run = background(sandbox, manifest_of(tmp_path, COUNT))
    end = BackgroundRun._end
    stages: list[int] = []

    def end_and_be_interrupted(self: BackgroundRun, stage: int) -> None:
        end(self, stage)
        stages.append(stage)
        if len(stages) == 1:
            raise KeyboardInterrupt("second")

    monkeypatch.setattr(BackgroundRun, "_end", end_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt, match="first"):
        waiting.wait(Ticks(run, KeyboardInterrupt("first")))
    assert stages == [1, 2]
    assert_nothing_goes_on()
    assert_at_rest(tmp_path / "job.ledger.db")


SCRIPT = """
import signal, sys, threading
from bulk_upload import upload
manifest, ledger, url, how = sys.argv[1:]

class TaskKilled(Exception):
    pass

def on_term(number, frame):
    raise TaskKilled

signal.signal(signal.SIGTERM, on_term)
signal.signal(signal.SIGINT, signal.default_int_handler)

def work():
    upload(manifest, ledger=ledger, api_key="key", base_url=url, concurrency=3, on_event=tell)

def tell(event):
    print(type(event).__name__, flush=True)

if how == "thread":
    threading.Thread(target=work).start()
    signal.pause()
work()
"""


@pytest.mark.parametrize(
    ("how", "number"),
    [("main", signal.SIGINT), ("main", signal.SIGTERM), ("thread", signal.SIGINT)],
    ids=["script", "killed-task", "thread"],
)
def test_a_process_ends_with_its_upload(
    tmp_path: Path, sandbox: Sandbox, how: str, number: signal.Signals
) -> None:
    """A script at Ctrl-C, a task at the handler of its runner, a thread when the main thread ends: nothing is left."""
    sandbox.use_faults(parse_faults(NEVER_ANSWERED))
    ledger = tmp_path / "job.ledger.db"
    arguments = [str(manifest_of(tmp_path, COUNT)), str(ledger), sandbox.url, how]
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        until_in_thread(lambda: sandbox.request_count >= AT_ONCE)
        process.send_signal(number)
        if (how, number) == ("main", signal.SIGINT):
            # The first one lets uploads finish that never will.
            assert process.stdout is not None
            assert any(line == b"Draining\n" for line in process.stdout)
            process.send_signal(number)
        _, told = process.communicate(timeout=HANG_S)
    finally:
        process.kill()
        process.communicate()
    word = b"TaskKilled" if number is signal.SIGTERM else b"KeyboardInterrupt"
    assert word in told
    assert_at_rest(ledger)
    assert_nothing_is_accepted(ledger)


def assert_nothing_is_accepted(ledger: Path) -> None:
    """What was in flight is in doubt, or pending where its body was not complete; all else is pending."""
    with LedgerReader(ledger) as reader:
        states = reader.states()
    assert set(states) <= {EntryState.IN_DOUBT, EntryState.PENDING}
    assert sum(states.values()) == COUNT
