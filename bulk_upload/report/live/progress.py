"""The numbers any display shows during a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.events import OF_EACH_FILE, Draining, Event, Paused, PlanMade, Preparing, Reconciling
from bulk_upload.core.limits.capped import PAUSED_BY_HAND
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.tally import Tally
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.report.live.eta import SteadyEstimate, TwoTermPace, time_range, whole_seconds
from bulk_upload.report.live.smoothed_rate import SmoothedRate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bulk_upload.core.events import BodyNow, Snapshot
    from bulk_upload.core.run.control import AgentStatus

RATE_FADE_S = 5.0
ETA_FADE_S = 60.0
ETA_SAMPLE_S = 2.0
"""Shorter samples are mostly noise: a large file is finished in one of them."""

ETA_S_MAX = 100 * 3600.0
RECONCILING_SHOWN_S = 10.0
VALIDATING_SHOWN_S = 5.0
"""Where uploads are slow, files are validated rarely: the line stays this long, so that it does not flicker."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a run, ready to be shown.

    `elapsed_s` is the time since the run began. `states` counts the entries that this run settled, `unchanged_count`
    those that kept an earlier receipt, `before_*` what earlier runs settled. `done_*` counts entries that are settled, in any state, and the bytes of bodies in flight; it never
    shrinks and never exceeds the total. `rate` is bytes per second on the wire lately, `mean_rate` since the plan was
    made, both with retries. `wire_bytes` have left this process, `accepted_bytes` the server has acknowledged in
    this run. The run will take from `eta_s` to `eta_most_s` more seconds: at the recent rate and at the mean rate, the
    shorter first; None while unknown. While `draining` only what is in flight counts for them. `validated` says how far validation ahead of
    the uploads is, and is empty while there is none. `agents` are those that send, or did, for the run, and
    `agents_left_out` counts more of them. `why` is one line about what holds the run back, safe
    to show.
    """

    planned: bool
    elapsed_s: float
    states: dict[EntryState, int]
    unchanged_count: int
    unchanged_bytes: int
    before_count: int
    before_bytes: int
    done_count: int
    entry_count: int
    done_bytes: int
    total_bytes: int
    rate: float
    mean_rate: float
    wire_bytes: int
    accepted_bytes: int
    eta_s: float | None
    eta_most_s: float | None
    in_flight: int
    limit: int
    bundled: str
    retry_count: int
    in_doubt_count: int
    failed_count: int
    draining: bool
    paused: bool
    validated: str
    why: str
    agents: tuple[AgentStatus, ...] = ()
    agents_left_out: int = 0

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1: by bytes, or by entries where all files are empty."""
        if self.total_bytes:
            return self.done_bytes / self.total_bytes
        return self.done_count / self.entry_count if self.entry_count else 0.0

    @property
    def percent(self) -> str:
        """The share in whole percent, rounded down: 100 % is said only when nothing is left."""
        whole = int(self.share * 100)
        # A body may be sent long before its answer arrives.
        return f"{min(whole, 99) if self.in_flight else whole} %"

    @property
    def files_share(self) -> float:
        """How many of the entries are done, from 0 to 1."""
        return self.done_count / self.entry_count if self.entry_count else 0.0

    @property
    def files_percent(self) -> str:
        """The share of the entries in whole percent, rounded down."""
        return f"{int(self.files_share * 100)} %"

    @property
    def files(self) -> str:
        """`6,210 of 10,000 files`."""
        return f"{self.done_count:,} of {self.entry_count:,} files"

    @property
    def files_amount(self) -> str:
        """`6,210 of 10,000`."""
        return f"{self.done_count:,} of {self.entry_count:,}"

    @property
    def acknowledged_bytes(self) -> int:
        """The bytes of this run that will not be sent again: accepted, or unchanged."""
        return self.accepted_bytes + self.unchanged_bytes

    @property
    def volume(self) -> str:
        """`12.4 GB of 20.0 GB`."""
        return f"{human_bytes(self.done_bytes)} of {human_bytes(self.total_bytes)}"

    @property
    def speed(self) -> str:
        """`45.2 MB/s`."""
        return f"{human_bytes(self.rate)}/s"

    @property
    def eta(self) -> str:
        """`ETA 2 min 50 s`, `ETA 5 to 13 min`, or `ETA -`."""
        if self.eta_s is None or self.eta_most_s is None:
            return "ETA -"
        return f"ETA {time_range(self.eta_s, self.eta_most_s)}"

    @property
    def speeds(self) -> str:
        """`70.0 MB/s now, 65.2 MB/s mean`."""
        return f"{self.speed} now, {human_bytes(self.mean_rate)}/s mean"

    @property
    def traffic(self) -> str:
        """`4.2 GB accepted, 4.5 GB sent`."""
        return f"{human_bytes(self.accepted_bytes)} accepted, {human_bytes(self.wire_bytes)} sent"


class Progress:
    """Aggregates the events of a run and reads its snapshots.

    `on_event` is called by the run and is as cheap as a few additions. `read` is called by the display, perhaps
    from another thread, as is `snapshot`; it never iterates over anything that `on_event` changes.

    Args:
        snapshot: returns the state of the run.
        now: monotonic seconds.
        bodies: the requests in flight.
        counted: returns the numbers of the run, where somebody else counts its events.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        now: Callable[[], float],
        bodies: Callable[[], Iterable[BodyNow]] = tuple,
        *,
        counted: Callable[[], Tally] | None = None,
    ) -> None:
        self._tally = Tally()
        self._counted = counted
        self._snapshot = snapshot
        self._now = now
        self._bodies = bodies
        self._began_at = now()
        self._planned_at: float | None = None
        self._prepared_count = 0
        self._pause_reason = "paused"
        self._draining = False
        self._reconciling_count = 0
        self._reconciling_until = 0.0
        self._validating_until = 0.0
        self._moved_bytes = 0
        self._latest: Snapshot | None = None
        self._wire_rate = SmoothedRate(RATE_FADE_S)
        self._paces = (TwoTermPace(ETA_FADE_S), TwoTermPace())
        self._sampled: tuple[float, int, int] | None = None
        self._paused_s = 0.0
        self._read_at = now()
        self._pause_left_s = 0.0
        self._estimates = (SteadyEstimate(), SteadyEstimate())

    def on_event(self, event: Event) -> None:
        """Handle one event."""
        if self._counted is None:
            self._tally.add(event)
        if isinstance(event, OF_EACH_FILE):
            return
        match event:
            case Preparing():
                self._prepared_count = event.entry_count
            case PlanMade():
                self._planned_at = self._now()
            case Paused():
                self._pause_reason = printable(event.reason)
            case Draining():
                if not self._draining:
                    # What is left is another amount now.
                    self._estimates = (SteadyEstimate(), SteadyEstimate())
                self._draining = True
            case Reconciling():
                self._reconciling_count = event.waiting_count
                self._reconciling_until = self._now() + RECONCILING_SHOWN_S
            case _:
                pass

    @property
    def tally(self) -> Tally:
        """The numbers of the run."""
        return self._tally if self._counted is None else self._counted()

    def take(self, tally: Tally, *, running_s: float, draining: bool) -> None:
        """Replace the numbers by those of a run in another process, whose plan was made `running_s` seconds ago."""
        self._tally, self._counted = tally, None
        if self._planned_at is None:
            self._began_at = self._planned_at = self._now() - running_s
            self._pause_reason = "the server's pause"
            # What was sent before is not sent in this moment.
            self._wire_rate = SmoothedRate(RATE_FADE_S)
        if draining and not self._draining:
            self.on_event(Draining(reason=""))

    def read(self, backing_off_count: int = 0) -> Reading:
        """Return the state of the run, of whose entries `backing_off_count` wait for their next attempt."""
        at = self._now()
        snapshot = self._look()
        tally = self.tally
        before_bytes = tally.settled_before_bytes
        before_count = tally.settled_before_count
        left_bytes = max(0, tally.total_bytes - before_bytes)
        # The run takes back the bytes of a failed attempt, but the display never goes backwards.
        settled_bytes = tally.accepted_bytes + tally.unchanged_bytes + tally.failed_bytes
        moved_bytes = settled_bytes + snapshot.partial_bytes
        self._moved_bytes = max(self._moved_bytes, min(moved_bytes, left_bytes))
        self._sample(at, snapshot)
        tally.agents.see(snapshot.agents)
        left_count = max(0, tally.entry_count - before_count - tally.settled_count)
        eta_s, eta_most_s = self._eta_s(at, left_count, left_bytes - self._moved_bytes, snapshot)
        planned_at = self._planned_at
        return Reading(
            planned=planned_at is not None,
            elapsed_s=at - self._began_at,
            states={state: count for state in EntryState if (count := tally.count(state))},
            unchanged_count=tally.unchanged_count,
            unchanged_bytes=tally.unchanged_bytes,
            before_count=before_count,
            before_bytes=before_bytes,
            done_count=min(before_count + tally.settled_count, tally.entry_count),
            entry_count=tally.entry_count,
            done_bytes=min(before_bytes, tally.total_bytes) + self._moved_bytes,
            total_bytes=tally.total_bytes,
            rate=self._wire_rate.update(at, snapshot.wire_bytes),
            mean_rate=0.0
            if planned_at is None or at <= planned_at
            else snapshot.wire_bytes / (at - planned_at),
            wire_bytes=snapshot.wire_bytes,
            accepted_bytes=tally.accepted_bytes,
            eta_s=eta_s,
            eta_most_s=eta_most_s,
            in_flight=snapshot.in_flight,
            limit=snapshot.limit,
            bundled=_bundled(tally),
            retry_count=tally.retry_count,
            in_doubt_count=tally.in_doubt_count,
            failed_count=tally.failed_count,
            draining=self._draining,
            paused=_is_paused(snapshot),
            validated=self._validated(snapshot, at),
            why=self._why(snapshot, at, backing_off_count),
            agents=tally.agents.all(),
            agents_left_out=tally.agents.left_out_count,
        )

    def _sample(self, at: float, snapshot: Snapshot) -> None:
        """Update the estimates with what happened since the last sample."""
        self._paused_s += min(at - self._read_at, self._pause_left_s)
        self._read_at = at
        self._pause_left_s = (
            math.inf if snapshot.limit_reason == PAUSED_BY_HAND else max(0.0, snapshot.pause_s)
        )
        if self._planned_at is None:
            return
        file_count = self.tally.settled_count
        if self._sampled is None:
            self._sampled = (self._planned_at, 0, 0)
        since, files_before, bytes_before = self._sampled
        passed_s = at - since
        if passed_s >= ETA_SAMPLE_S:
            moved = (file_count - files_before, self._moved_bytes - bytes_before)
            recent, mean = self._paces
            # Pauses come and go: the mean has them all, and the last minute none.
            if any(moved) or self._paused_s < passed_s:
                recent.add(max(passed_s - self._paused_s, passed_s / 100), *moved)
            mean.add(passed_s, *moved)
            self._sampled, self._paused_s = (at, file_count, self._moved_bytes), 0.0

    def _eta_s(
        self, at: float, file_count: int, byte_count: int, snapshot: Snapshot
    ) -> tuple[float | None, float | None]:
        pause_s = snapshot.pause_s
        if snapshot.limit_reason == PAUSED_BY_HAND and not self._draining:
            return None, None
        if self._draining:
            # Nothing starts any more: neither the rest of the manifest nor the end of a pause counts.
            bodies = list(self._bodies())
            file_count = snapshot.in_flight
            byte_count = sum(max(0, one.body_bytes - one.left_bytes) for one in bodies)
            pause_s = 0.0
        found = [one for pace in self._paces if (one := pace.left_s(file_count, byte_count)) is not None]
        if not found or max(found) + pause_s >= ETA_S_MAX:
            return None, None
        least, most = self._estimates
        steady = (least.update(at, min(found)), most.update(at, max(found)))
        return min(steady) + pause_s, max(steady) + pause_s

    def _look(self) -> Snapshot:
        try:
            self._latest = self._snapshot()
        except RuntimeError:
            # The run's thread may change the dict during iteration: the previous state is good enough.
            if self._latest is None:
                raise
        return self._latest

    def _validated(self, snapshot: Snapshot, at: float) -> str:
        if snapshot.validating_count:
            self._validating_until = at + VALIDATING_SHOWN_S
        elif at >= self._validating_until:
            return ""
        done = f"validated ahead: {snapshot.validated_count:,} files, {human_bytes(snapshot.validated_bytes)}"
        more = snapshot.validating_count
        return f"{done}; validating {more:,} more" if more else done

    def _why(self, snapshot: Snapshot, at: float, backing_off_count: int) -> str:
        if self._draining:
            uploads = "upload" if snapshot.in_flight == 1 else "uploads"
            return f"draining: {snapshot.in_flight:,} {uploads} in flight"
        parked = _waiting_words(snapshot.parked_count, backing_off_count)
        if snapshot.pause_s > 0:
            return f"{self._pause_reason}: waiting {whole_seconds(snapshot.pause_s)}{parked}"
        if self._planned_at is None:
            so_far = f": {self._prepared_count:,} entries so far" if self._prepared_count else ""
            return f"reading the manifest{so_far}"
        if self._reconciling_count and at < self._reconciling_until:
            backing_off = _waiting_words(0, backing_off_count)
            return f"searching the server's list for {self._reconciling_count:,} in doubt{backing_off}"
        return f"{printable(snapshot.limit_reason)}{parked}"


def _waiting_words(parked_count: int, backing_off_count: int) -> str:
    """Return who waits without a slot. Those that back off are parked, too: where these are all, one word says it."""
    said = [f"{parked_count:,} parked"] if parked_count > backing_off_count else []
    said += [f"{backing_off_count:,} backing off"] if backing_off_count else []
    return f"; {', '.join(said)}" if said else ""


def _bundled(tally: Tally) -> str:
    """Return how many files went in how many requests, where several go in one; else nothing."""
    if tally.request_count == tally.attempt_count:
        return ""
    return f"{tally.attempt_count:,} files in {tally.request_count:,} requests"


def _is_paused(snapshot: Snapshot) -> bool:
    return snapshot.pause_s > 0 or snapshot.limit_reason == PAUSED_BY_HAND
