"""Both of our clocks, read together."""

from __future__ import annotations

import pytest

from bulk_upload.core.clock import STEP_S, Moment, WallClock, moment
from tests.fakes.virtual_time import EPOCH_UTC_S


class StoppedOnce:
    """Clocks of a process that is stopped for an hour after a number of readings."""

    def __init__(self, stopped_after: int) -> None:
        self.readings_left = stopped_after
        self.now = 0.0

    def monotonic(self) -> float:
        """Return monotonic seconds."""
        return self._read()

    def utc_s(self) -> float:
        """Return wall-clock seconds."""
        return EPOCH_UTC_S + self._read()

    def minute_of_day(self) -> int:
        """Not read here."""
        raise AssertionError("only the two clocks are read")

    def jitter(self) -> float:
        """Not read here."""
        raise AssertionError("only the two clocks are read")

    async def sleep(self, seconds: float) -> None:
        """Not done here."""
        raise AssertionError("only the two clocks are read")

    def _read(self) -> float:
        now = self.now
        self.readings_left -= 1
        if self.readings_left == 0:
            self.now += 3600.0
        return now


@pytest.mark.parametrize("stopped_after", range(1, 5))
def test_a_process_that_is_stopped_between_two_readings_sees_no_step(stopped_after: int) -> None:
    """Both clocks go on while it is stopped."""
    clock, wall = StoppedOnce(stopped_after), WallClock()
    assert [wall.step_s(moment(clock)) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_a_step_is_seen_once_and_small_ones_add_up() -> None:
    """Each step is returned by the first look after it; a clock that creeps away is seen once it has gone far enough."""
    wall = WallClock()

    def look(at_s: float, ahead_s: float) -> float:
        return wall.step_s(Moment(utc_s=EPOCH_UTC_S + at_s + ahead_s, monotonic_s=at_s))

    assert [look(at_s, 0.0) for at_s in (0.0, 100.0)] == [0.0, 0.0]
    assert [look(101.0, -20.0), look(102.0, -20.0)] == [pytest.approx(-20.0), 0.0]
    crept = [look(103.0 + number, -20.0 + number) for number in range(6)]
    assert [round(one, 3) for one in crept] == [0.0] * 5 + [STEP_S + 1]
