"""What those who watch a run from another process are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from bulk_upload.core.events import AttemptStarted, EntrySettled, PlanMade
from bulk_upload.core.report.tally import Tally
from bulk_upload.core.run.control import MESSAGE_BYTES_MAX, RunNumbers, UploadNow
from bulk_upload.core.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import BodyNow, Event, Snapshot
    from bulk_upload.core.run.control import AgentStatus, ControlStatus

UPLOADS_BYTES_MAX = MESSAGE_BYTES_MAX // 2
UPLOAD_BYTES = 200
"""One upload of an answer, without its path."""

AGENTS_BYTES_MAX = MESSAGE_BYTES_MAX // 4
AGENT_BYTES = 300
"""One agent of an answer, without its name and the reason why it is gone."""


class WatchedRun:
    """Counts the events of a run, which costs about a microsecond each, and answers who asks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.tally = Tally()
        """The numbers of the run; its displays read them, too."""
        self._planned_at = 0.0
        self._began_at: dict[str, float] = {}

    def listening(self, emit: Callable[[Event], None]) -> Callable[[Event], None]:
        """Return a function that counts an event and passes it on."""

        def emit_counted(event: Event) -> None:
            self._add(event)
            emit(event)

        return emit_counted

    def numbers(self, snapshot: Snapshot) -> RunNumbers:
        """Return the numbers of the run."""
        tally = self.tally
        return RunNumbers(
            running_s=self._clock.monotonic() - self._planned_at,
            entry_count=tally.entry_count,
            total_bytes=tally.total_bytes,
            settled_before_count=tally.settled_before_count,
            settled_before_bytes=tally.settled_before_bytes,
            ended={state.value: count for state, count in tally.ended.items()},
            accepted_bytes=tally.accepted_bytes,
            failed_bytes=tally.failed_bytes,
            unchanged_count=tally.unchanged_count,
            unchanged_bytes=tally.unchanged_bytes,
            retry_count=tally.retry_count,
            lost_count=len(tally.open_doubts),
            wire_bytes=snapshot.wire_bytes,
            partial_bytes=snapshot.partial_bytes,
            validating_count=snapshot.validating_count,
            validated_count=snapshot.validated_count,
            validated_bytes=snapshot.validated_bytes,
        )

    def with_agents(self, status: ControlStatus, snapshot: Snapshot) -> ControlStatus:
        """Return the state with the agents of the run, no more than an answer may hold."""
        self.tally.agents.see(snapshot.agents)
        found = self.tally.agents.all()
        if not found:
            return status
        shown: list[AgentStatus] = []
        left_bytes = AGENTS_BYTES_MAX
        for one in found:
            left_bytes -= AGENT_BYTES + 2 * len(f"{one.agent}{one.reason or ''}".encode())
            if left_bytes < 0:
                break
            shown.append(one)
        return replace(status, agents=tuple(shown), agents_left_out=len(found) - len(shown))

    def uploads(self, bodies: list[BodyNow], count: int) -> Iterator[UploadNow]:
        """Yield at most `count` requests in flight, the longest-running first, and no more than an answer may hold."""
        now = self._clock.monotonic()
        bodies.sort(key=lambda one: self._began_at.get(one.path, now))
        left_bytes = UPLOADS_BYTES_MAX
        for one in bodies[:count]:
            path = printable(one.path)
            left_bytes -= UPLOAD_BYTES + 2 * len(path.encode())
            if left_bytes < 0:
                return
            yield UploadNow(
                path=path,
                since_s=round(now - self._began_at.get(one.path, now), 3),
                body_bytes=one.body_bytes,
                left_bytes=one.left_bytes,
                waiting=one.waiting,
                reading=one.reading,
                held=one.held,
                agent=one.agent,
            )

    def _add(self, event: Event) -> None:
        self.tally.add(event)
        match event:
            case AttemptStarted():
                self._began_at.setdefault(event.path, self._clock.monotonic())
            case EntrySettled():
                self._began_at.pop(event.path, None)
            case PlanMade():
                self._planned_at = self._clock.monotonic()
            case _:
                pass
