"""Selects the events that get a line of their own, and words that line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.events import (
    AgentJoined,
    AgentLeft,
    AgentLost,
    AttemptEnded,
    AttemptStarted,
    ClockStepped,
    ControlChanged,
    DataFindings,
    Draining,
    EntrySettled,
    Event,
    Noticed,
    PlanMade,
    ReceiptWithdrawn,
    Reconciling,
)
from bulk_upload.core.finding import Severity
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.findings_by_rule import FindingsByRule
from bulk_upload.core.text.printable import human_bytes, human_seconds, printable
from bulk_upload.core.text.wording import clock_step_words
from bulk_upload.report.agents import counted
from bulk_upload.report.live.marks import STATE_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

FAILURES_SHOWN_MAX = 10
NOTICES_SHOWN_MAX = 10
PATH_COLUMNS_MIN = 20

AGENT_LOST = "agent lost"

BY_SIGNAL = "received "
"""How the reason of a drain by a signal begins: what a signal does is said where it is received."""


class EventLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line for a person: a subject, optionally a path, and the message. All of it is printable."""

    head: str
    text: str
    path: str | None = None

    def __str__(self) -> str:
        return f"{self.head}: {self.text}" if self.path is None else f"{self.head}: {self.path}: {self.text}"

    def fitted(self, columns: int) -> str:
        """Return the line with the path shortened to leave most of `columns` to the message; the path's end is kept."""
        path_max = max(PATH_COLUMNS_MIN, columns * 2 // 5)
        if self.path is None or len(self.path) <= path_max:
            return str(self)
        return f"{self.head}: ...{self.path[3 - path_max :]}: {self.text}"


_WAIT_TOLD_S = 5.0
"""A wait for late files as long as this is told, once."""


class EventLines:
    """Chooses the lines of a run: the first failures and notices each, the first warning of each rule, the plan, the drain."""

    def __init__(self) -> None:
        self._failure_count = 0
        self._notice_count = 0
        self._rules: set[str] = set()
        self._step_count = 0
        self._agent_count = 0
        self._drain_reason: str | None = None
        self._wait_was_told = False

    def lines_of(self, event: Event) -> Sequence[EventLine]:
        """Return the lines for one event, mostly none."""
        match event:
            case AttemptStarted() | AttemptEnded() | EntrySettled(state=EntryState.ACCEPTED):
                return ()
            case EntrySettled() | ReceiptWithdrawn():
                return self._failure(event)
            case PlanMade():
                return _plan(event)
            case ControlChanged():
                return [EventLine(head="control", text=printable(f"{event.change}, by {event.by}"))]
            case DataFindings():
                return self._data_findings(event)
            case Noticed():
                return self._notice(event)
            case Reconciling():
                return self._late_files(event)
            case ClockStepped():
                return self._clock_step(event)
            case Draining() if event.reason != self._drain_reason:
                return self._drain(event)
            case _:
                return self._agent(event)

    def _failure(self, event: EntrySettled | ReceiptWithdrawn) -> list[EventLine]:
        if event.state is EntryState.PENDING and self._drain_reason is not None:
            return []  # A drain leaves thousands of entries pending; it was announced itself.
        self._failure_count += 1
        if self._failure_count > FAILURES_SHOWN_MAX + 1:
            return []
        if self._failure_count > FAILURES_SHOWN_MAX:
            return [EventLine(head="more failures", text="counted from here on, and listed at the end")]
        reason = printable(event.reason or "no reason recorded")
        return [EventLine(head=STATE_WORDS[event.state], text=reason, path=printable(event.path))]

    def _drain(self, event: Draining) -> list[EventLine]:
        self._drain_reason = event.reason
        if event.reason.startswith(BY_SIGNAL):
            return []
        text = f"{printable(event.reason)}; finishing uploads in flight, starting nothing new"
        return [EventLine(head="draining", text=text)]

    def _late_files(self, event: Reconciling) -> list[EventLine]:
        """Say once how long the run may wait for files that the server shows late."""
        if self._wait_was_told or event.wait_max_s < _WAIT_TOLD_S:
            return []
        self._wait_was_told = True
        wait = human_seconds(event.wait_max_s)
        return [EventLine(head="in doubt", text=f"waiting up to {wait} for files that the server shows late")]

    def _data_findings(self, event: DataFindings) -> list[EventLine]:
        """Return a line for each warning of a rule that no file before had; the summary counts all of them."""
        by_rule = FindingsByRule()
        by_rule.add(
            event.path, line_count=event.line_count, counts=event.counts, first_lines=event.first_lines
        )
        new = [one for one in by_rule.totals(Severity.WARNING) if one.rule not in self._rules]
        self._rules.update(one.rule for one in new)
        return [EventLine(head="warning", text=str(one)) for one in new]

    def _notice(self, event: Noticed) -> list[EventLine]:
        self._notice_count += 1
        if self._notice_count > NOTICES_SHOWN_MAX + 1:
            return []
        if self._notice_count > NOTICES_SHOWN_MAX:
            return [EventLine(head="more notes", text="not shown from here on")]
        path = None if event.path is None else printable(event.path)
        return [EventLine(head="note", text=printable(event.message), path=path)]

    def _agent(self, event: Event) -> list[EventLine]:
        """Return a line for each agent that is lost, and for the first that come and go."""
        match event:
            case AgentLost():
                doubts = (
                    f"{counted(event.dispatch_count, 'upload')} in flight in doubt, looked up at the server"
                    if event.dispatch_count
                    else "nothing was in flight"
                )
                line = EventLine(
                    head=AGENT_LOST,
                    text=f"{printable(event.agent)}: {printable(event.reason)}; {doubts}; {_at_work(event)}",
                )
                return [line]
            case AgentJoined():
                what = f"{printable(event.agent)}, {counted(event.cpu_count, 'processor')}"
                line = EventLine(head="agent joined", text=f"{what}; {_at_work(event)}")
            case AgentLeft():
                what = f"{printable(event.agent)}: {printable(event.reason)}"
                line = EventLine(head="agent left", text=f"{what}; {_at_work(event)}")
            case _:
                return []
        self._agent_count += 1
        if self._agent_count > NOTICES_SHOWN_MAX + 1:
            return []
        if self._agent_count > NOTICES_SHOWN_MAX:
            return [EventLine(head="more agents", text="not shown from here on, unless they are lost")]
        return [line]

    def _clock_step(self, event: ClockStepped) -> list[EventLine]:
        self._step_count += 1
        if self._step_count > NOTICES_SHOWN_MAX:
            return []
        return [EventLine(head="note", text=clock_step_words(event.step_s))]


def _at_work(event: AgentJoined | AgentLeft | AgentLost) -> str:
    return f"{counted(event.agent_count, 'agent')} at work now"


def _plan(event: PlanMade) -> list[EventLine]:
    sends = f"{event.send_count:,} to send ({human_bytes(event.send_bytes)})"
    parts = [sends if event.send_count else "nothing to send"]
    if event.compare_count:
        parts.insert(0, f"{event.compare_count:,} to compare ({human_bytes(event.compare_bytes)})")
    if event.settled_count:
        parts.append(f"{event.settled_count:,} settled before")
    if event.doubt_count:
        parts.append(f"{event.doubt_count:,} in doubt, looked up first")
    if event.blocked_count:
        parts.append(f"{event.blocked_count:,} blocked")
    if event.missing_count:
        files = "file" if event.missing_count == 1 else "files"
        parts.append(f"{event.missing_count:,} {files} missing or unreadable")
    plural = "entry" if event.entry_count == 1 else "entries"
    total = f"{event.entry_count:,} {plural}, {human_bytes(event.total_bytes)}"
    warnings = [EventLine(head="warning", text=printable(one)) for one in event.warnings]
    mixups = [EventLine(head="warning", text=printable(one)) for one in event.mixups]
    return [*mixups, EventLine(head="plan", text=f"{total}: {', '.join(parts)}"), *warnings]
