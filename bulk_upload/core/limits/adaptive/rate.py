"""Rate: how many uploads may start per second. Off until refusals show that the server counts requests."""

from __future__ import annotations

import math
from enum import Enum, auto

import msgspec

BETA = 0.85
"""After a refusal starts continue at this share of the rate the server accepted."""

NEAR = 0.97
"""From this share of the known rate on a refusal concerns the rate."""

RATE_MIN = 0.02
CLIMB_S_FIRST = 4.0
CLIMB_S_MAX = 60.0
CLIMB_STRETCH = 1.4
CLIMB_STARTS = (10, 300)
"""A climb lasts at least and at most so many starts."""

CLIMB_STRETCH_COSTLY = 2.0
WAIT_COST = 20.0
"""A climb ends in a refusal. Where that makes every upload wait, climbs may last so many times as long as the wait, and
reach that length sooner."""

SAME = 0.2
BURST_S = 0.05
DOUBLE_S = 2.0
DOUBLE_STARTS = 4
HUNTED = 0.7
FEW_REFUSED = 0.9
OUTGROWN = 1.3
RUINED = 0.1
"""A remembered rate of less than this share of what got through was ruined by trouble, and is not believed."""

REFUTED = 0.4
"""A quota that refuses a tenth is passed by a tenth, and another client may take half of it: one that still refuses as
few at so much less never did."""

SHARE_MIN = 0.5
"""The share accepted is measured on few starts: a verdict at most halves the rate."""


class Pacing(Enum):
    """What is known of the rate. HUNTING: a bound from below, doubled until refused."""

    OFF = auto()
    HUNTING = auto()
    KNOWN = auto()


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """What got through since the last verdict, when the server's bucket was empty.

    `per_s` is exact while that stays empty; `recent_per_s` the average of ten seconds; `share` what was accepted of
    all; `paused` says that a pause may have filled the bucket.
    """

    per_s: float
    recent_per_s: float
    share: float
    paused: bool = False


class Rate:
    """A token bucket whose rate climbs back along a cubic, as CUBIC's window does (RFC 9438, section 4.2).

    The known rate is returned to after one climb, passed by 15 % after two and left behind after three. The climb's
    clock runs only while the bucket holds starts back: an unused rate proves nothing. Times are monotonic seconds.

    Args:
        remembered: what an earlier run met. Nothing is paced before something is refused; then it counts as known.
    """

    def __init__(self, remembered: float | None = None) -> None:
        self.pacing = Pacing.OFF
        self.known = 0.0
        self._remembered = remembered or 0.0
        self._lifted = 0.0
        self.is_assumed = False
        """Whether the known rate lies between what got through and a pace that had outgrown it: no refusal met it yet."""
        self._met = 0
        self._wait_s = 0.0
        self._lowered_from = 0.0
        self._at_least = 0.0
        self._climb_s = CLIMB_S_FIRST
        self._climbed_s = 0.0
        self._tokens = 1.0
        self._filled_at = float("-inf")
        self._held_since: float | None = None
        self._held_until = 0.0

    @property
    def on(self) -> bool:
        """Whether starts are paced."""
        return self.pacing is not Pacing.OFF

    @property
    def good(self) -> float | None:
        """The rate that a later run may begin with: met twice and not outgrown."""
        per_s = self.per_s
        if self.pacing is not Pacing.KNOWN or self._met < 2 or per_s is None:
            return None
        return None if per_s >= OUTGROWN * self.known else self.known

    @property
    def per_s(self) -> float | None:
        """Starts per second now; None while off."""
        if self.pacing is Pacing.OFF:
            return None
        known = self.known
        if self.pacing is Pacing.HUNTING:
            doublings = self._climbed_s / max(DOUBLE_S, DOUBLE_STARTS / known)
            return known * math.exp(min(40.0, doublings) * math.log(2))
        return known * (1 + (1 - BETA) * (self._climbed_s / self._to_known_s - 1) ** 3)

    @property
    def _to_known_s(self) -> float:
        """How long a climb to the known rate lasts."""
        shortest, longest = CLIMB_STARTS
        climb_s = min(self._climb_s, max(CLIMB_S_FIRST, longest / self.known, WAIT_COST * self._wait_s))
        return max(climb_s, min(CLIMB_S_MAX, shortest / self.known))

    @property
    def near(self) -> bool:
        """Whether starts are paced at about the known rate, or faster."""
        if self.pacing is Pacing.OFF:
            return False
        per_s = self.per_s
        return per_s is not None and per_s >= NEAR * self.known

    @property
    def is_refuted(self) -> bool:
        """Whether verdicts of which each saw few refused have lowered the rate so far that it is no cause."""
        return self.known < REFUTED * self._lowered_from

    def refused(self, now: float, passed: Passage, *, taken_per_s: float = 0.0, wait_s: float = 0.0) -> None:
        """Correct the known rate after a refusal: never lower than what got through, nor by more than was refused.

        Args:
            now: monotonic seconds.
            passed: what got through.
            taken_per_s: what the server was seen to take in the runs between its waits.
            wait_s: the wait that the refusal named.
        """
        pace = self.per_s
        hunting = is_assumed = False
        self._wait_s = wait_s
        if pace is None:
            bound = passed.per_s
            hunting = passed.share > FEW_REFUSED or passed.paused
            if hunting and not passed.paused:
                bound = min(bound, passed.recent_per_s)
            # After a few starts, all refused, no more is known than what went well before.
            bound = max(bound, passed.recent_per_s / 2)
            bound, hunting = self._known_before(bound, hunting=hunting)
        elif self.pacing is Pacing.HUNTING:
            bound = max(min(pace, passed.per_s), HUNTED * pace)
        elif self.near:
            got = min(pace, passed.per_s)
            if pace >= OUTGROWN * self.known:
                # It was too low, and what got through was limited by us: the truth is between that and the pace.
                got = math.sqrt(got * pace)
                is_assumed = True
            # Where hardly any was refused, what got through was limited by the pace: the rate is no lower than that.
            bound = max(got, min(pace, self.known) if passed.share >= NEAR else passed.share * self.known)
        else:
            bound = max(min(pace, passed.per_s), max(SHARE_MIN, passed.share) * self.known)
        if pace is not None and self.pacing is Pacing.KNOWN and passed.paused and passed.per_s < bound:
            # Pauses leave little to be refused: the share says less than what got through.
            bound = max(math.sqrt(passed.per_s * bound), SHARE_MIN * self.known)
        bound = max(bound, min(taken_per_s, pace or taken_per_s))
        got_per_s = max(passed.per_s, taken_per_s)
        self._at_least = max(BETA * bound, min(pace or got_per_s, got_per_s))
        few_refused = passed.share >= FEW_REFUSED and not passed.paused
        lowers = self.pacing is Pacing.KNOWN and bound < self.known and few_refused
        self._lowered_from = (self._lowered_from or self.known) if lowers else 0.0
        self._set(now, bound, Pacing.HUNTING if hunting else Pacing.KNOWN)
        self.is_assumed = is_assumed

    def on_refused_too(self, per_s: float) -> None:
        """Lower the known rate to what the server took of the paced starts that were on their way when it refused the
        first: its bucket was empty then.

        Never below what got through before, nor by more than 15 % at once: a server that charges for refusals takes less
        of them than its rate.
        """
        if self.pacing is Pacing.KNOWN:
            self.known = min(self.known, max(per_s, self._at_least, RATE_MIN))

    def hunt(self, now: float, per_s: float) -> None:
        """Pace at a rate that the server was seen to take, and faster and faster."""
        bound, hunting = self._known_before(per_s, hunting=True)
        self._set(now, bound, Pacing.HUNTING if hunting else Pacing.KNOWN)

    def _known_before(self, bound: float, *, hunting: bool) -> tuple[float, bool]:
        """Return the rate to begin with, and whether it is a bound from below."""
        if self._lifted > bound:
            bound, hunting = self._lifted, False
        if self._remembered > RUINED * bound:
            # What got through first may be what the server's bucket held.
            bound, hunting = self._remembered, False
        return bound, hunting

    def averaged(self, now: float, per_s: float, cycle_s: float) -> None:
        """Pace at the average of a whole cycle of a quota that no header announces."""
        self._set(now, per_s, Pacing.KNOWN)
        self._climb_s = min(CLIMB_S_MAX, max(CLIMB_S_FIRST, cycle_s))
        self._climbed_s = self._to_known_s

    def lift(self) -> None:
        """Pace no longer: the rate was not the cause. Should it be after all, it is known at once."""
        self.pacing = Pacing.OFF
        self._remembered = 0.0
        self._lifted = max(self.known, self._lowered_from)
        self._lowered_from = 0.0
        self._met = 0
        self._held_since = None

    def _set(self, now: float, per_s: float, pacing: Pacing) -> None:
        per_s = max(RATE_MIN, per_s)
        same = self.pacing is Pacing.KNOWN and abs(per_s - self.known) <= SAME * self.known
        self._met = self._met + 1 if same else 1
        stretch = CLIMB_STRETCH_COSTLY if self._wait_s else CLIMB_STRETCH
        self._climb_s = min(CLIMB_S_MAX, self._climb_s * stretch) if same else CLIMB_S_FIRST
        self.pacing = pacing
        self.is_assumed = False
        self.known = per_s
        self._climbed_s = 0.0
        self._tokens = min(self._tokens, 1.0)
        self._filled_at = now
        self._held_since = None

    def wait_s(self, now: float) -> float:
        """Return how long the next start must wait for its token; 0 means now. A call counts as waiting to start."""
        per_s = self.per_s
        if per_s is None:
            return 0.0
        self._fill(now, per_s)
        if self._tokens >= 1.0:
            return 0.0
        wait_s = (1.0 - self._tokens) / per_s
        if self._held_since is None:
            self._held_since = now
        self._held_until = now + wait_s
        # Rounding must not leave a caller asking again for a wait too small to move a clock.
        return max(wait_s, 1e-6)

    def take(self, now: float) -> bool:
        """Spend a token on a start and return whether the start had to wait for it."""
        per_s = self.per_s
        if per_s is None:
            return False
        self._fill(now, per_s)
        self._tokens = max(-1.0, self._tokens - 1.0)
        since, self._held_since = self._held_since, None
        if since is None:
            return False
        self._climbed_s += max(0.0, min(now, self._held_until) - since)
        return True

    def _fill(self, now: float, per_s: float) -> None:
        passed_s = min(1e6, max(0.0, now - self._filled_at))
        self._filled_at = now
        self._tokens = min(max(1.0, BURST_S * per_s), self._tokens + passed_s * per_s + 1e-9)
