"""Opening: whether the first burst of a run met a limit of simultaneous requests or a bucket of as many."""

from __future__ import annotations

from enum import Enum, auto

ACCEPTED_MIN = 4
"""After so many accepted uploads something is known of the rate."""

LASTED_S_MIN = 0.01

FEW = 2
"""With at most this many in flight a refusal concerns the rate, unless a trial shows the opposite: quotas are more common
than limits of one or two."""

TAKEN_ENOUGH = 8
REFUSED_ENOUGH = 2
HARDLY = 3.0
"""A limit refuses what exceeds it, twice at least, and takes at most so many times as much of it: it looks soft from
here, since what is on its way is in flight and not yet, or no longer, counted."""


class Cause(Enum):
    """What the trial shows."""

    SLOTS = auto()
    RATE = auto()


class _State(Enum):
    UNTESTED = auto()
    MEASURING = auto()
    TRIAL = auto()
    OVER = auto()


class Opening:
    """A run begins with a few starts at once, and a bucket of three leaves as many of them as a limit of three does.

    A trial separates the two. Starts are paced, first as fast as the server just took them, then faster, and more may be
    in flight than the burst left. A limit of simultaneous requests refuses these; a quota takes them until its rate is
    met, and then refuses whatever comes.
    """

    def __init__(self) -> None:
        self._state = _State.UNTESTED
        self._left = 0
        self._accepted = 0
        self._since = float("inf")
        self._beyond = 0
        self._refused_beyond = 0
        self._refused_within = 0

    def on_held(self) -> None:
        """Record that a level was held for an epoch: what is refused later is no opening."""
        if self._state is _State.UNTESTED:
            self._state = _State.OVER

    def on_burst(self) -> None:
        """Record a burst of refusals for which the slots are blamed."""
        if self._state is _State.UNTESTED:
            self._state = _State.MEASURING

    def on_paced(self, level: int) -> None:
        """Record that starts are paced from now on, because the one at this level was refused."""
        if self._state is _State.MEASURING:
            self._state = _State.OVER
        if self._state is _State.UNTESTED and level <= FEW + 1:
            self.begin(max(1, level - 1))

    def on_accepted(self, now: float, started_at: float, limit: int) -> float | None:
        """Record that a start after the burst was accepted.

        Returns:
            The rate to begin the trial with, once it is due at this limit: what the server has taken since.
        """
        if self._state is not _State.MEASURING:
            return None
        self._accepted += 1
        self._since = min(self._since, started_at)
        if self._accepted < max(ACCEPTED_MIN, limit):
            return None
        return self._accepted / max(LASTED_S_MIN, now - self._since)

    def begin(self, left: int) -> None:
        """Begin the trial of what exceeds `left` in flight."""
        self._state = _State.TRIAL
        self._left = left

    def on_taken(self, level: int) -> None:
        """Record that a paced start was accepted, as number `level` in flight."""
        if self._state is _State.TRIAL and level > self._left:
            self._beyond += 1

    def on_refused_within(self) -> None:
        """Record that a start was refused with no more in flight than the burst had left."""
        if self._state is _State.MEASURING:
            self._refused_within += 1

    def on_refused(self, level: int) -> Cause | None:
        """Record that a paced start was refused, and return what the trial has shown, if it has."""
        if self._state is not _State.TRIAL:
            return None
        if level > self._left:
            self._refused_beyond += 1
        else:
            self._refused_within += 1
        refused, within = self._refused_beyond, self._refused_within
        if refused >= REFUSED_ENOUGH and refused > within and self._beyond < HARDLY * refused:
            self._state = _State.OVER
            return Cause.SLOTS
        if self._beyond >= TAKEN_ENOUGH or within >= REFUSED_ENOUGH:
            self._state = _State.OVER
            return Cause.RATE
        return None
