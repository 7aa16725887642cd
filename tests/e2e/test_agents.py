"""Runs with agents as processes of their own, which are killed, stopped and cut off; the witness counts what became of it."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.e2e.stage import Process, Stage, holds_within, staged
from tests.e2e.trees import MIB, mixed_tree, plain_tree
from tests.e2e.witness import (
    assert_all_accepted,
    assert_nothing_sent_blindly,
    uploads_of,
)

SHORT = ("--agent-ttl", "3s", "--settle", "1s", "--concurrency", "6", "--no-progress")
LONG_S = 110.0


def run_with_agents(stage: Stage, *options: str) -> tuple[Process, str]:
    """Start a run that agents may join; return it and where they connect to."""
    run = stage.start_run("--listen", "127.0.0.1:0", "--token-file", "token", *SHORT, *options)
    run.until(lambda: "ws://" in run.stderr, "the address for agents", timeout_s=60)
    return run, next(word for word in run.stderr.split() if word.startswith("ws://"))


def agent(stage: Stage, url: str) -> Process:
    """Start an agent. Not forked: what is stopped and killed is a process like those of a cluster."""
    return stage.start("agent", url, "--token-file", "token")


def has_sent(stage: Stage, count: int) -> bool:
    return len(uploads_of(stage)) >= count


def test_a_killed_agent_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """What one of two agents had in flight is in doubt, looked up, and sent by the other where it is not there."""
    tree = mixed_tree(tmp_path / "tree", count=60, seed=23, sizes=(10, 3000), large=(300_000, MIB + 1))
    with staged(tmp_path, "answer-delay=0.15,list-lag=0.3") as stage:
        stage.use(tree)
        run, url = run_with_agents(stage)
        first, second = agent(stage, url), agent(stage, url)
        run.until(lambda: has_sent(stage, 20), "twenty uploads", timeout_s=60)
        first.kill()
        ended = run.wait(LONG_S)
        assert ended.code == 0, ended.stderr
        assert second.wait().code == 0
        assert_all_accepted(stage, tree)
        assert_nothing_sent_blindly(stage)


def test_a_stopped_agent_sends_nothing_more_when_it_goes_on(tmp_path: Path) -> None:
    """An agent that is stopped for longer than it may be is fenced off when it wakes, and joins anew."""
    tree = mixed_tree(tmp_path / "tree", count=40, seed=24, sizes=(10, 3000), large=(300_000, 3 * MIB))
    with staged(tmp_path, "answer-delay=0.15,list-lag=0.3") as stage:
        stage.use(tree)
        run, url = run_with_agents(stage)
        first, second = agent(stage, url), agent(stage, url)
        run.until(lambda: has_sent(stage, 10), "ten uploads", timeout_s=60)
        first.signal(signal.SIGSTOP)
        try:
            run.until(lambda: "lost" in run.stderr or not run.running, "the loss", timeout_s=60)
        finally:
            first.signal(signal.SIGCONT)
        ended = run.wait(LONG_S)
        assert ended.code == 0, ended.stderr
        for one in (first, second):
            assert one.wait().code == 0, one.stderr
        assert_all_accepted(stage, tree)
        assert_nothing_sent_blindly(stage)


def test_a_killed_coordinator_is_started_again_at_once(tmp_path: Path) -> None:
    """Its agent goes on for a while: absence counts from the last sign of life and that time, and nothing is doubled."""
    tree = plain_tree(tmp_path / "tree", count=6, size=MIB)
    options = ("--agent-ttl", "5s", "--settle", "1s", "--concurrency", "6", "--no-progress")
    with staged(tmp_path) as stage:
        stage.use(tree)
        listening = ("--listen", "127.0.0.1:0", "--token-file", "token", "--bandwidth", "2MB/s")
        run = stage.start_run(*options, *listening)
        run.until(lambda: "ws://" in run.stderr, "the address for agents", timeout_s=60)
        agent(stage, next(word for word in run.stderr.split() if word.startswith("ws://")))
        run.until(lambda: stage.sandbox.in_flight == 6, "six uploads in flight", timeout_s=60)
        run.kill()
        stage.run(*options, expect=0, timeout_s=LONG_S)
        assert holds_within(60, lambda: not stage.sandbox.in_flight)
        assert_all_accepted(stage, tree)
        assert_nothing_sent_blindly(stage)


def test_processes_on_this_machine_end_with_their_run(tmp_path: Path) -> None:
    """`--processes 2` needs nothing else; a killed run leaves no process behind."""
    tree = mixed_tree(tmp_path / "tree", count=40, seed=25, sizes=(0, 10, 3000), large=(300_000, MIB + 1))
    with staged(tmp_path, "answer-delay=0.1,list-lag=0.3") as stage:
        stage.use(tree)
        run = stage.start_run("--processes", "2", *SHORT)
        run.until(lambda: has_sent(stage, 5), "five uploads", timeout_s=60)
        children = _children(run.pid)
        # The command itself is one of them.
        assert len(children) == 1
        run.kill()
        assert holds_within(60, lambda: not any(map(_lives, children)))
        stage.run("--processes", "2", *SHORT, expect=0, timeout_s=LONG_S)
        assert_all_accepted(stage, tree)
        assert_nothing_sent_blindly(stage)


def _children(pid: int) -> list[int]:
    return [
        int(child)
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
        if b"agent_process" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def _lives(pid: int) -> bool:
    try:
        return b"agent_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
