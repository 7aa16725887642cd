"""Agents that are killed, stopped, cut off and join late, again and again, at a server that loses answers.

By hand, about twenty minutes: pytest -n 0 -s -m soak tests/e2e/test_agents_soak.py
"""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.e2e.fleets import CutProxy
from tests.e2e.stage import Process, Stage, staged
from tests.e2e.trees import MIB, mixed_tree, plain_tree
from tests.e2e.witness import assert_all_accepted, assert_nothing_sent_blindly, stored_of, uploads_of
from tests.waiting import until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

AGENTS = 3
LIMIT = 8
OPTIONS = ("--agent-ttl", "3s", "--settle", "4s", "--concurrency", str(LIMIT), "--no-progress")
FAULTS = "answer-delay=0.15,list-lag=0.3,drop-stored@4%,drop-mid@3%,503@2%"
BLOWS = 60


class Crew:
    """The agents of one run, each behind a proxy of its own, and what was done to them."""

    def __init__(self, stage: Stage, url: str, stack: AsyncExitStack, chance: random.Random) -> None:
        self._stage = stage
        self._url = urlsplit(url)
        self._stack = stack
        self._chance = chance
        self._agents: list[tuple[Process, CutProxy]] = []
        self._resumes: list[asyncio.Task[None]] = []
        self.done: Counter[str] = Counter()

    async def join(self) -> None:
        """Start one more agent."""
        proxy = CutProxy(str(self._url.hostname), self._url.port or 0)
        port = await self._stack.enter_async_context(proxy.running())
        url = urlunsplit(self._url._replace(netloc=f"127.0.0.1:{port}"))
        self._agents.append((self._stage.start("agent", url, "--token-file", "token"), proxy))

    async def strike(self) -> None:
        """Do something bad to one of them."""
        place = self._chance.randrange(len(self._agents))
        agent, proxy = self._agents[place]
        blow = self._chance.choice(("kill", "kill", "stop", "cut", "break", "leave"))
        self.done[blow] += 1
        match blow:
            case "kill":
                agent.kill()
                await self._replace(place)
            case "leave":
                agent.signal(signal.SIGTERM)
                await self._replace(place)
            case "stop":
                agent.signal(signal.SIGSTOP)
                self._later(lambda: _go_on(agent))
            case "cut":
                proxy.cut()
                self._later(proxy.mend)
            case "break":
                proxy.break_off()

    async def over(self) -> None:
        """Wait until what was stopped or cut goes on."""
        await asyncio.gather(*self._resumes)

    async def _replace(self, place: int) -> None:
        """Another one joins, at once or later."""
        del self._agents[place]
        self.done["join"] += 1
        await self.join()

    def _later(self, act: Callable[[], object]) -> None:
        async def resume() -> None:
            await asyncio.sleep(self._chance.uniform(0.3, 8.0))
            act()

        self._resumes.append(asyncio.ensure_future(resume()))


def _go_on(agent: Process) -> None:
    if agent.running:
        agent.signal(signal.SIGCONT)


def started(stage: Stage, *options: str) -> Process:
    return stage.start_run("--listen", "127.0.0.1:0", "--token-file", "token", *OPTIONS, *options)


async def address(run: Process) -> str:
    await until(lambda: "ws://" in run.stderr or not run.running)
    return next(word for word in run.stderr.split() if word.startswith("ws://"))


@pytest.mark.parametrize(
    "options",
    [(), ("--bundle", "8"), ("--processes", "2"), ("--processes", "2", "--bundle", "8")],
    ids=["one by one", "in bundles", "beside the command", "in bundles beside the command"],
)
async def test_blows_at_random_lose_and_double_nothing(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Sixty kills, stops, cuts and departures over three agents, answers lost on top: nothing lost, nothing doubled."""
    chance = random.Random(20261130)
    done: Counter[str] = Counter()
    job = 0
    while done.total() - done["join"] < BLOWS:
        job += 1
        folder = tmp_path / str(job)
        tree = mixed_tree(folder / "tree", count=150, seed=job, sizes=(0, 10, 3000), large=(300_000, 2 * MIB))
        with staged(folder, f"{FAULTS},seed={job}") as stage:
            stage.use(tree)
            async with AsyncExitStack() as stack:
                run = started(stage, *options)
                crew = Crew(stage, await address(run), stack, chance)
                for _ in range(AGENTS):
                    await crew.join()
                await until(partial(uploads_of, stage))
                while run.running:
                    await crew.strike()
                    await asyncio.sleep(chance.uniform(0.3, 2.5))
                await crew.over()
            ended = run.wait()
            assert ended.code in (0, 4, 5), ended.stderr
            done += crew.done
            stage.use_faults("")
            if ended.code:
                stage.run("--processes", "2", *OPTIONS, *options, expect=0, timeout_s=300)
            lost = ended.stderr.count("lost")
            print(
                f"job {job}: {dict(crew.done)}, {lost} lost, peak {stage.sandbox.peak_in_flight} of {LIMIT}"
            )
            assert_all_accepted(stage, tree)
            assert_nothing_sent_blindly(stage)
            # A process that is stopped cannot close its connections: its requests count at the server until it goes on.
            assert stage.sandbox.peak_in_flight <= LIMIT * 2
    print(dict(done))


@pytest.mark.parametrize("bundle", [None, "6"], ids=["one by one", "in a bundle"])
@pytest.mark.parametrize("rule", [True, False], ids=["by the rule", "without the rule"])
async def test_a_coordinator_that_is_started_again_waits_for_the_agents_of_the_dead_one(
    tmp_path: Path, rule: bool, bundle: str | None
) -> None:
    """Absence counts from the last sign of life plus the agents' time. Without that, uploads that go on are doubled."""
    tree = plain_tree(tmp_path / "tree", count=6, size=3 * MIB if bundle is None else 250_000)
    bandwidth, in_flight = ("2MB/s", 6) if bundle is None else ("150KB/s", 1)
    with staged(tmp_path) as stage:
        stage.use(tree)
        options: tuple[str, ...] = (
            "--agent-ttl",
            "12s",
            "--settle",
            "1s",
            "--concurrency",
            "6",
            "--no-progress",
        )
        options += () if bundle is None else ("--bundle", bundle)
        run = stage.start_run(
            "--listen", "127.0.0.1:0", "--token-file", "token", *options, "--bandwidth", bandwidth
        )
        stage.start("agent", await address(run), "--token-file", "token")
        await until(lambda: stage.sandbox.in_flight == in_flight)
        run.kill()
        if not rule:
            with sqlite3.connect(stage.ledger) as ledger:
                ledger.execute("UPDATE runs SET agents_ttl_s = 0")
            ledger.close()
        again = stage.start_run(*options)
        while again.running:
            await asyncio.sleep(0.1)
        assert again.wait(300).code == 0, again.stderr
        await until(lambda: stage.sandbox.in_flight == 0)
        assert (len(stored_of(stage)) == 6) == rule, len(stored_of(stage))
