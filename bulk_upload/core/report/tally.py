"""From events to numbers, and from numbers to the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.doubt.content import ComparedBy
from bulk_upload.core.events import (
    AttemptEnded,
    AttemptStarted,
    ContentCompared,
    DataFindings,
    EntrySettled,
    Event,
    PlanMade,
    ReceiptsChecked,
    ReceiptWithdrawn,
    RunLimited,
)
from bulk_upload.core.model import Altered, AlteredField, EntryState, InDoubt, ReceiptOrigin, Throttled
from bulk_upload.core.report.agents import Agents
from bulk_upload.core.report.findings_by_rule import FindingsByRule
from bulk_upload.core.run.failure_limit import CAUSES_MAX, kind_of
from bulk_upload.exit_status import PRECEDENCE, ExitStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.core.limits.bottleneck import Bottleneck
    from bulk_upload.core.run.fault_scope import Stop

EXAMPLES_MAX = 3

FAILED_STATES = tuple(one for one in EntryState if one.settled and one is not EntryState.ACCEPTED)
"""The states of entries that a person must look at: another run alone does not help."""


class Cause(msgspec.Struct):
    """Entries of one run that ended in the same way for the same reason, with the first few paths.

    Reasons that differ only in numbers and quoted names are one cause: `reason` is the first one, and
    `varies` says that there were others.
    """

    state: EntryState
    reason: str
    entry_count: int = 0
    examples: list[str] = msgspec.field(default_factory=list)
    varies: bool = False


class Convertible(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose errors `bulk-upload convert` puts right, with these options."""

    path: str
    purpose: str
    options: tuple[str, ...]


class AlteredEntries(msgspec.Struct):
    """Entries whose name, or purpose, the server reports otherwise than it was sent, with the first such change."""

    first: Altered
    entry_count: int = 0


class Tally(msgspec.Struct):
    """The running numbers of one run: fold every event in with `add`.

    `accepted_*`, `failed_*`, `settled_before_*` and so on count entries and bytes; `in_flight` is the number of
    files whose requests are unanswered now. `request_count` requests had `attempt_count` files: more, where several go in
    one (`last_bundle_id` is that of the last one). `reconciled_count` entries were accepted by way of the server's list,
    `absent_count` in doubt were not on the server and sent again,
    `unconfirmed_count` without the server naming a size. `compared_count` files were read back to compare them, in
    `compared_bytes` bytes. `unchanged_count` touched entries kept the receipts of earlier runs, and count neither as
    accepted nor as sent. `altered` counts entries that the server stores otherwise than they were sent. `open_doubts`
    holds the paths whose answer was lost and that are neither settled nor sent again yet. `findings` are those of
    validation, `agents` those that send for the run, and `own_*` count what was accepted from the command itself. `held_s` and `chance_share` say what held the run back, and `checked` how many receipts the closing check compared, all known
    once the run is over. Numbers
    may be read from another thread while events are added.
    """

    entry_count: int = 0
    total_bytes: int = 0
    settled_before_count: int = 0
    settled_before_bytes: int = 0
    to_send_count: int = 0
    to_send_bytes: int = 0
    to_compare_count: int = 0
    to_compare_bytes: int = 0
    in_flight: int = 0
    request_count: int = 0
    last_bundle_id: int | None = None
    attempt_count: int = 0
    retry_count: int = 0
    throttled_count: int = 0
    lost_answer_count: int = 0
    absent_count: int = 0
    ended: dict[EntryState, int] = msgspec.field(default_factory=dict)
    accepted_bytes: int = 0
    own_count: int = 0
    own_bytes: int = 0
    failed_bytes: int = 0
    unchanged_count: int = 0
    unchanged_bytes: int = 0
    reconciled_count: int = 0
    unconfirmed_count: int = 0
    altered: dict[AlteredField, AlteredEntries] = msgspec.field(default_factory=dict)
    compared_count: int = 0
    compared_bytes: int = 0
    open_doubts: set[str] = msgspec.field(default_factory=set)
    causes: dict[tuple[EntryState, str], Cause] = msgspec.field(default_factory=dict)
    held_s: Mapping[Bottleneck, float] = msgspec.field(default_factory=dict)
    chance_share: float | None = None
    checked: ReceiptsChecked | None = None
    findings: FindingsByRule = msgspec.field(default_factory=FindingsByRule)
    convertible: Convertible | None = None
    convertible_count: int = 0
    agents: Agents = msgspec.field(default_factory=Agents)

    def add(self, event: Event) -> None:
        """Count one event."""
        match event:
            case AttemptStarted():
                self.in_flight += 1
                self.attempt_count += 1
                self.request_count += event.bundle_id is None or event.bundle_id != self.last_bundle_id
                self.last_bundle_id = event.bundle_id
                self.absent_count += event.was_absent
                self.open_doubts.discard(event.path)
                self.agents.start(event)
            case AttemptEnded():
                self._add_attempt_end(event)
            case EntrySettled():
                self._add_settled(event)
            case ContentCompared():
                self.compared_count += event.by is not ComparedBy.NONE
                self.compared_bytes += event.read_bytes
            case ReceiptWithdrawn():
                self._add_withdrawn(event)
            case ReceiptsChecked():
                self.checked = event
            case DataFindings():
                self.findings.add(
                    event.path,
                    line_count=event.line_count,
                    counts=event.counts,
                    first_lines=event.first_lines,
                )
                self._add_convertible(event)
            case RunLimited():
                self.held_s = event.held_s
                self.chance_share = event.chance_share
            case PlanMade():
                self.entry_count = event.entry_count
                self.total_bytes = event.total_bytes
                self.settled_before_count = event.settled_count
                self.settled_before_bytes = event.settled_bytes
                self.to_send_count = event.send_count
                self.to_send_bytes = event.send_bytes
                self.to_compare_count = event.compare_count
                self.to_compare_bytes = event.compare_bytes
            case _:
                self.agents.add(event)

    def count(self, state: EntryState) -> int:
        """Return how many entries this run left in `state`, without those that kept an earlier receipt."""
        return self.ended.get(state, 0)

    @property
    def failed_count(self) -> int:
        """Entries this run settled as anything but accepted."""
        return sum(self.count(state) for state in FAILED_STATES)

    @property
    def settled_count(self) -> int:
        """Entries this run settled, in any state."""
        return self.failed_count + self.count(EntryState.ACCEPTED) + self.unchanged_count

    @property
    def in_doubt_count(self) -> int:
        """Entries whose answer this run lost and that are in doubt now."""
        return len(self.open_doubts) + self.count(EntryState.IN_DOUBT)

    def _add_attempt_end(self, event: AttemptEnded) -> None:
        self.in_flight -= 1
        if self.agents.carried:
            self.agents.end(event)
        if event.retry_in_s is not None:
            self.retry_count += 1
        if isinstance(event.outcome, Throttled):
            self.throttled_count += 1
        elif isinstance(event.outcome, InDoubt):
            self.lost_answer_count += 1
            self.open_doubts.add(event.path)

    def _add_settled(self, event: EntrySettled) -> None:
        self.open_doubts.discard(event.path)
        by_agent = bool(self.agents.carried) and self.agents.settle(event)
        for one in event.altered:
            self.altered.setdefault(one.field, AlteredEntries(one)).entry_count += 1
        if event.unchanged:
            self.unchanged_count += 1
            self.unchanged_bytes += event.file_bytes
            return
        self.ended[event.state] = self.count(event.state) + 1
        if event.state is EntryState.ACCEPTED:
            self._add_accepted(event, by_agent=by_agent)
            return
        if event.state.settled:
            self.failed_bytes += event.file_bytes
        self._add_cause(event)

    def _add_accepted(self, event: EntrySettled, *, by_agent: bool) -> None:
        self.accepted_bytes += event.file_bytes
        if event.receipt is not None:
            if event.receipt.obtained is ReceiptOrigin.ANSWERED and not by_agent:
                self.own_count += 1
                self.own_bytes += event.file_bytes
            self.reconciled_count += event.receipt.obtained is ReceiptOrigin.RECONCILED
            self.unconfirmed_count += not event.receipt.size_confirmed

    def _add_withdrawn(self, event: ReceiptWithdrawn) -> None:
        if event.of_this_run:
            self.ended[EntryState.ACCEPTED] = self.count(EntryState.ACCEPTED) - 1
            self.accepted_bytes -= event.file_bytes
        self.ended[event.state] = self.count(event.state) + 1
        if event.state.settled:
            self.failed_bytes += event.file_bytes
        self._add_cause(event)

    def _add_convertible(self, event: DataFindings) -> None:
        if event.convert is None:
            return
        self.convertible_count += 1
        if self.convertible is None:
            self.convertible = Convertible(path=event.path, purpose=event.purpose, options=event.convert)

    def _add_cause(self, event: EntrySettled | ReceiptWithdrawn) -> None:
        reason = event.reason or "no reason recorded"
        kind = kind_of(reason)
        cause = self.causes.get((event.state, kind))
        if cause is None:
            if len(self.causes) >= CAUSES_MAX:
                reason = kind = "other reasons; `ledger export` lists them all"
            cause = self.causes.setdefault((event.state, kind), Cause(event.state, reason))
        cause.entry_count += 1
        cause.varies = cause.varies or cause.reason != reason
        if len(cause.examples) < EXAMPLES_MAX:
            cause.examples.append(event.path)


def exit_status(
    states: Mapping[EntryState, int], stop: Stop | None, *, uncompared_count: int = 0
) -> ExitStatus:
    """Return the verdict of a run from the states of *all* entries of its manifest and the stop, if any.

    `uncompared_count` accepted entries have touched files that the run did not come to compare: what those have now may
    have to be sent.

    A run that was asked to stop but had settled everything by then is judged by its entries alone.
    """
    pending = states.get(EntryState.PENDING, 0)
    in_doubt = states.get(EntryState.IN_DOUBT, 0)
    failed = sum(states.get(state, 0) for state in FAILED_STATES)
    applying = set()
    if stop is not None and (
        pending or in_doubt or uncompared_count or stop.status is ExitStatus.LEDGER_UNUSABLE
    ):
        applying.add(stop.status)
    if in_doubt:
        applying.add(ExitStatus.IN_DOUBT)
    if pending or uncompared_count:
        applying.add(ExitStatus.UNFINISHED)
    if failed:
        applying.add(ExitStatus.SOME_FAILED)
    return next((status for status in PRECEDENCE if status in applying), ExitStatus.DONE)
