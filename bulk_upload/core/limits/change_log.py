"""Selects the changes of limit, rate and pause to record: few enough for a run of weeks."""

from __future__ import annotations

import msgspec

APART_S_FIRST = 1.0
RECORDS_A_STRIDE = 1000
"""After this many records the time between two of them doubles: a day of constant change makes about 6,500."""

_RATE_CHANGE = 0.1
_PAUSE_CHANGE_S = 0.5


class ControllerState(msgspec.Struct, frozen=True, kw_only=True):
    """The limits at one moment. `reason` is the controller's, as text; `chance_known` whether it names a share of
    refusals that do not depend on the load."""

    limit: int
    rate_per_s: float | None
    pause_s: float
    reason: str
    chance_known: bool = False


class ControllerLog:
    """Picks, of all states, those to record.

    A state is picked when its limit differs from the one recorded last, its rate by a tenth or by appearing or
    disappearing, when refusals turned out to be chance or no longer are, or when a pause began or was made longer. What changes more often than the log may record is left out;
    the last state of a burst is not.
    """

    def __init__(self) -> None:
        self._recorded: ControllerState | None = None
        self._recorded_at = float("-inf")
        self._pause_ends_at = float("-inf")
        self._count = 0

    def look(self, now: float, state: ControllerState) -> bool:
        """Return whether to record the state."""
        if now - self._recorded_at < self._apart_s or not self._differs(now, state):
            return False
        self._recorded, self._recorded_at = state, now
        self._pause_ends_at = now + state.pause_s
        self._count += 1
        return True

    @property
    def _apart_s(self) -> float:
        return APART_S_FIRST * 2.0 ** (self._count // RECORDS_A_STRIDE)

    def _differs(self, now: float, state: ControllerState) -> bool:
        last = self._recorded
        if last is None or last.limit != state.limit or last.chance_known != state.chance_known:
            return True
        if (last.rate_per_s is None) != (state.rate_per_s is None):
            return True
        old, new = last.rate_per_s, state.rate_per_s
        if old is not None and new is not None and abs(new - old) >= _RATE_CHANGE * old:
            return True
        return state.pause_s > 0 and now + state.pause_s > max(now, self._pause_ends_at) + _PAUSE_CHANGE_S
