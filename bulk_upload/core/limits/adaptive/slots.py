"""Slots: how many uploads may be in flight. Grows while goodput improves, shrinks to what was accepted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bulk_upload.core.limits.adaptive.goodput import geometric_mean
from bulk_upload.core.limits.adaptive.trials import INTERRUPTIONS, TRANSITIONS, Trial, TrialEvent

if TYPE_CHECKING:
    from bulk_upload.core.limits.adaptive.goodput import Epoch, UploadCost

FIRST = 8

# A step up pays when it earns this share of what linear growth would.
GAIN = 0.3

# From this many on, steps are smaller: a server that fails under overload does so within one step.
MANY = 32
GROWTH_MANY = 1.6

# A step up that gained less than this is reverted at once; between this and paying it is measured twice.
WORSE = 0.9

# A step down may cost this much.
KEEP = 0.96

# Growth doubles the slots until something failed or was refused; afterwards it is more careful.
GROWTH_FIRST = 2.0
GROWTH_LATER = 1.5

# A trial of more, or of fewer, once the optimum is known.
STEP = 1.25

# Share of the limit kept after a refusal, to leave room for another client.
YIELD = 0.9

# Seconds until the next trial of more, of fewer, of a ceiling: from the first value up to the second as trials fail,
# doubled, but for the ceiling's.
UP_WAIT_S = (4.0, 20.0)
DOWN_WAIT_S = (15.0, 120.0)
CEILING_WAIT_S = (1.0, 20.0)

# Each test that is refused costs a request or two: after a second one few follow.
CEILING_STRETCH = 3.0

# A ceiling is tested once this many uploads were accepted below it.
CEILING_UPLOADS = 20

# What a burst left is taken for more than the server's limit by no more than this: where each refusal makes every upload
# wait, the ceiling is lowered so far by single ones. What is refused below that is refused by chance.
CEILING_SURE = 0.8

# A test of a ceiling may cost all uploads a Retry-After: the next one waits this many times as long. Fewer where the
# refusal may have had another cause.
RETRY_AFTER_COST = 20.0
RETRY_AFTER_COST_UNSURE = 5.0


class Slots:
    """The in-flight limit. Moved by measured epochs and refusals, each time with a reason.

    `ceiling` is the highest level that the server is not known to refuse. Times are monotonic seconds.
    """

    def __init__(self, first: int = FIRST, *, limit_max: int = 256) -> None:
        self._max = max(1, limit_max)
        self.limit = min(self._max, max(1, first))
        self._growth = GROWTH_FIRST
        self._base: Epoch | None = None
        self._trial = Trial.GROW
        self._failed_once = False
        self.ceiling: int | None = None
        self.tests_met = 0
        self._ceiling_least = 1
        self._too_many: int | None = None
        self._refused_at: int | None = None
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
        return self._trial is Trial.GROW

    @property
    def best(self) -> int:
        """The limit that a later run may start near: one measured to pay, not one under trial."""
        return self._base.limit if self._base is not None else self.limit

    def on_success(self) -> None:
        """Count an accepted upload."""
        self._uploads += 1

    def judge(self, now: float, epoch: Epoch, cost: UploadCost) -> str | None:
        """Record an epoch at the current limit; return why the limit moved, None where it did not."""
        base = self._base
        match self._trial:
            case Trial.RETURN:
                self._base = epoch
                return self._return(now)
            case Trial.HOLD:
                self._base = epoch
                if base is not None:
                    return self._probe(now)
                self._rest(now, TrialEvent.MEASURED)
                return None
            case Trial.CEILING:
                self._base = epoch
                return self._raise_ceiling()
        if base is None:
            self._base = epoch
            return self._grow(now, TrialEvent.MEASURED, "the first epoch is measured")
        gain = cost.work(epoch) / max(1e-12, cost.work(base))
        if self._trial is Trial.DOWN:
            return self._judge_down(now, epoch, base, gain)
        return self._judge_up(now, epoch, base, gain)

    def on_refused(self, now: float, level: int, retry_after_s: float | None) -> str | None:
        """Record that the server refused the request that was number `level` in flight: it counts simultaneous ones."""
        ceiling = max(1, level - 1)
        self._refused_at = ceiling
        if self.ceiling is not None and ceiling >= self.ceiling:
            self._ceiling_wait_s = min(CEILING_WAIT_S[1], self._ceiling_wait_s * CEILING_STRETCH)
            self.tests_met += 1
        else:
            self._ceiling_wait_s = CEILING_WAIT_S[0]
            self.tests_met = 0
        self.ceiling = min(self._max, ceiling)
        self._ceiling_least = math.ceil(CEILING_SURE * self.ceiling)
        # A ceiling found by a test is certain; one found by a burst may have another cause.
        cost = RETRY_AFTER_COST if self._trial is Trial.CEILING else RETRY_AFTER_COST_UNSURE
        self._ceiling_at = now + max(self._ceiling_wait_s, cost * (retry_after_s or 0.0))
        self._uploads = 0
        self._target = min(self.limit, self.ceiling)
        # A burst alone does not prove a ceiling below two: such a refusal concerns the rate.
        self._floor = min(self.limit, max(2.0, self.limit / 4))
        if self._before is None:
            self._before = self.limit
        self._interrupt(TrialEvent.REFUSED)
        return self._shrink_to(min(round(YIELD * self.limit), ceiling), f"refused beyond {ceiling}")

    def on_costly(self, level: int) -> str | None:
        """Record a single refusal at the ceiling that makes every upload wait: one less is cheaper than another."""
        if self.ceiling is None or level < self.ceiling or self._trial is Trial.CEILING:
            return None
        if self.ceiling <= self._ceiling_least:
            return None
        self.ceiling -= 1
        self._target = min(self._target, self.ceiling)
        return self._shrink_to(self.ceiling, f"refused at {level} in flight")

    def on_refused_too(self, in_flight: int) -> str | None:
        """Record that one more of the same burst was refused: those still in flight are the accepted ones."""
        if self.ceiling is not None and in_flight < self.ceiling:
            self.ceiling = max(1, math.ceil(self._floor), in_flight)
            self._ceiling_least = math.ceil(CEILING_SURE * self.ceiling)
            self._target = min(self._target, self.ceiling)
        return self._shrink_to(in_flight, "the server accepted no more of the burst")

    def come_back(self, limit_before: int) -> str | None:
        """Restart with the slots of before an outage: the ramp opens them one after another."""
        self._interrupt(TrialEvent.OUTAGE_OVER)
        self.ceiling = self._too_many = self._refused_at = None
        return self._move(limit_before, "back from an outage, with the slots of before")

    def acquit(self) -> str | None:
        """Record that the slots were not the cause: the supposed ceiling is none."""
        self.ceiling = None
        before, self._before = self._before, None
        if before is None or before <= self.limit:
            return None
        self._interrupt(TrialEvent.ACQUITTED)
        return self._move(before, "the slots were not the cause")

    def free(self) -> None:
        """Record that no limit refuses: what was known of ceilings is forgotten, and slots double again."""
        self.ceiling = self._too_many = self._before = self._refused_at = None
        self._interrupt(TrialEvent.FREED)

    def retest(self, now: float) -> None:
        """Record that the last refusals said nothing about the ceiling: it is tested next, and slots double again."""
        self._ceiling_at = now
        self._uploads = CEILING_UPLOADS
        self._growth = GROWTH_FIRST

    def _enter(self, event: TrialEvent) -> None:
        self._trial = TRANSITIONS[self._trial][event]

    def _interrupt(self, event: TrialEvent) -> None:
        self._trial = INTERRUPTIONS[event]
        fresh = event is TrialEvent.OUTAGE_OVER or event is TrialEvent.FREED
        self._growth = GROWTH_FIRST if fresh else GROWTH_LATER
        self._base = None

    def _rest(self, now: float, event: TrialEvent) -> None:
        """Stay at this limit until the next trial is due."""
        self._enter(event)
        self._growth = GROWTH_LATER
        self._up_at = now + self._up_wait_s
        self._down_at = max(self._down_at, now + self._down_wait_s)

    def _judge_up(self, now: float, epoch: Epoch, base: Epoch, gain: float) -> str | None:
        needed = 1 + GAIN * (self.limit / base.limit - 1)
        earned = f"{base.limit} → {self.limit} earned {100 * (gain - 1):.0f} %"
        if gain >= needed:
            self._base = epoch
            self._failed_once = False
            self._up_wait_s = UP_WAIT_S[0]
            if self._trial is Trial.MIDDLE:
                return self._settle(now, TrialEvent.PAID, self.limit, earned)
            return self._grow(now, TrialEvent.PAID, earned)
        if self._trial is not Trial.UP and not self._failed_once and gain > WORSE:
            self._failed_once = True
            return None
        self._failed_once = False
        self._too_many = self.limit
        middle = geometric_mean(base.limit, self.limit)
        if self._trial is Trial.GROW and middle >= STEP * base.limit:
            self._enter(TrialEvent.OVERSHOT)
            return self._move(middle, f"trying the midpoint: {earned}")
        self._up_wait_s = min(UP_WAIT_S[1], self._up_wait_s * 2)
        return self._settle(now, TrialEvent.FAILED, base.limit, earned)

    def _judge_down(self, now: float, epoch: Epoch, base: Epoch, gain: float) -> str | None:
        if gain >= KEEP:
            self._base = epoch
            return self._settle(now, TrialEvent.PAID, self.limit, "fewer slots are as fast")
        self._down_wait_s = min(DOWN_WAIT_S[1], self._down_wait_s * 2)
        return self._settle(now, TrialEvent.FAILED, base.limit, "fewer slots were slower")

    def _grow(self, now: float, event: TrialEvent, earned: str) -> str | None:
        reach = self._max if self.ceiling is None else min(self._max, self.ceiling)
        if self.limit >= reach:
            self._rest(now, TrialEvent.EXHAUSTED)
            return None
        growth = self._growth if self._too_many is None else STEP
        if self.limit >= MANY:
            growth = min(growth, GROWTH_MANY)
        self._enter(event)
        step = int(self.limit * growth)
        if self._refused_at is not None and self.limit < self._refused_at:
            step = min(step, geometric_mean(self.limit, self._refused_at))
        return self._move(min(reach, max(self.limit + 1, step)), f"growing: {earned}")

    def _settle(self, now: float, event: TrialEvent, limit: int, earned: str) -> str | None:
        self._rest(now, event)
        return self._move(limit, f"at the optimum: {earned}")

    def _return(self, now: float) -> str | None:
        if self.limit >= self._target:
            self._rest(now, TrialEvent.RETURNED)
            return None
        return self._move(min(self._target, self._slightly_more()), "back to the accepted level")

    def _raise_ceiling(self) -> str | None:
        self.ceiling = self._before = None
        self._ceiling_wait_s = CEILING_WAIT_S[0]
        self._enter(TrialEvent.PAID)
        # One that was met before is the server's, and looks soft from here: what exceeds it may be refused next.
        step = 1 if self.tests_met else max(1, math.isqrt(self.limit))
        return self._move(self.limit + step, "the server accepts more again")

    def _probe(self, now: float) -> str | None:
        ceiling = self.ceiling
        if ceiling is not None and self.limit >= ceiling:
            if now < self._ceiling_at or self._uploads < CEILING_UPLOADS or self.limit >= self._max:
                return self._probe_down(now)
            self._enter(TrialEvent.CEILING_DUE)
            return self._move(self._slightly_more(), "testing whether the server accepts more")
        if now >= self._up_at and self.limit < self._max:
            self._enter(TrialEvent.UP_DUE)
            target = max(self.limit + 1, int(self.limit * STEP))
            return self._move(target if ceiling is None else min(target, ceiling), "trying more")
        return self._probe_down(now)

    def _probe_down(self, now: float) -> str | None:
        if now < self._down_at or self.limit <= 1:
            return None
        self._down_at = now + self._down_wait_s
        self._enter(TrialEvent.DOWN_DUE)
        return self._move(min(self.limit - 1, int(self.limit / STEP)), "testing whether fewer are as fast")

    def _slightly_more(self) -> int:
        return self.limit + max(1, self.limit // 25)

    def _shrink_to(self, limit: int, reason: str) -> str | None:
        limit = max(1, math.ceil(self._floor), limit)
        return self._move(limit, reason) if limit < self.limit else None

    def _move(self, limit: int, reason: str) -> str | None:
        limit = max(1, min(self._max, limit))
        if limit == self.limit:
            return None
        self.limit = limit
        return reason
