"""Slots: how many uploads may be in flight. Grows while goodput pays for it, shrinks to what was accepted."""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import TYPE_CHECKING

from bulk_upload.core.limits.goodput import geometric_mean

if TYPE_CHECKING:
    from bulk_upload.core.limits.goodput import Epoch, UploadCost

FIRST = 8
GAIN = 0.3
"""A step up pays when it earns this share of what linear growth would."""

MANY = 32
GROWTH_MANY = 1.6
"""From so many on, steps are smaller: a server that breaks down when overdriven does so within one step."""

WORSE = 0.9
"""A step up that earned less than this is taken back at once; between this and paying it is measured twice."""

KEEP = 0.96
"""A step down may cost this much."""

STEP = 1.25
YIELD = 0.9
"""Kept of the limit after a refusal, so that another client finds room."""

UP_WAIT_S = (4.0, 20.0)
DOWN_WAIT_S = (15.0, 120.0)
CEILING_WAIT_S = (4.0, 20.0)
CEILING_UPLOADS = 20
RETRY_AFTER_COST = 20.0
RETRY_AFTER_COST_UNSURE = 5.0


class _Trial(Enum):
    """What the limit now in force is tried for; HOLD is no trial."""

    HOLD = auto()
    GROW = auto()
    MIDDLE = auto()
    UP = auto()
    DOWN = auto()
    RETURN = auto()
    CEILING = auto()


class Slots:
    """The in-flight limit. It is moved by measured epochs and by refusals, and returns why.

    `ceiling` is the highest level that the server is not known to refuse. Times are monotonic seconds.
    """

    def __init__(self, first: int = FIRST, *, limit_max: int = 256) -> None:
        self._max = max(1, limit_max)
        self.limit = min(self._max, max(1, first))
        self._growth = 2.0
        self._base: Epoch | None = None
        self._trial = _Trial.GROW
        self._failed_once = False
        self.ceiling: int | None = None
        self._too_many: int | None = None
        self._before: int | None = None
        self._floor = 1.0
        self._up_wait_s, self._down_wait_s, self._ceiling_wait_s = (
            UP_WAIT_S[0],
            DOWN_WAIT_S[0],
            CEILING_WAIT_S[0],
        )
        self._up_at = self._down_at = self._ceiling_at = 0.0
        self._uploads = 0
        self._target = self.limit

    @property
    def growing(self) -> bool:
        """Whether large steps are judged, for which a short epoch is enough."""
        return self._trial is _Trial.GROW

    @property
    def best(self) -> int:
        """The limit that a later run may begin near: what was measured to pay, not what is being tried."""
        return self._base.limit if self._base is not None else self.limit

    def on_success(self) -> None:
        """Count an accepted upload."""
        self._uploads += 1

    def judge(self, now: float, epoch: Epoch, cost: UploadCost) -> str | None:
        """Record an epoch at the present limit; return why the limit moved, None where it did not."""
        base = self._base
        if base is None:
            self._base = epoch
            match self._trial:
                case _Trial.GROW:
                    return self._grow(now)
                case _Trial.RETURN:
                    return self._return(now)
                case _:
                    self._hold(now)
                    return None
        gain = cost.work(epoch) / max(1e-12, cost.work(base))
        match self._trial:
            case _Trial.GROW | _Trial.MIDDLE | _Trial.UP:
                return self._judge_up(now, epoch, base, gain)
            case _Trial.DOWN:
                return self._judge_down(now, epoch, base, gain)
            case _Trial.CEILING:
                self.ceiling = self._before = None
                self._ceiling_wait_s = CEILING_WAIT_S[0]
                self._base, self._trial = epoch, _Trial.GROW
                return self._move(
                    self.limit + max(1, math.isqrt(self.limit)), "the server accepts more again"
                )
            case _Trial.RETURN:
                self._base = epoch
                return self._return(now)
            case _Trial.HOLD:
                self._base = epoch
                return self._probe(now)

    def on_refused(self, now: float, level: int, retry_after_s: float | None) -> str | None:
        """Record that the server refused the request that was number `level` in flight: it counts simultaneous ones."""
        ceiling = max(1, level - 1)
        if self.ceiling is not None and ceiling >= self.ceiling:
            self._ceiling_wait_s = min(CEILING_WAIT_S[1], self._ceiling_wait_s * 2)
        else:
            self._ceiling_wait_s = CEILING_WAIT_S[0]
        self.ceiling = min(self._max, ceiling)
        # A ceiling that a test has met is sure; one that a burst has shown may have been something else.
        cost = RETRY_AFTER_COST if self._trial is _Trial.CEILING else RETRY_AFTER_COST_UNSURE
        self._ceiling_at = now + max(self._ceiling_wait_s, cost * (retry_after_s or 0.0))
        self._uploads = 0
        self._target = min(self.limit, self.ceiling)
        # A burst alone is no proof of fewer than two: who is refused then speaks of the rate.
        self._floor = min(self.limit, max(2.0, self.limit / 4))
        if self._before is None:
            self._before = self.limit
        self._base = None
        self._trial = _Trial.RETURN
        self._growth = 1.5
        return self._shrink_to(min(round(YIELD * self.limit), ceiling), f"refused beyond {ceiling}")

    def on_refused_too(self, in_flight: int) -> str | None:
        """Record that one more of the same burst was refused: what is still in flight is what was accepted."""
        if self.ceiling is not None and in_flight < self.ceiling:
            self.ceiling = max(1, math.ceil(self._floor), in_flight)
            self._target = min(self._target, self.ceiling)
        return self._shrink_to(in_flight, "the server accepted no more of the burst")

    def come_back(self, limit_before: int) -> str | None:
        """Start again with three quarters of the slots after an outage."""
        self._base = None
        self._trial = _Trial.GROW
        self._growth = 2.0
        self.ceiling = self._too_many = None
        return self._move(
            max(1, limit_before * 3 // 4), "back from an outage with three quarters of the slots"
        )

    def acquit(self) -> str | None:
        """Record that the slots were not the cause: what was taken for a ceiling is none."""
        self.ceiling = None
        before, self._before = self._before, None
        if before is None or before <= self.limit:
            return None
        self._base = None
        self._trial = _Trial.HOLD
        return self._move(before, "the slots were not the cause")

    def _judge_up(self, now: float, epoch: Epoch, base: Epoch, gain: float) -> str | None:
        needed = 1 + GAIN * (self.limit / base.limit - 1)
        earned = f"{base.limit} → {self.limit} earned {100 * (gain - 1):.0f} %"
        if gain >= needed:
            self._base = epoch
            self._failed_once = False
            self._up_wait_s = UP_WAIT_S[0]
            return (
                self._settle(now, self.limit, earned)
                if self._trial is _Trial.MIDDLE
                else self._grow(now, earned)
            )
        if self._trial is not _Trial.UP and not self._failed_once and gain > WORSE:
            self._failed_once = True
            return None
        self._failed_once = False
        self._too_many = self.limit
        middle = geometric_mean(base.limit, self.limit)
        if self._trial is _Trial.GROW and middle >= STEP * base.limit:
            self._trial = _Trial.MIDDLE
            return self._move(middle, f"trying the midpoint: {earned}")
        self._up_wait_s = min(UP_WAIT_S[1], self._up_wait_s * 2)
        return self._settle(now, base.limit, earned)

    def _judge_down(self, now: float, epoch: Epoch, base: Epoch, gain: float) -> str | None:
        if gain >= KEEP:
            self._base = epoch
            return self._settle(now, self.limit, "fewer slots are as fast")
        self._down_wait_s = min(DOWN_WAIT_S[1], self._down_wait_s * 2)
        return self._settle(now, base.limit, "fewer slots were slower")

    def _grow(self, now: float, earned: str = "the first epoch is measured") -> str | None:
        reach = self._max if self.ceiling is None else min(self._max, self.ceiling)
        if self.limit >= reach:
            self._hold(now)
            return None
        growth = self._growth if self._too_many is None else STEP
        if self.limit >= MANY:
            growth = min(growth, GROWTH_MANY)
        target = max(self.limit + 1, int(self.limit * growth))
        self._trial = _Trial.GROW
        return self._move(min(reach, target), f"growing: {earned}")

    def _settle(self, now: float, limit: int, earned: str) -> str | None:
        self._hold(now)
        return self._move(limit, f"at the optimum: {earned}")

    def _hold(self, now: float) -> None:
        self._trial = _Trial.HOLD
        self._growth = 1.5
        self._up_at = now + self._up_wait_s
        self._down_at = max(self._down_at, now + self._down_wait_s)

    def _return(self, now: float) -> str | None:
        if self.limit >= self._target:
            self._hold(now)
            return None
        return self._move(
            min(self._target, self.limit + max(1, self.limit // 25)), "back to the accepted level"
        )

    def _probe(self, now: float) -> str | None:
        ceiling = self.ceiling
        if ceiling is not None and self.limit >= ceiling:
            if now < self._ceiling_at or self._uploads < CEILING_UPLOADS or self.limit >= self._max:
                return self._probe_down(now)
            self._trial = _Trial.CEILING
            return self._move(
                self.limit + max(1, self.limit // 25), "testing whether the server accepts more"
            )
        if now >= self._up_at and self.limit < self._max:
            self._trial = _Trial.UP
            target = max(self.limit + 1, int(self.limit * STEP))
            return self._move(target if ceiling is None else min(target, ceiling), "trying more")
        return self._probe_down(now)

    def _probe_down(self, now: float) -> str | None:
        if now < self._down_at or self.limit <= 1:
            return None
        self._down_at = now + self._down_wait_s
        self._trial = _Trial.DOWN
        return self._move(min(self.limit - 1, int(self.limit / STEP)), "testing whether fewer are as fast")

    def _shrink_to(self, limit: int, reason: str) -> str | None:
        limit = max(1, math.ceil(self._floor), limit)
        return self._move(limit, reason) if limit < self.limit else None

    def _move(self, limit: int, reason: str) -> str | None:
        limit = max(1, min(self._max, limit))
        if limit == self.limit:
            return None
        self.limit = limit
        return reason
