"""The command and its agents together never may send more than the bandwidth cap."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.fleet.mailbox import Mailbox
from bulk_upload.core.fleet.messages import Pace
from bulk_upload.engine.callback_errors import CallbackErrors
from bulk_upload.engine.fleet.cap_shares import CapShares, OwnShare

CAP = 1_000_000.0
CLOCK = cast("Any", SimpleNamespace(monotonic=lambda: 0.0))


class Agent:
    """A member that has what it was told once the test says so."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.pace_seq = 0
        self.dispatches: dict[int, None] = {}
        self.session = SimpleNamespace(mailbox=Mailbox[Any, Any]())
        self.rate: float | None = 0.0

    def post(self, message: Pace) -> None:
        self.session.mailbox.post(message)

    def confirm(self) -> None:
        batch = self.session.mailbox.batch()
        if batch.messages:
            self.rate = batch.messages[-1].bytes_per_s
        self.session.mailbox.receive(1, self.session.mailbox.posted, ())


class Noted(OwnShare):
    """A share that keeps what it was told."""

    rate: float | None = 0.0

    def change(self, bytes_per_s: float | None) -> None:
        self.rate = bytes_per_s
        super().change(bytes_per_s)


def own_share() -> Noted:
    return Noted(CLOCK, CallbackErrors(), on_held=lambda: None)


async def test_a_command_alone_has_the_whole_cap_and_gives_up_what_agents_get() -> None:
    """It has another share at once; an agent gets what was given up, by how many requests each has."""
    own, agent = own_share(), Agent("a")
    shares = CapShares(lambda: CAP, own)
    assert own.rate == CAP
    own.sending_count, agent.dispatches = 1, {1: None, 2: None, 3: None}
    members = cast("Any", {"a": agent})
    shares.joined(cast("Any", agent), members)
    agent.confirm()
    shares.divide(members)
    agent.confirm()
    assert own.rate is not None
    assert agent.rate is not None
    assert 2.9 < agent.rate / own.rate < 3.1
    shares.left("a", cast("Any", {}))
    assert own.rate == CAP


async def test_without_a_cap_nothing_is_held_back() -> None:
    """Neither before nor after an agent joins; a piece of a body passes at once."""
    own = own_share()
    CapShares(lambda: None, own)
    assert own.rate is None
    assert own.piece_bytes is None
    await own.gate.pass_bytes(10**9)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4), st.integers(0, 4), st.booleans())))
def test_together_they_never_have_more_than_the_cap(
    steps: list[tuple[str, int, int, bool]],
) -> None:
    """Whoever joins, leaves, has how many requests and confirms when."""

    async def run() -> None:
        own = own_share()
        shares = CapShares(lambda: CAP, own)
        members: dict[str, Agent] = {}
        for name, own_count, count, confirms in steps:
            if name not in members:
                members[name] = Agent(name)
                shares.joined(cast("Any", members[name]), cast("Any", members))
            elif count == 0 and own_count == 0:
                del members[name]
                shares.left(name, cast("Any", members))
            own.sending_count = own_count
            if name in members:
                members[name].dispatches = dict.fromkeys(range(count))
                if confirms:
                    members[name].confirm()
            shares.divide(cast("Any", members))
            rates = [own.rate, *(one.rate for one in members.values())]
            assert sum(rate for rate in rates if rate is not None) <= CAP * (1 + 1e-9)

    asyncio.run(run())
