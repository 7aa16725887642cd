"""The agents of a run: who joined, who is there, who is lost, and who may send how fast."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bulk_upload.core.events import AgentJoined, AgentLeft, AgentLost, Noticed
from bulk_upload.core.fleet.ends import outcomes_in
from bulk_upload.core.fleet.messages import PROTOCOL, Dismiss, NewKey, Refusal, Welcome
from bulk_upload.core.fleet.public_job import public
from bulk_upload.core.fleet.session import CoordinatorSession, SessionState
from bulk_upload.core.model import Accepted
from bulk_upload.core.run.fault_scope import Stop
from bulk_upload.core.text.printable import human_seconds, printable
from bulk_upload.edge.fleet import Admitted
from bulk_upload.edge.ledger import ALIVE_EVERY_S, keep_candidate
from bulk_upload.engine.fleet.cap_shares import CapShares
from bulk_upload.engine.fleet.member import Member
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from typing import Protocol

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.fleet.messages import AgentJob, Ended, EndedBundle, FromAgent, Hello
    from bulk_upload.core.fleet.settings import RunKey
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.edge.fleet import Link
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.callback_errors import CallbackErrors
    from bulk_upload.engine.conditions import Conditions
    from bulk_upload.engine.fleet.cap_shares import OwnShare
    from bulk_upload.engine.limits.drain import Drain

    class OnGone(Protocol):
        """Called when an agent is gone, with the attempts that have no report."""

        def __call__(self, member: Member, attempts: Collection[int], *, is_lost: bool) -> None: ...


TICK_S = 0.25
GATHER_S = 10.0
"""How long the agents of this machine may take to join before the command, which sends meanwhile, begins whatever there is."""

NAME_CHARACTERS_MAX = 100


class Crew:
    """Admits agents, and notices when they are gone.

    Args:
        job: what each of them must know.
        key: the API key, for those that get it from the run.
        ttl_s: how long one lives without a sign of life.
        bytes_per_s: returns the bandwidth cap that holds now, None for none.
        own: the share of the cap of the command itself, where it sends as well.
        patience_s: how long the run waits with work for an agent that is not there.
        token: opens an agent's next connection.
        expected_count: how many agents of this machine are about to join: for a moment not everything starts before they
            have, or the command itself would get all of a few large files.
    """

    def __init__(
        self,
        *,
        job: AgentJob,
        key: RunKey,
        ttl_s: float,
        token: str,
        expected_count: int = 0,
        bytes_per_s: Callable[[], float | None],
        own: OwnShare | None = None,
        patience_s: float,
        ledger: Ledger[LedgerStore],
        conditions: Conditions,
        drain: Drain,
        clock: Clock,
        errors: CallbackErrors,
        emit: Callable[[Event], None],
    ) -> None:
        self._job = job
        self._key = key
        self._ttl_s = ttl_s
        self._token = token
        self._expected_count = expected_count
        self._gathers_from: float | None = None
        self._patience_s = patience_s
        self._ledger = ledger
        self._conditions = conditions
        self._drain = drain
        self._clock = clock
        self._errors = errors
        self._emit = emit
        self._members: dict[str, Member] = {}
        self._names: set[str] = set()
        self._pids: set[int] = set()
        self._lost_attempts: dict[str, frozenset[int]] = {}
        """The attempts that were in flight when a session was lost, by its name."""
        self._shares = CapShares(bytes_per_s, own)
        self._alive_at = float("-inf")
        self._waiting_count = 0
        self._nobody_since: float | None = None
        self._is_over = False
        self._act: Callable[[Member, FromAgent], None] | None = None
        self._on_gone: OnGone | None = None

    @property
    def members(self) -> Collection[Member]:
        """The agents that are neither lost nor dismissed."""
        return self._members.values()

    def serves(self, *, act: Callable[[Member, FromAgent], None], on_gone: OnGone) -> None:
        """Have messages and losses taken by whoever uses the agents."""
        self._act = act
        self._on_gone = on_gone

    def on_alive(self, at: float) -> None:
        """Record that the ledger durably says that the run was alive at `at`.

        After a crash absence counts from the last such time, so no beat is confirmed without one: no agent's fence is
        later than what the ledger allows for.
        """
        self._alive_at = at
        self._conditions.check()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look for losses while the block runs; dismiss all agents after it."""
        timer: asyncio.TimerHandle | None = None

        def tick() -> None:
            nonlocal timer
            timer = asyncio.get_running_loop().call_later(TICK_S, self._errors.guarded(tick))
            self._tick()

        self._gathers_from = self._clock.monotonic()
        tick()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
            self._is_over = True
            for member in self._members.values():
                member.post(Dismiss(reason="the run is over"))

    async def taking_work(self, count: int) -> list[Member]:
        """Return agents for so many files, the least busy first; wait while there is none. Empty once the run drains."""
        self._waiting_count += 1
        try:
            await self._conditions.until(lambda: self._drain.begun or self._has_hands())
        finally:
            self._waiting_count -= 1
        return sorted(self.at_hand(), key=lambda one: one.load)[:count]

    def at_hand(self) -> list[Member]:
        """Return the agents that anything new may go to."""
        return [one for one in self._members.values() if one.takes_work]

    async def until_joined(self, may_go_on: Callable[[], bool]) -> None:
        """Wait while agents of this machine are about to join, unless the run drains or something else lets it go on."""
        while not (self._drain.begun or may_go_on()) and self._is_gathering():
            await self._conditions.until(lambda: self._drain.begun or may_go_on() or not self._is_gathering())

    def on_room(self) -> None:
        """Let those go on that waited for room at the command itself."""
        if self._expected_count:
            self._conditions.check()

    def knows(self, pid: int) -> bool:
        """Whether an agent of this process number joined, ever."""
        return pid in self._pids

    async def on_hello(self, hello: Hello, link: Link, *, is_private: bool) -> Admitted | Refusal:
        """Return the session of an agent, or why it gets none."""
        if hello.protocol != PROTOCOL:
            return Refusal(reason="it has another version of bulk-upload: install the same one everywhere")
        if self._has_ended():
            return Refusal(reason="the run is over")
        if hello.resume is not None:
            return await self._resumed(hello, hello.resume, link)
        former = self._members.get(hello.former or "")
        if former is not None:
            self._lose(former, "it did not hear from the coordinator in time")
        if hello.late and hello.former is not None:
            await self._keep_late(hello.former, hello.late)
        if not is_private and not hello.has_key:
            reason = (
                "it has no API key, and none is given to it over a connection that others may read: use "
                "--agent-certificate, or give the agent a key file"
            )
            self._emit(Noticed(message=f"an agent on {printable(hello.host)} was refused: {reason}"))
            return Refusal(reason=reason)
        # A welcome confirms the hello as a beat.
        await self._conditions.until(self._may_confirm)
        if self._has_ended():
            return Refusal(reason="the run is over")
        member = self._joined(hello)
        member.attach(link)
        # An agent with a key of its own asks for no other one.
        member.gets_key = is_private and not hello.has_key
        job = public(self._job)
        if is_private:
            member.key_number = self._key.number
            job = replace(self._job, key=self._key.reveal(), key_number=member.key_number)
        return Admitted(Welcome(session=member.key, ttl_s=self._ttl_s, job=job, token=self._token), member)

    def asks_key(self, member: Member, refused_number: int) -> None:
        """Give an agent another API key in place of one that was refused, if there is one."""

        def answer(found: NewKey) -> None:
            member.key_number = found.number
            member.post(found)

        if member.gets_key:
            self._key.ask(refused_number, answer)
        else:
            member.post(NewKey(number=refused_number, key=None))

    def key_worked(self, member: Member) -> None:
        """Record that the server took something from an agent."""
        if member.gets_key:
            self._key.worked(member.key_number)

    def on_error(self, error: Exception) -> None:
        """End the run with an error of a connection."""
        self._errors.take(error)

    def leaves(self, member: Member, reason: str) -> None:
        """Give an agent nothing new; it is dismissed once it has nothing in flight."""
        member.session.leaving = True
        self._emit(Noticed(message=f"the agent {member.name} leaves: {printable(reason)}"))
        self.on_idle(member)

    def on_idle(self, member: Member) -> None:
        """Dismiss an agent that leaves and has nothing in flight."""
        if member.session.leaving and not member.dispatches:
            member.post(Dismiss(reason="it asked to leave"))
            member.dismiss()
            self._remove(member, SessionState.OVER)
            self._emit(
                AgentLeft(
                    agent=member.name, host=member.host, reason="it left", agent_count=self._live_count()
                )
            )

    def _has_hands(self) -> bool:
        return any(one.takes_work for one in self._members.values())

    def _is_gathering(self) -> bool:
        """Whether agents of this machine are about to join."""
        if self._gathers_from is None or not self._expected_count:
            return False
        waited_s = self._clock.monotonic() - self._gathers_from
        if len(self._members) >= self._expected_count or waited_s >= GATHER_S:
            # Once: an agent that is lost later is not waited for.
            self._expected_count = 0
        return self._expected_count > 0

    def _has_ended(self) -> bool:
        return self._is_over

    def _live_count(self) -> int:
        return len(self._members)

    async def _resumed(self, hello: Hello, key: str, link: Link) -> Admitted | Refusal:
        await self._conditions.until(self._may_confirm)
        member = self._members.get(key)
        if member is None or not member.resume(hello.seen):
            return Refusal(reason="its session is over", final=False)
        member.attach(link)
        self._conditions.check()
        seen = member.session.mailbox.seen
        return Admitted(Welcome(session=key, ttl_s=self._ttl_s, seen=seen), member)

    def _joined(self, hello: Hello) -> Member:
        act = self._act
        if act is None:
            raise AssertionError("somebody uses the agents")
        key = secrets.token_hex(16)
        host = printable(hello.host)[:NAME_CHARACTERS_MAX]
        member = Member(
            key=key,
            name=self._name(f"{host}:{hello.pid}"),
            host=host,
            pid=hello.pid,
            session=CoordinatorSession(self._clock.monotonic(), ttl_s=self._ttl_s),
            now=self._clock.monotonic,
            may_confirm=self._may_confirm,
            act=act,
            on_lost=self._look,
        )
        self._members[key] = member
        self._pids.add(hello.pid)
        self._shares.joined(member, self._members)
        self._emit(
            AgentJoined(
                agent=member.name,
                host=host,
                pid=hello.pid,
                cpu_count=hello.cpu_count,
                agent_count=self._live_count(),
            )
        )
        self._conditions.check()
        return member

    def _name(self, wanted: str) -> str:
        """Return a name that no agent of this run had before."""
        name, number = wanted, 1
        while name in self._names:
            number += 1
            name = f"{wanted}/{number}"
        self._names.add(name)
        return name

    async def _keep_late(self, session: str, late: tuple[Ended | EndedBundle, ...]) -> None:
        """Keep the ids in reports that came after the loss: they are no outcomes any more, and may be found true."""
        attempts = self._lost_attempts.get(session, frozenset())
        for ended in late:
            for attempt, outcome in outcomes_in(ended):
                if attempt in attempts and isinstance(outcome, Accepted):
                    await self._ledger.run(
                        partial(keep_candidate, attempt_id=attempt, file_id=outcome.file_id)
                    )

    def _may_confirm(self) -> bool:
        return self._clock.monotonic() - self._alive_at <= ALIVE_EVERY_S

    def _tick(self) -> None:
        self._look()
        self._shares.divide(self._members)
        for member in self._members.values():
            # A beat whose confirmation had to wait for the ledger.
            member.wake()
        self._wait_for_agents()
        if self._expected_count:
            self._conditions.check()

    def _look(self) -> None:
        now = self._clock.monotonic()
        for member in tuple(self._members.values()):
            if member.session.look(now):
                self._lose(member, f"no sign of life for {human_seconds(self._ttl_s)}")

    def _lose(self, member: Member, reason: str) -> None:
        attempts = member.session.open_attempts
        self._lost_attempts[member.key] = frozenset(
            attempt for one in member.dispatches.values() for attempt in one.attempts
        )
        del self._members[member.key]
        # Before the reports, which end the attempts.
        self._emit(
            AgentLost(
                agent=member.name,
                host=member.host,
                reason=reason,
                dispatch_count=len(attempts),
                agent_count=self._live_count(),
            )
        )
        member.dismiss()
        self._remove(member, SessionState.LOST)

    def _remove(self, member: Member, state: SessionState) -> None:
        self._members.pop(member.key, None)
        attempts = member.session.end(state)
        if self._on_gone is not None:
            self._on_gone(member, attempts, is_lost=state is SessionState.LOST)
        self._shares.left(member.key, self._members)
        self._conditions.check()

    def _wait_for_agents(self) -> None:
        if not self._waiting_count or self._has_hands():
            self._nobody_since = None
            return
        now = self._clock.monotonic()
        if self._nobody_since is None:
            self._nobody_since = now
        elif now - self._nobody_since >= self._patience_s:
            self._drain.begin(
                Stop(
                    status=ExitStatus.UNFINISHED,
                    reason=f"no agent was there for {human_seconds(self._patience_s)}",
                    hint="start agents, or run the same command without them",
                )
            )
