"""What a display shows of a run that goes on, whatever the display is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk_upload.core.display import human_bytes, human_seconds, printable
from bulk_upload.core.events import Draining, Event, Paused, PlanMade, Reconciling
from bulk_upload.core.summary import Tally
from bulk_upload.report.rate import SmoothedRate

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.events import Snapshot

RATE_FADE_S = 5.0
ETA_FADE_S = 30.0
ETA_S_MAX = 100 * 3600.0
RECONCILING_SHOWN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One moment of a run, ready to be shown.

    `done_*` counts entries that are settled, whatever became of them, and the bytes of bodies in flight; it never
    shrinks and never passes the total. `rate` is bytes per second on the wire, retries included; `eta_s` is None
    while nobody can tell. `why` is one line about what holds the run back, safe to show.
    """

    planned: bool
    done_count: int
    entry_count: int
    done_bytes: int
    total_bytes: int
    rate: float
    eta_s: float | None
    in_flight: int
    limit: int
    retry_count: int
    in_doubt_count: int
    failed_count: int
    why: str

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1: by bytes, or by entries where all files are empty."""
        if self.total_bytes:
            return self.done_bytes / self.total_bytes
        return self.done_count / self.entry_count if self.entry_count else 0.0

    @property
    def percent(self) -> str:
        """The share in whole percent, rounded down: 100 % is said only when nothing is left."""
        return f"{int(self.share * 100)} %"

    @property
    def retries(self) -> str:
        """`1 retry`, `3 retries`."""
        return f"{self.retry_count:,} {'retry' if self.retry_count == 1 else 'retries'}"

    @property
    def files(self) -> str:
        """`6,210 of 10,000 files`."""
        return f"{self.done_count:,} of {self.entry_count:,} files"

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
        """`ETA 2 min 50 s`, or `ETA -`."""
        return f"ETA {'-' if self.eta_s is None else whole_seconds(self.eta_s)}"


class Progress:
    """Folds the events of a run and looks at its snapshots.

    `on_event` is called by the run and is as cheap as a few additions. `read` is called by the display, perhaps
    from another thread, as is `snapshot`; it never iterates over anything that `on_event` changes.
    """

    def __init__(self, snapshot: Callable[[], Snapshot], now: Callable[[], float]) -> None:
        self.tally = Tally()
        self._snapshot = snapshot
        self._now = now
        self._planned = False
        self._pause_reason = "paused"
        self._drain_reason: str | None = None
        self._reconciling_count = 0
        self._reconciling_until = 0.0
        self._moved_bytes = 0
        self._latest: Snapshot | None = None
        self._wire_rate = SmoothedRate(RATE_FADE_S)
        self._useful_rate = SmoothedRate(ETA_FADE_S)

    def on_event(self, event: Event) -> None:
        """Take one event in."""
        self.tally.add(event)
        match event:
            case PlanMade():
                self._planned = True
            case Paused():
                self._pause_reason = printable(event.reason)
            case Draining():
                self._drain_reason = printable(event.reason)
            case Reconciling():
                self._reconciling_count = event.waiting_count
                self._reconciling_until = self._now() + RECONCILING_SHOWN_S
            case _:
                pass

    def read(self) -> Reading:
        """Return how the run stands now."""
        at = self._now()
        snapshot = self._look()
        tally = self.tally
        before_bytes = tally.settled_before_bytes
        left_bytes = max(0, tally.total_bytes - before_bytes)
        # Bytes sent for an attempt that failed are taken back by the run, but never on the screen.
        moved_bytes = tally.accepted_bytes + tally.failed_bytes + snapshot.partial_bytes
        self._moved_bytes = max(self._moved_bytes, min(moved_bytes, left_bytes))
        useful_rate = self._useful_rate.update(at, self._moved_bytes)
        return Reading(
            planned=self._planned,
            done_count=min(tally.settled_before_count + tally.settled_count, tally.entry_count),
            entry_count=tally.entry_count,
            done_bytes=min(before_bytes, tally.total_bytes) + self._moved_bytes,
            total_bytes=tally.total_bytes,
            rate=self._wire_rate.update(at, snapshot.wire_bytes),
            eta_s=_eta_s(left_bytes - self._moved_bytes, useful_rate, snapshot.pause_s),
            in_flight=snapshot.in_flight,
            limit=snapshot.limit,
            retry_count=tally.retry_count,
            in_doubt_count=tally.in_doubt_count,
            failed_count=tally.failed_count,
            why=self._why(snapshot, at),
        )

    def _look(self) -> Snapshot:
        try:
            self._latest = self._snapshot()
        except RuntimeError:
            # A run that adds up a dict while its own thread changes it: the picture before is good enough.
            if self._latest is None:
                raise
        return self._latest

    def _why(self, snapshot: Snapshot, at: float) -> str:
        if self._drain_reason is not None:
            return f"draining, {self._drain_reason}: {snapshot.in_flight} in flight will finish"
        if snapshot.pause_s > 0:
            return f"{self._pause_reason}: waiting {whole_seconds(snapshot.pause_s)}"
        if not self._planned:
            return "reading the manifest"
        if self._reconciling_count and at < self._reconciling_until:
            return f"looking for {self._reconciling_count:,} in doubt in the server's list"
        reason = printable(snapshot.limit_reason)
        return f"{reason}; {snapshot.parked_count:,} parked" if snapshot.parked_count else reason


def whole_seconds(seconds: float) -> str:
    """Return a wait as `12 s` or `3 min 05 s`, rounded up: a countdown should not flicker in tenths."""
    whole = math.ceil(round(seconds, 3))
    return f"{whole} s" if whole < 60 else human_seconds(whole)


def _eta_s(left_bytes: int, rate: float, pause_s: float) -> float | None:
    if rate <= 0:
        return None
    eta_s = left_bytes / rate + pause_s
    return eta_s if eta_s < ETA_S_MAX else None
