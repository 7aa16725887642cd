"""A command that sends itself, beside its agents: who gets which file, and what becomes of it when nobody else is there."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest

from bulk_upload.core.fleet.messages import Drop, HeldFile, Prepare, Prepared, Send
from bulk_upload.core.model import Accepted, Fingerprint, SentBody
from bulk_upload.core.run.sender import PreparedFile, PrepareRequest, UploadReport, UploadRequest
from bulk_upload.engine.conditions import Conditions
from bulk_upload.engine.fleet import shared_sender
from bulk_upload.engine.fleet.cap_shares import OwnShare
from bulk_upload.engine.fleet.fleet_sender import FleetSender
from bulk_upload.engine.fleet.shared_sender import SharedSender

SMALL_BYTES = 1000
LARGE_BYTES = 50_000_000
OK = Accepted(file_id="id", http_status=200, size_confirmed=True)


def request(path: str, size: int = SMALL_BYTES) -> PrepareRequest:
    return PrepareRequest(path=path, purpose="p", planned_bytes=size)


def upload(attempt_id: int) -> UploadRequest:
    return UploadRequest(attempt_id=attempt_id, path="a", sent_name="a", purpose="p")


def version(size: int = SMALL_BYTES) -> Fingerprint:
    return Fingerprint(size=size, mtime_ns=3, inode=2, ctime_ns=4)


class Own:
    """A local sender that reads at once, and whose requests end when the test says so."""

    def __init__(self, numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self.held: dict[int, str] = {}
        self.sending: dict[int, asyncio.Future[None]] = {}
        self.busy_count = self.wire_bytes = self.partial_bytes = 0

    @property
    def load(self) -> int:
        return len(self.held) + len(self.sending)

    async def prepare(self, requests: Sequence[PrepareRequest]) -> list[PreparedFile]:
        await asyncio.sleep(0)
        found = []
        for one in requests:
            number = next(self._numbers)
            self.held[number] = one.path
            found.append(PreparedFile(number=number, fingerprint=version(one.planned_bytes)))
        return found

    def holds(self, number: int) -> bool:
        return number in self.held

    async def drop(self, number: int) -> None:
        del self.held[number]

    async def send(self, number: int, request: UploadRequest) -> UploadReport:
        del self.held[number]
        self.sending[number] = asyncio.get_running_loop().create_future()
        try:
            await self.sending[number]
        finally:
            del self.sending[number]
        sent = SentBody(sent_name="a", purpose="p", file_bytes=SMALL_BYTES, complete=True)
        return UploadReport(outcome=OK, sent=sent)


class Agent:
    """An agent as the coordinator knows it, which answers at once, or never."""

    def __init__(self, name: str, *, answers: bool = True) -> None:
        self.name = name
        self.answers = answers
        self.takes_work = True
        self.held: set[int] = set()
        self.dispatches: dict[int, Any] = {}
        self.bodies: dict[int, Any] = {}
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.wire_bytes = self.handed_bytes = 0
        self.posted: list[Any] = []
        self.session = self
        self._handles = itertools.count(1)

    @property
    def load(self) -> int:
        return len(self.dispatches) + len(self.held) + len(self.waiting)

    def dispatch(self, attempt: int) -> None:
        assert attempt not in self.dispatches

    def post(self, message: object) -> None:
        self.posted.append(message)
        if isinstance(message, Prepare) and self.answers:
            files = tuple(
                HeldFile(handle=next(self._handles), fingerprint=version(one.planned_bytes))
                for one in message.files
            )
            self.waiting.pop(message.req).set_result(Prepared(req=message.req, files=files))


class Crew:
    """Agents that come and go as a test says."""

    def __init__(self) -> None:
        self.members: list[Agent] = []
        self.is_gathering = False
        self._conditions = Conditions()
        self.on_gone: Any = None

    def serves(self, *, act: object, on_gone: object) -> None:
        self.on_gone = on_gone

    def at_hand(self) -> list[Agent]:
        return [one for one in self.members if one.takes_work]

    async def until_joined(self, may_go_on: Callable[[], bool]) -> None:
        await self._conditions.until(lambda: may_go_on() or not self.is_gathering)

    def on_room(self) -> None:
        self._conditions.check()

    def joined(self, *agents: Agent) -> None:
        self.members.extend(agents)
        self.is_gathering = False
        self._conditions.check()

    def lose(self, agent: Agent) -> None:
        agent.takes_work = False
        self.members.remove(agent)
        self.on_gone(agent, tuple(agent.dispatches), is_lost=True)


class Scene:
    """A command with an own sender, and a crew."""

    def __init__(self, *, keeps_together: bool = False) -> None:
        numbers = itertools.count(1)
        self.own, self.crew = Own(numbers), Crew()
        crew = cast("Any", self.crew)
        fleet = FleetSender(
            crew,
            on_handed=lambda _: None,
            on_held=lambda: None,
            on_checked=lambda *_: None,
            keeps_together=keeps_together,
            numbers=numbers,
        )
        self.share = OwnShare(cast("Any", None), cast("Any", None), on_held=lambda: None)
        self.sender = SharedSender(
            cast("Any", self.own), fleet, crew, self.share, keeps_together=keeps_together
        )

    async def prepare(self, count: int, size: int = SMALL_BYTES) -> list[PreparedFile]:
        found = await self.sender.prepare([request(f"{number}", size) for number in range(count)])
        return [one for one in found if isinstance(one, PreparedFile)]


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_without_agents_the_command_sends_everything() -> None:
    """And at once: it does not wait for anybody with small files."""
    scene = Scene()
    scene.crew.is_gathering = True
    assert [one.agent for one in await scene.prepare(64)] == [None] * 64


async def test_agents_that_have_nothing_to_do_get_all_small_files() -> None:
    """The command's own event loop is best spent on serving them."""
    scene = Scene()
    scene.crew.joined(Agent("a"), Agent("b"))
    found = await scene.prepare(64)
    assert [one.agent for one in found] == ["a", "b"] * 32
    assert len({one.number for one in found}) == 64


async def test_the_command_takes_more_the_more_agents_have_to_do() -> None:
    """At most its equal share: the rest of the batch goes on to the agents, in order with its own."""
    scene = Scene()
    agent = Agent("a")
    scene.crew.joined(agent)
    await scene.prepare(30)
    second = await scene.prepare(64)
    own = [number for number, one in enumerate(second) if one.agent is None]
    assert len(own) == 32
    assert own == list(range(1, 64, 2))
    third = await scene.prepare(64)
    assert 0 < sum(one.agent is None for one in third) < 32


async def test_bundles_stay_together() -> None:
    """A batch whose files may go in one request is read by one: by the agent, then by whoever has less to do."""
    scene = Scene(keeps_together=True)
    scene.crew.joined(Agent("a"))
    assert {one.agent for one in await scene.prepare(20)} == {"a"}
    assert {one.agent for one in await scene.prepare(30)} == {None}
    assert {one.agent for one in await scene.prepare(20)} == {"a"}


async def test_single_files_go_to_whoever_has_the_least_to_do() -> None:
    """An agent first, then the command, in turn."""
    scene = Scene()
    scene.crew.joined(Agent("a"))
    found = [(await scene.prepare(1, LARGE_BYTES))[0].agent for _ in range(4)]
    assert found == ["a", None, "a", None]


async def test_a_few_large_files_wait_for_agents_that_are_about_to_join(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command begins one of them at once; the next goes to the agent, or to the command once that is done."""
    monkeypatch.setattr(shared_sender, "ALONE_BYTES", LARGE_BYTES)
    scene = Scene()
    scene.crew.is_gathering = True
    (first,) = await scene.prepare(1, LARGE_BYTES)
    sending = asyncio.create_task(scene.sender.send(first.number, upload(1)))
    second = asyncio.create_task(scene.prepare(1, LARGE_BYTES))
    await turns()
    assert (first.agent, second.done(), scene.share.sending_count) == (None, False, 1)
    assert scene.sender.busy_count
    scene.own.sending[first.number].set_result(None)
    assert [one.agent for one in await second] == [None]
    await sending
    assert scene.share.sending_count == 0
    third = asyncio.create_task(scene.prepare(1, LARGE_BYTES))
    await turns()
    scene.crew.joined(Agent("a"))
    assert [one.agent for one in await third] == ["a"]


async def test_large_files_that_are_begun_together_wait_as_well() -> None:
    """Both are asked for before the first is open."""
    scene = Scene()
    scene.crew.is_gathering = True
    both = [asyncio.create_task(scene.prepare(1, 2 * shared_sender.ALONE_BYTES)) for _ in range(2)]
    await turns()
    assert [one.done() for one in both] == [True, False]
    scene.crew.joined(Agent("a"))
    assert [one.agent for one in await both[1]] == ["a"]


async def test_what_a_lost_agent_was_asked_for_is_read_here() -> None:
    """The batch is whole all the same, in order; what the agent held is held by nobody."""
    scene = Scene()
    silent = Agent("a", answers=False)
    scene.crew.joined(silent)
    batch = asyncio.create_task(scene.prepare(10))
    await turns()
    scene.crew.lose(silent)
    found = await batch
    assert [one.agent for one in found] == [None] * 10
    assert [scene.own.held[one.number] for one in found] == [str(number) for number in range(10)]
    other = Agent("b")
    scene.crew.joined(other)
    await scene.prepare(30)
    scene.crew.lose(other)
    held = [number for number in range(1, 100) if scene.sender.holds(number)]
    assert held == [one.number for one in found]


async def test_each_request_is_made_where_its_file_is_held() -> None:
    """An agent is told to send what it holds, and to drop what is not sent; so is the command."""
    scene = Scene()
    agent = Agent("a")
    scene.crew.joined(agent)
    held, dropped = await scene.prepare(2)
    sending = asyncio.create_task(scene.sender.send(held.number, upload(7)))
    await turns()
    await scene.sender.drop(dropped.number)
    assert [type(one) for one in agent.posted[1:]] == [Send, Drop]
    assert agent.posted[1].attempt == 7
    scene.crew.lose(agent)
    assert (await sending).outcome.agent_lost  # type: ignore[union-attr]
    (own,) = await scene.prepare(1)
    await scene.sender.drop(own.number)
    assert scene.own.held == {}


async def test_a_batch_that_is_cancelled_leaves_nothing_behind() -> None:
    """What the command read is released, and what an agent answers later is dropped."""
    scene = Scene()
    slow = Agent("slow", answers=False)
    scene.crew.joined(Agent("a"))
    await scene.prepare(30)
    scene.crew.joined(slow)
    batch = asyncio.create_task(scene.prepare(64))
    await turns()
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    assert scene.own.held == {}
    assert scene.sender.busy_count == 0
    (question,) = slow.waiting.values()
    assert question.cancelled()
