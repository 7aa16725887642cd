"""Signals in stages, in processes of their own: the last stage works whatever hangs."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bulk_upload.edge.signals import staged_signals

LIMIT_S = 60.0
LEFT = 42

HEAD = """
import asyncio, os, signal, sys, time
from bulk_upload.edge.signals import staged_signals, stoppable

def say(word):
    os.write(1, (word + "\\n").encode())

def stage(name):
    return lambda number: say(f"{name} {number.name}")

def leave(number):
    say(f"leave {number.name}")
    return 42

STAGES = (stage("first"), stage("second"))
"""
WAITING = """
async def main():
    with staged_signals(STAGES, leave=leave):
        say("ready")
        await asyncio.sleep(600)
"""
BLOCKED = """
async def main():
    _, full = os.pipe()
    with staged_signals(STAGES, leave=leave):
        say("ready")
        while True:
            # A signal ends a write that wrote a part.
            os.write(full, bytes(4096))
"""
STOPPING = """
async def main():
    with stoppable(lambda: say("away"), lambda: say("back")), staged_signals(STAGES, leave=leave):
        say("ready")
        while True:
            # As a display that draws: the kernel may give a signal to another thread, which does not wake this one.
            await asyncio.sleep(0.02)
"""
RUN = "asyncio.run(main())\n"


@contextmanager
def running(script: str, ignored: tuple[signal.Signals, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """Start a script and wait until it is ready."""

    def ignore() -> None:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)

    with subprocess.Popen(
        [sys.executable, "-c", HEAD + script],
        stdout=subprocess.PIPE,
        text=True,
        # In a group of its own, which is not orphaned: in one that is, nothing is stopped by SIGTSTP.
        process_group=0,
        preexec_fn=ignore,  # noqa: PLW1509 - nothing but a disposition that the child inherits
    ) as process:
        try:
            expect(process, "ready")
            yield process
        finally:
            process.kill()


def expect(process: subprocess.Popen[str], line: str, *, after: str | None = None) -> None:
    """Read the next line a process prints, passing over `after`, which may be said more than once."""
    assert process.stdout is not None
    said = process.stdout.readline().strip()
    while said == after:
        said = process.stdout.readline().strip()
    assert said == line


def test_each_signal_is_one_stage_and_the_last_one_leaves() -> None:
    """The first and second signal run their stages on the loop, the third ends the process, each counted once."""
    with running(WAITING + RUN) as process:
        process.send_signal(signal.SIGINT)
        expect(process, "first SIGINT")
        process.send_signal(signal.SIGTERM)
        expect(process, "second SIGTERM")
        process.send_signal(signal.SIGHUP)
        expect(process, "leave SIGHUP")
        assert process.wait(LIMIT_S) == LEFT


def test_the_last_stage_needs_no_main_thread() -> None:
    """A main thread that writes into a full pipe for ever, and its loop with it, do not keep the process."""
    with running(BLOCKED + RUN) as process:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Of several signals of one kind at once the kernel keeps a single one.
            process.send_signal(number)
        assert process.wait(LIMIT_S) == LEFT


@pytest.mark.parametrize("run", [RUN, "import uvloop\nuvloop.run(main())\n"])
def test_ctrl_z_leaves_the_terminal_before_the_process_is_stopped(run: str) -> None:
    """It is told again, however often it is stopped, and also where it was stopped by SIGSTOP; other signals go on."""
    if "uvloop" in run and importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    with running(STOPPING + run) as process:
        for _ in range(2):
            process.send_signal(signal.SIGTSTP)
            expect(process, "away", after="back")
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            process.send_signal(signal.SIGCONT)
            expect(process, "back")
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        process.send_signal(signal.SIGCONT)
        expect(process, "back")
        process.send_signal(signal.SIGINT)
        expect(process, "first SIGINT", after="back")


def test_ctrl_z_that_is_ignored_stays_ignored() -> None:
    """Where no shell could continue it, a process is not stopped."""
    with running(STOPPING + RUN, ignored=(signal.SIGTSTP,)) as process:
        process.send_signal(signal.SIGTSTP)
        process.send_signal(signal.SIGINT)
        expect(process, "first SIGINT")


@pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed")
@pytest.mark.parametrize("body", [WAITING, BLOCKED], ids=["waiting", "blocked"])
def test_stages_work_on_uvloop(body: str) -> None:
    """uvloop reads signals from a descriptor of its own, which is passed on to and given back."""
    with running(f"{body}import uvloop\nuvloop.run(main())\n") as process:
        process.send_signal(signal.SIGINT)
        if body is WAITING:
            expect(process, "first SIGINT")
        process.send_signal(signal.SIGTERM)
        if body is WAITING:
            expect(process, "second SIGTERM")
        process.send_signal(signal.SIGHUP)
        assert process.wait(LIMIT_S) == LEFT


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_ignored_signal_stays_ignored(number: signal.Signals) -> None:
    """A signal that was ignored when the process began does nothing, and counts for no stage."""
    other = signal.SIGTERM if number != signal.SIGTERM else signal.SIGINT
    with running(WAITING + RUN, ignored=(number,)) as process:
        process.send_signal(number)
        process.send_signal(number)
        process.send_signal(other)
        expect(process, f"first {other.name}")


def test_handlers_of_others_go_on() -> None:
    """A handler that somebody else gave the loop is still called, and everything is as before afterwards."""
    script = """
async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, say, "theirs")
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(fd)
    with staged_signals(STAGES, leave=leave):
        say("ready")
        await asyncio.to_thread(sys.stdin.readline)
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
    assert signal.set_wakeup_fd(fd) == fd
    import threading
    assert [one.name for one in threading.enumerate() if "signals" in one.name] == []
    say("restored")
"""
    with subprocess.Popen(
        [sys.executable, "-c", HEAD + script + RUN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            expect(process, "ready")
            process.send_signal(signal.SIGUSR1)
            expect(process, "theirs")
            process.communicate("\n", timeout=LIMIT_S)
            assert process.returncode == 0
        finally:
            process.kill()


def test_signals_are_the_main_threads() -> None:
    """Elsewhere than in the main thread signals cannot be taken, and no thread is left behind."""
    before = set(threading.enumerate())
    errors: list[Exception] = []

    def elsewhere() -> None:
        try:
            with staged_signals((), leave=lambda _: os.EX_OK):
                pass
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(LIMIT_S)
    assert len(errors) == 1
    assert set(threading.enumerate()) == before
