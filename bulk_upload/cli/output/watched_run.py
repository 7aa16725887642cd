"""A run in another process, looked at by its control socket and its ledger; neither disturbs it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.events import BodyNow, Snapshot
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.agents import Agents
from bulk_upload.core.report.tally import Tally
from bulk_upload.core.run.control import ControlRequest
from bulk_upload.edge.control import ask
from bulk_upload.edge.ledger import LedgerReader, run_is_at_work
from bulk_upload.errors import NoRunAtWork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk_upload.core.run.control import ControlAnswer, ControlStatus, RunNumbers, UploadNow

ANSWER_S = 10.0
MISSED_S_MAX = 5.0
"""For so long what a run told last is kept: it turns some away where many ask it in one moment."""

UPLOADS_ASKED = 64
LEDGER_SHARE_MAX = 0.05
"""The ledger is counted by who watches only as often as that this takes a twentieth of the time."""

PLANNING = Snapshot(
    in_flight=0, limit=0, limit_reason="", pause_s=0.0, parked_count=0, wire_bytes=0, partial_bytes=0
)
NO_NUMBERS = "the run does not tell its numbers; these are the ledger's"


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a run: its tally, None while it is planned; `running` has path, bytes and seconds of uploads."""

    snapshot: Snapshot = PLANNING
    tally: Tally | None = None
    running_s: float = 0.0
    draining: bool = False
    bodies: tuple[BodyNow, ...] = ()
    running: tuple[tuple[str, int, float], ...] = ()


class WatchedLedger:
    """The run that works on a ledger.

    Args:
        path: the ledger.
        now: monotonic seconds.
    """

    def __init__(self, path: str, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now
        self._began_at = now()
        self._answered_at = -math.inf
        self._counted: Tally | None = None
        self._count_again_at = 0.0
        self.latest = Look()

    def is_at_work(self) -> bool:
        """Whether a run holds the ledger."""
        return run_is_at_work(self._path)

    def look(self) -> Look:
        """Ask the run how far it is, and where it does not tell, count its ledger. Blocks."""
        try:
            answer = ask(self._path, ControlRequest(uploads=UPLOADS_ASKED), answer_s=ANSWER_S)
        except NoRunAtWork:
            answer = None
        if answer is not None and answer.numbers is not None and answer.status is not None:
            self.latest = _look_of(answer, answer.status, answer.numbers)
            self._answered_at = self._now()
        elif self._now() - self._answered_at >= MISSED_S_MAX:
            self.latest = self._count(answer)
        return self.latest

    def _count(self, answer: ControlAnswer | None) -> Look:
        """Return what the ledger tells of a run of another version or user, or of one that is planned."""
        at = self._now()
        if at >= self._count_again_at:
            with LedgerReader(self._path) as reader:
                states = reader.states()
            self._counted = _tally_of_states(states) if sum(states.values()) else None
            self._count_again_at = at + (self._now() - at) / LEDGER_SHARE_MAX
        status = None if answer is None else answer.status
        if status is None and self._counted is None:
            return Look()
        return Look(
            snapshot=msgspec.structs.replace(PLANNING, limit_reason=NO_NUMBERS)
            if status is None
            else _snapshot_of(status),
            tally=self._counted,
            running_s=at - self._began_at,
            draining=status is not None and status.draining,
        )


def _look_of(answer: ControlAnswer, status: ControlStatus, numbers: RunNumbers) -> Look:
    return Look(
        snapshot=msgspec.structs.replace(
            _snapshot_of(status),
            wire_bytes=numbers.wire_bytes,
            partial_bytes=numbers.partial_bytes,
            validating_count=numbers.validating_count,
            validated_count=numbers.validated_count,
            validated_bytes=numbers.validated_bytes,
        ),
        tally=_tally_of(numbers, status),
        running_s=numbers.running_s,
        draining=status.draining,
        bodies=tuple(_body_of(one) for one in answer.uploads),
        running=tuple((one.path, one.body_bytes, one.since_s) for one in answer.uploads),
    )


def _snapshot_of(status: ControlStatus) -> Snapshot:
    return Snapshot(
        in_flight=status.in_flight,
        limit=status.limit,
        limit_reason=status.reason,
        pause_s=0.0 if status.paused else status.server_pause_s,
        parked_count=status.parked,
        wire_bytes=0,
        partial_bytes=0,
    )


def _body_of(upload: UploadNow) -> BodyNow:
    return BodyNow(
        path=upload.path,
        body_bytes=upload.body_bytes,
        left_bytes=upload.left_bytes,
        waiting=upload.waiting,
        reading=upload.reading,
        held=upload.held,
        agent=upload.agent,
    )


def _tally_of(numbers: RunNumbers, status: ControlStatus) -> Tally:
    return Tally(
        entry_count=numbers.entry_count,
        total_bytes=numbers.total_bytes,
        settled_before_count=numbers.settled_before_count,
        settled_before_bytes=numbers.settled_before_bytes,
        ended=dict(_known(numbers.ended)),
        accepted_bytes=numbers.accepted_bytes,
        failed_bytes=numbers.failed_bytes,
        unchanged_count=numbers.unchanged_count,
        unchanged_bytes=numbers.unchanged_bytes,
        retry_count=numbers.retry_count,
        # Only their number is shown.
        open_doubts={str(number) for number in range(numbers.lost_count)},
        agents=Agents(
            by_name={one.agent: one for one in status.agents}, left_out_count=status.agents_left_out
        ),
    )


def _known(ended: dict[str, int]) -> Iterator[tuple[EntryState, int]]:
    """Yield the states that this version knows, too."""
    names = {state.value: state for state in EntryState}
    for name, count in ended.items():
        if name in names:
            yield names[name], count


def _tally_of_states(states: dict[EntryState, int]) -> Tally:
    return Tally(entry_count=sum(states.values()), ended=states)
