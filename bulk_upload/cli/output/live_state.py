"""The state of a watched run as JSON, for the live page, and the changes that the page asks for."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

import click
import msgspec

from bulk_upload.cli.options.limit_units import BANDWIDTH, CONCURRENCY_CAP, START_RATE
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.control import ControlRequest
from bulk_upload.core.text.printable import human_bytes, human_seconds, printable
from bulk_upload.core.text.timestamps import utc_seconds
from bulk_upload.edge.control import ask
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.edge.live_server import Refused
from bulk_upload.errors import NoRunAtWork
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.agents import agents_words, doing_words, gone_words
from bulk_upload.report.live.eta import whole_seconds
from bulk_upload.report.live.marks import STATE_WORDS
from bulk_upload.report.live.progress import Progress
from bulk_upload.report.live.slow_uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.cli.output.watched_run import Look, WatchedLedger
    from bulk_upload.core.report.history import RunFacts
    from bulk_upload.report.live.progress import Reading

POINTS_MAX = 600
"""Points of a chart: at one look a second, ten minutes; then every second one is dropped, and half as many come."""

UPLOADS_SHOWN_MAX = 64
FAILURES_SHOWN_MAX = 50
AGENTS_SHOWN_MAX = 64
FAILURES_EVERY_S = 5.0
_FAILED = frozenset(
    {
        EntryState.REJECTED,
        EntryState.FAILED_LOCAL,
        EntryState.INVALID,
        EntryState.WITHDRAWN,
    }
)


class LiveState:
    """Makes states of a run on a ledger, each from one look. Everything blocks: call it on a thread of its own."""

    def __init__(
        self, path: str, watched: WatchedLedger, now: Callable[[], float], *, may_change: bool
    ) -> None:
        self._path = path
        self._watched = watched
        self._now = now
        self._may_change = may_change
        self._begin()

    def _begin(self) -> None:
        """Begin with a new run: nothing of an earlier one counts for its speeds."""
        self._progress = Progress(
            lambda: self._watched.latest.snapshot, self._now, lambda: self._watched.latest.bodies
        )
        self._uploads = Uploads(lambda: self._watched.latest.bodies, self._now)
        self._points: deque[tuple[float, float, float, int]] = deque()
        self._point_every_s = 0.0
        self._done_before = (self._now(), 0)
        self._failures: list[dict[str, Any]] = []
        self._failures_again_at = 0.0
        self._was_active = False
        self._end: dict[str, Any] = {}
        self._end_again_at = 0.0

    def state(self) -> bytes:
        """Return the state as one line of JSON."""
        active = self._watched.is_at_work()
        if active:
            if not self._was_active:
                self._begin()
            self._was_active = True
            state = self._active(self._watched.look())
        else:
            if self._was_active:
                self._end_again_at = self._failures_again_at = 0.0
            self._was_active = False
            state = self._latest_end()
        # Who is in doubt while a run goes on is looked up by it.
        needing = _FAILED if active else _FAILED | {EntryState.IN_DOUBT}
        return msgspec.json.encode(
            {
                **state,
                "ledger": printable(self._path),
                "may_change": self._may_change and active,
                "points": list(self._points),
                "failures": self._latest_failures(needing),
                "failure_count": sum(
                    count for name, _, count in state["states"] if name in {one.value for one in needing}
                ),
            }
        )

    def _active(self, look: Look) -> dict[str, Any]:
        if look.tally is not None:
            self._progress.take(look.tally, running_s=look.running_s, draining=look.draining)
            self._uploads.take(look.running)
        reading = self._progress.read(self._uploads.backing_off_count())
        self._add_point(reading)
        phase = (
            "reading the manifest" if not reading.planned
            else "draining" if reading.draining else "paused" if reading.paused else "running"
        )  # fmt: skip
        return {
            "phase": phase,
            "title": f"{phase.capitalize()}: {reading.files}" if reading.planned else phase.capitalize(),
            "why": reading.why,
            "files": [reading.done_count, reading.entry_count],
            "bytes": [
                min(reading.done_bytes, reading.before_bytes + reading.acknowledged_bytes),
                reading.done_bytes,
                reading.total_bytes,
            ],
            "files_text": reading.files_amount,
            "bytes_text": reading.volume,
            "states": _states(reading),
            "numbers": [
                ["Elapsed", whole_seconds(reading.elapsed_s), ""],
                ["Remaining", reading.eta.removeprefix("ETA "), ""],
                ["Speed", reading.speed, f"{human_bytes(reading.mean_rate)}/s on average"],
                ["In flight", f"{reading.in_flight:,}", f"of {reading.limit:,}"],
                ["Sent", human_bytes(reading.wire_bytes), f"{human_bytes(reading.accepted_bytes)} accepted"],
                ["Retries", f"{reading.retry_count:,}", ""],
            ],
            "uploads": [
                [
                    one.path,
                    human_bytes(one.file_bytes),
                    one.share,
                    one.doing,
                    whole_seconds(one.since_s),
                    one.agent or "",
                ]
                for one in self._uploads.longest(UPLOADS_SHOWN_MAX)
            ],
            "agents": [
                [
                    printable(one.agent),
                    one.state,
                    doing_words(one),
                    one.wire_bytes,
                    one.accepted_count,
                    gone_words(one),
                ]
                for one in reading.agents[:AGENTS_SHOWN_MAX]
            ],
            "agents_text": agents_words(reading.agents, reading.agents_left_out),
            "paused_by_hand": reading.paused and look.snapshot.pause_s == 0,
        }

    def _latest_end(self) -> dict[str, Any]:
        at = self._now()
        if at >= self._end_again_at:
            self._end = self._ended()
            # A large ledger is read more rarely.
            self._end_again_at = at + 20 * (self._now() - at)
        return self._end

    def _ended(self) -> dict[str, Any]:
        with LedgerReader(self._path) as reader:
            run, states, accepted_bytes = reader.last_run(), reader.states(), reader.accepted_bytes()
        total = sum(states.values())
        done = total - states.get(EntryState.PENDING, 0) - states.get(EntryState.IN_DOUBT, 0)
        accepted = states.get(EntryState.ACCEPTED, 0)
        status = None if run is None else next((one for one in ExitStatus if one == run.exit_status), None)
        why = "No run has worked on this ledger yet."
        if run is not None:
            why = (
                "The last run did not end by itself; run the same command to resume."
                if status is None
                else f"Exit code {int(status)}: {status.meaning}."
            )
        return {
            "phase": "ended",
            "title": f"Ended: {accepted:,} of {total:,} files accepted",
            "why": why,
            "good": status is ExitStatus.DONE,
            "files": [done, total],
            "bytes": [0, 0, 0],
            "files_text": f"{done:,} of {total:,}",
            "bytes_text": "",
            "states": [
                [state.value, STATE_WORDS[state], states[state]] for state in STATE_WORDS if states.get(state)
            ],
            "numbers": [] if run is None else _end_numbers(run, accepted_bytes),
            "uploads": [],
            "agents": [],
            "agents_text": "",
            "paused_by_hand": False,
        }

    def _add_point(self, reading: Reading) -> None:
        at = self._now()
        since, done_before = self._done_before
        if at - since < self._point_every_s or not reading.planned:
            return
        files_s = (
            max(0, reading.done_count - done_before) / (at - since) if done_before and at > since else 0.0
        )
        self._done_before = (at, reading.done_count)
        self._points.append(
            (round(reading.elapsed_s, 1), round(reading.rate), round(files_s, 2), reading.in_flight)
        )
        if len(self._points) > POINTS_MAX:
            self._points = deque(islice(self._points, 0, None, 2))
            self._point_every_s = max(1.0, 2 * self._point_every_s)

    def _latest_failures(self, needing: frozenset[EntryState]) -> list[dict[str, Any]]:
        at = self._now()
        if at >= self._failures_again_at:
            with LedgerReader(self._path) as reader:
                rows = list(islice(reader.rows(states=needing), FAILURES_SHOWN_MAX))
            self._failures = [
                {
                    "path": printable(row.path),
                    "state": row.status,
                    "word": STATE_WORDS[EntryState(row.status)],
                    "reason": printable(row.reason or "no reason recorded"),
                }
                for row in rows
            ]
            # A large ledger is read more rarely.
            self._failures_again_at = at + max(FAILURES_EVERY_S, 20 * (self._now() - at))
        return self._failures


def change(path: str, asked: dict[str, object]) -> list[str]:
    """Make the changes that the page asks for, and return them in words. Blocks. Raises Refused."""
    fields: dict[str, Any] = {}
    try:
        for name, value in asked.items():
            match name, value:
                case "paused", bool():
                    fields["paused"] = value
                case "max_concurrency", str():
                    fields["concurrency_max"] = CONCURRENCY_CAP.convert(value, None, None)
                case "rate", str():
                    fields["starts_per_s"] = START_RATE.convert(value, None, None)
                case "bandwidth", str():
                    table = BANDWIDTH.convert(value, None, None)
                    fields["bandwidth"] = (
                        None
                        if table is None
                        else tuple((one.from_minute, one.bytes_per_s) for one in table.spans)
                    )
                case _:
                    raise Refused(f"there is no change named {printable(name)}")
        answer = ask(path, ControlRequest(**fields))
    except click.UsageError as error:
        # Without click's "Invalid value: ", which is about a command line.
        raise Refused(error.message) from None
    except NoRunAtWork as error:
        raise Refused(str(error)) from None
    if answer.error is not None:
        raise Refused(answer.error)
    return [printable(one) for one in answer.changes]


def _end_numbers(run: RunFacts, accepted_bytes: int) -> list[list[str]]:
    began_s, ended_s = utc_seconds(run.started_utc), utc_seconds(run.ended_utc or "")
    numbers = [["Began", _clock_time(run.started_utc), f"{run.started_utc[:10]} UTC"]]
    if run.ended_utc is not None:
        numbers.append(["Ended", _clock_time(run.ended_utc), f"{run.ended_utc[:10]} UTC"])
    if began_s is not None and ended_s is not None:
        numbers.append(["Took", human_seconds(max(0.0, ended_s - began_s)), ""])
    return [*numbers, ["Accepted", human_bytes(accepted_bytes), "by all runs"]]


def _clock_time(utc: str) -> str:
    return printable(utc[11:19])


def _states(reading: Reading) -> list[list[Any]]:
    counts = {state: reading.states.get(state, 0) for state in STATE_WORDS}
    counts[EntryState.ACCEPTED] += reading.unchanged_count
    counts[EntryState.IN_DOUBT] = reading.in_doubt_count
    settled = sum(counts.values()) + reading.before_count
    counts[EntryState.PENDING] = max(0, reading.entry_count - settled)
    found = [[state.value, STATE_WORDS[state], count] for state, count in counts.items() if count]
    return [["before", "settled before", reading.before_count], *found] if reading.before_count else found
