"""The progress of a run where there is no terminal: plain lines for a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.events import AttemptEnded, AttemptStarted, Event, Paused, Reconciling
from bulk_upload.core.model import EntryState
from bulk_upload.core.text.printable import printable
from bulk_upload.report.agents import agents_words
from bulk_upload.report.live.eta import whole_seconds
from bulk_upload.report.live.marks import STATE_WORDS
from bulk_upload.report.live.notable_events import EventLines
from bulk_upload.report.live.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.events import Snapshot
    from bulk_upload.core.report.tally import Tally
    from bulk_upload.report.live.progress import Reading

PAUSE_S_TOLD_MIN = 5.0

WITHOUT_LINES = (AttemptStarted, AttemptEnded)
"""Two of three events. Who has the numbers of the run counted by others need not hand them on."""


class LineProgress:
    """One plain line every `every_s` seconds; notable events are written at once.

    Args:
        write: takes one line without its newline. After it raises OSError nothing more is written.
        snapshot: returns the state of the run.
        now: monotonic seconds.
        every_s: seconds between two progress lines, `first_s` those before the first; by default as many.
        counted: returns the numbers of the run, where somebody else counts its events.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        snapshot: Callable[[], Snapshot],
        now: Callable[[], float],
        *,
        every_s: float = 30.0,
        first_s: float | None = None,
        counted: Callable[[], Tally] | None = None,
    ) -> None:
        self._write = write
        self._now = now
        self._every_s = every_s
        self._progress = Progress(snapshot, now, counted=counted)
        self._event_lines = EventLines()
        self._next_at = now() + (every_s if first_s is None else first_s)
        self._paused_until = 0.0
        self._reconciling_next_at = 0.0
        self._gone = False

    def on_event(self, event: Event) -> None:
        """Handle one event of the run, and write its lines."""
        self._progress.on_event(event)
        if isinstance(event, Paused):
            self._tell_pause(event)
        elif isinstance(event, Reconciling):
            self._tell_reconciling(event)
        for told in self._event_lines.lines_of(event):
            self._put(str(told))

    def take(self, tally: Tally, *, running_s: float, draining: bool) -> None:
        """Show the numbers of a run in another process."""
        self._progress.take(tally, running_s=running_s, draining=draining)

    def tick(self) -> None:
        """Called as time passes: about once a second. Samples the rate and writes the line that is due."""
        reading = self._progress.read()
        at = self._now()
        if at >= self._next_at:
            self._next_at = at + self._every_s
            self._put(_summary(reading))

    def _tell_pause(self, event: Paused) -> None:
        at = self._now()
        # Every throttled upload announces the pause again: one line per pause is enough.
        if event.pause_s > PAUSE_S_TOLD_MIN and at >= self._paused_until:
            self._put(f"paused: {printable(event.reason)}: waiting {whole_seconds(event.pause_s)}")
            self._paused_until = at + event.pause_s

    def _tell_reconciling(self, event: Reconciling) -> None:
        at = self._now()
        if event.waiting_count and at >= self._reconciling_next_at:
            self._reconciling_next_at = at + self._every_s
            self._put(f"reconciling: searching the server's list for {event.waiting_count:,} in doubt")

    def _put(self, line: str) -> None:
        if not self._gone:
            try:
                self._write(line)
            except OSError:
                self._gone = True


def _summary(reading: Reading) -> str:
    if not reading.planned:
        return f"progress: {reading.why}"
    moved = f"{reading.percent}, {reading.files}, {reading.volume}, {reading.speeds}, {reading.eta}"
    counts = [f"in flight {reading.in_flight} of {reading.limit}"]
    counts += [
        f"{count:,} {STATE_WORDS[state]}"
        for state, count in reading.states.items()
        if state.settled and state is not EntryState.ACCEPTED
    ]
    if reading.in_doubt_count:
        counts.append(f"{reading.in_doubt_count:,} in doubt")
    if reading.bundled:
        counts.append(reading.bundled)
    if reading.retry_count:
        counts.append(f"{reading.retry_count:,} retried")
    if reading.validated:
        counts.append(reading.validated)
    if reading.agents:
        counts.append(agents_words(reading.agents, reading.agents_left_out))
    return f"progress: {moved}; {', '.join(counts)}; {reading.why}"
