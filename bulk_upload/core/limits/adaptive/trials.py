"""Which limit is tried when: the states of `slots.py`, their events and their transitions, as a table.

Modelled on h11's `_state.py`: the code reports what happened, the table gives the next state.
"""

from __future__ import annotations

from enum import Enum, auto


class Trial(Enum):
    """What the limit now in force is tried for; HOLD is no trial."""

    HOLD = auto()
    GROW = auto()
    MIDDLE = auto()
    UP = auto()
    DOWN = auto()
    RETURN = auto()
    CEILING = auto()


class TrialEvent(Enum):
    """What ends a trial, or begins one."""

    MEASURED = auto()
    """The first epoch after a restart is the baseline."""

    PAID = auto()
    """The epoch was worth the change."""

    FAILED = auto()
    """It was not, and the limit goes back."""

    OVERSHOT = auto()
    """It was not, but the step was so large that half of it may be."""

    EXHAUSTED = auto()
    """There is no room to grow."""

    RETURNED = auto()
    """The limit is back where the server last accepted."""

    UP_DUE = auto()
    DOWN_DUE = auto()
    CEILING_DUE = auto()

    REFUSED = auto()
    """The server refused a request because of those in flight."""

    OUTAGE_OVER = auto()
    """The server is reachable again."""

    ACQUITTED = auto()
    """A refusal was not about the slots after all."""

    FREED = auto()
    """Refusals do not depend on the load."""


# The next state by trial and event. An event that is not listed cannot occur.
TRANSITIONS: dict[Trial, dict[TrialEvent, Trial]] = {
    Trial.HOLD: {
        TrialEvent.MEASURED: Trial.HOLD,
        TrialEvent.UP_DUE: Trial.UP,
        TrialEvent.DOWN_DUE: Trial.DOWN,
        TrialEvent.CEILING_DUE: Trial.CEILING,
    },
    Trial.GROW: {
        TrialEvent.MEASURED: Trial.GROW,
        TrialEvent.PAID: Trial.GROW,
        TrialEvent.EXHAUSTED: Trial.HOLD,
        TrialEvent.OVERSHOT: Trial.MIDDLE,
        TrialEvent.FAILED: Trial.HOLD,
    },
    Trial.MIDDLE: {TrialEvent.PAID: Trial.HOLD, TrialEvent.FAILED: Trial.HOLD},
    Trial.UP: {TrialEvent.PAID: Trial.GROW, TrialEvent.EXHAUSTED: Trial.HOLD, TrialEvent.FAILED: Trial.HOLD},
    Trial.DOWN: {TrialEvent.PAID: Trial.HOLD, TrialEvent.FAILED: Trial.HOLD},
    Trial.RETURN: {TrialEvent.RETURNED: Trial.HOLD},
    Trial.CEILING: {TrialEvent.PAID: Trial.GROW},
}

# Events that may occur at any time: they end every trial and discard earlier measurements.
INTERRUPTIONS: dict[TrialEvent, Trial] = {
    TrialEvent.REFUSED: Trial.RETURN,
    TrialEvent.OUTAGE_OVER: Trial.GROW,
    TrialEvent.ACQUITTED: Trial.HOLD,
    TrialEvent.FREED: Trial.GROW,
}
