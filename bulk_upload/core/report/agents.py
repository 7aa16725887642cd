"""What each agent of a run did, and what became of the files of those that were lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.events import AgentJoined, AgentLeft, AgentLost
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.control import AgentState, AgentStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk_upload.core.events import AgentNow, AttemptEnded, AttemptStarted, EntrySettled, Event


class Carried(msgspec.Struct):
    """An entry under way: who sends it, or sent it last, and whose loss left it in doubt."""

    agent: str | None
    in_flight: bool = True
    lost_by: str | None = None


class Agents(msgspec.Struct):
    """Counts what the agents of a run do, by their names; of a run without agents nothing is kept.

    `carried` has the entries under way, `left_out_count` counts agents that are not named. `all` and `see` may be called from another thread than the one that counts.
    """

    by_name: dict[str, AgentStatus] = msgspec.field(default_factory=dict)
    carried: dict[str, Carried] = msgspec.field(default_factory=dict)
    left_out_count: int = 0

    def add(self, event: Event) -> None:
        """Count that an agent came or went; other events change nothing."""
        match event:
            case AgentJoined():
                self._note(event.agent, AgentState.LIVE)
            case AgentLeft():
                self._note(event.agent, AgentState.LEFT, event.reason)
            case AgentLost():
                self._lose(self._note(event.agent, AgentState.LOST, event.reason))
            case _:
                pass

    def start(self, event: AttemptStarted) -> None:
        """Count a request, by an agent or by this process."""
        if event.agent is None and not self.carried:
            return
        carried = self.carried.get(event.path)
        if carried is not None and carried.lost_by is not None:
            self.by_name[carried.lost_by].again_count += 1
        self.carried[event.path] = Carried(event.agent)
        if event.agent is not None:
            one = self._named(event.agent)
            one.attempt_count += 1
            one.in_flight += 1

    def end(self, event: AttemptEnded) -> None:
        """Count that a request is over."""
        carried = self.carried.get(event.path)
        if carried is not None and carried.in_flight:
            carried.in_flight = False
            if carried.agent is not None:
                self.by_name[carried.agent].in_flight -= 1

    def settle(self, event: EntrySettled) -> bool:
        """Count how an entry ended, and return whether an agent sent it; one in doubt may still be found at the server."""
        carried = self.carried.get(event.path)
        if carried is None or not event.state.settled:
            return False
        del self.carried[event.path]
        is_accepted = event.state is EntryState.ACCEPTED
        if carried.lost_by is not None:
            loser = self.by_name[carried.lost_by]
            loser.found_count += is_accepted
            loser.failed_count += not is_accepted
        if is_accepted and carried.agent is not None:
            one = self.by_name[carried.agent]
            one.accepted_count += 1
            one.accepted_bytes += event.file_bytes
        return carried.agent is not None

    def see(self, agents: Iterable[AgentNow]) -> None:
        """Take over what only the agents at work know."""
        for now in agents:
            one = self.by_name.get(now.agent)
            if one is not None and not one.is_gone:
                one.state = AgentState.LIVE if now.connected else AgentState.SILENT
                one.wire_bytes = now.wire_bytes

    def all(self) -> tuple[AgentStatus, ...]:
        """Return all agents: those at work in the order in which they joined, then the lost ones, then those that left."""
        found = list(self.by_name.values())
        return tuple(sorted(found, key=lambda one: _ORDER[one.state])) if found else ()

    def _note(self, agent: str, state: AgentState, reason: str | None = None) -> AgentStatus:
        one = self._named(agent)
        one.state, one.reason = state, reason
        return one

    def _named(self, agent: str) -> AgentStatus:
        one = self.by_name.get(agent)
        if one is None:
            one = self.by_name[agent] = AgentStatus(agent=agent)
        return one

    def _lose(self, one: AgentStatus) -> None:
        for carried in self.carried.values():
            if carried.agent == one.agent and carried.in_flight:
                carried.lost_by = one.agent
                one.lost_count += 1


_ORDER = {AgentState.LIVE: 0, AgentState.SILENT: 0, AgentState.LOST: 1, AgentState.LEFT: 2}
