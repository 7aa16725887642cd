"""What held a run back, and for how long."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


class Bottleneck(StrEnum):
    """What keeps the next upload from starting, or those in flight from going faster.

    The value is how it is spelled in `control --status --format json`.
    """

    PERSON = "person_pause"
    SERVER = "server_pause"
    LEDGER = "ledger"
    BANDWIDTH = "bandwidth"
    RATE = "rate"
    PACING = "server_rate"
    IN_FLIGHT = "in_flight_limit"

    @property
    def words(self) -> str:
        """Its name in a sentence, to be followed by a duration."""
        return _WORDS[self]


_WORDS = {
    Bottleneck.PERSON: "your pause",
    Bottleneck.SERVER: "the server's pauses",
    Bottleneck.LEDGER: "the ledger's disk",
    Bottleneck.BANDWIDTH: "--bandwidth",
    Bottleneck.RATE: "--rate",
    Bottleneck.PACING: "the rate that the server accepts",
    Bottleneck.IN_FLIGHT: "the in-flight limit",
}


class LimiterState(msgspec.Struct, frozen=True, kw_only=True):
    """What limits starts at one moment.

    Args:
        paused: a person has paused the run.
        server_pause_s: the rest of a pause that the server asked for.
        bandwidth_bound: bytes had to wait for the bandwidth cap.
        rate_wait_s: how long the next start waits for the person's rate.
        pacing_wait_s: how long it waits for the controller's, where nothing else holds it back.
        waiting: an upload would start if nothing held it back.
        in_flight, unrecorded: requests without an answer; answers the ledger has not recorded.
        limit, unrecorded_max: how many of each there may be.
    """

    paused: bool
    server_pause_s: float
    bandwidth_bound: bool
    rate_wait_s: float
    pacing_wait_s: float
    waiting: bool
    in_flight: int
    unrecorded: int
    limit: int
    unrecorded_max: int


def held_by(now: LimiterState) -> Bottleneck | None:
    """Return what holds the run back, the outermost limit first; None when it has nothing to start or is just starting.

    A cap on bytes fills the slots, so it is checked before them.
    """
    if now.paused:
        return Bottleneck.PERSON if now.waiting else None
    if now.server_pause_s > 0:
        return Bottleneck.SERVER
    if now.unrecorded >= now.unrecorded_max:
        return Bottleneck.LEDGER
    if now.bandwidth_bound:
        return Bottleneck.BANDWIDTH
    if now.in_flight >= now.limit:
        return Bottleneck.IN_FLIGHT
    if not now.waiting:
        return None
    if now.rate_wait_s > 0:
        return Bottleneck.RATE
    return Bottleneck.PACING if now.pacing_wait_s > 0 else None


class BottleneckTimes:
    """Adds up how long each bottleneck held the run back.

    Args:
        now: when counting begins, in monotonic seconds.
    """

    def __init__(self, now: float) -> None:
        self._at = now
        self._held_s: dict[Bottleneck, float] = {}

    def note(self, now: float, bottleneck: Bottleneck | None) -> None:
        """Add the time since the last note to the current bottleneck."""
        passed_s = max(0.0, now - self._at)
        self._at = now
        if bottleneck is not None:
            self._held_s[bottleneck] = self._held_s.get(bottleneck, 0.0) + passed_s

    @property
    def held_s(self) -> Mapping[Bottleneck, float]:
        """Seconds by bottleneck."""
        return dict(self._held_s)
