"""The controller without one of its parts, to see what the part earns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.limits.adaptive import AdaptiveLimit
from bulk_upload.core.limits.adaptive.breaker import Breaker
from bulk_upload.core.limits.adaptive.burst import Burst
from bulk_upload.core.limits.adaptive.chance import Chance, Shown
from bulk_upload.core.limits.adaptive.opening import Opening
from bulk_upload.core.limits.adaptive.ramp import Ramp
from bulk_upload.core.limits.adaptive.rate import Rate
from bulk_upload.core.limits.adaptive.runs import Finding, Runs
from bulk_upload.core.limits.adaptive.slots import Slots
from bulk_upload.core.limits.adaptive.verdict import Verdict
from bulk_upload.core.limits.pause import Pause

if TYPE_CHECKING:
    from bulk_upload.core.limits.adaptive.goodput import Epoch
    from bulk_upload.core.limits.adaptive.loaded import LoadedTicket
    from bulk_upload.core.limits.adaptive.rate import Passage
    from bulk_upload.core.model import RateLimitInfo


class _CredulousSlots(Slots):
    """Take every step up for one that paid."""

    def _judge_up(self, now: float, epoch: Epoch, base: Epoch, gain: float) -> str | None:
        return super()._judge_up(now, epoch, base, max(gain, 100.0))


class WithoutGoodput(AdaptiveLimit):
    """Slots that grow until they are refused."""

    def __init__(self) -> None:
        super().__init__()
        self._slots = _CredulousSlots()


class WithoutAlarm(AdaptiveLimit):
    """Every refusal is more than chance."""

    def _alarms(self, now: float, ticket: LoadedTicket, *, regular: bool = False) -> bool:
        super()._alarms(now, ticket, regular=regular)
        return True


class _NeverShown(Chance):
    """Never established."""

    def find(self) -> Shown | None:
        return None


class WithoutRefutation(AdaptiveLimit):
    """A verdict is never taken back: whether slowing down helps is not looked at."""

    def __init__(self) -> None:
        super().__init__()
        self._chance = _NeverShown()


class _NoRuns(Runs):
    """Finds nothing."""

    def on_refused(
        self, number: int, started_at: float, level: int, *, is_explained: bool = False
    ) -> Finding:
        return Finding.NOTHING


class WithoutRuns(AdaptiveLimit):
    """What started between two waits that the server named is not compared."""

    def __init__(self) -> None:
        super().__init__()
        self._runs = _NoRuns()


class _OnlySlots(Verdict):
    """Never suspects the rate."""

    def concerns_slots(
        self, now: float, level: int, *, paced: bool, ceiling: int | None, latency_s: float
    ) -> bool:
        return True


class WithoutRate(AdaptiveLimit):
    """Every verdict concerns the slots."""

    def __init__(self) -> None:
        super().__init__()
        self._verdict = _OnlySlots()


class _Trusting(Verdict):
    """Slots are not contradicted by what was accepted above them, or refused below."""

    def on_level(self, level: int) -> None:
        pass

    def concerns_slots(
        self, now: float, level: int, *, paced: bool, ceiling: int | None, latency_s: float
    ) -> bool:
        return super().concerns_slots(now, level, paced=paced, ceiling=None, latency_s=latency_s)


class WithoutContradiction(AdaptiveLimit):
    """The rate is suspected where it held the start back, or alone in flight."""

    def __init__(self) -> None:
        super().__init__()
        self._verdict = _Trusting()


class _Unmeasured(Burst):
    """Does not compare what a burst left with what was held, or left, before."""

    def _is_less(self) -> bool:
        return False


class WithoutHeld(AdaptiveLimit):
    """A burst that leaves less than was held, or than another left, before concerns the slots all the same."""

    def __init__(self) -> None:
        super().__init__()
        self._burst = _Unmeasured()


class _Uncounted(Rate):
    """Is lowered by the first refusal, whatever else of its burst is refused."""

    def on_refused_too(self, per_s: float) -> None:
        pass


class WithoutFollowers(AdaptiveLimit):
    """What is refused after a rate was met does not show how far it was exceeded."""

    def __init__(self) -> None:
        super().__init__()
        self._rate = _Uncounted()


class _Untried(Opening):
    """Never begins."""

    def on_burst(self) -> None:
        pass

    def on_paced(self, level: int) -> None:
        pass


class WithoutOpening(AdaptiveLimit):
    """What the first burst leaves is a limit of slots."""

    def __init__(self) -> None:
        super().__init__()
        self._opening = _Untried()


class _Cheap(Rate):
    """Climbs as often where each refusal makes every upload wait."""

    def refused(self, now: float, passed: Passage, *, taken_per_s: float = 0.0, wait_s: float = 0.0) -> None:
        super().refused(now, passed, taken_per_s=taken_per_s)


class WithoutWaitCost(AdaptiveLimit):
    """A rate is tested as often, whatever the wait that a refusal names."""

    def __init__(self) -> None:
        super().__init__()
        self._rate = _Cheap()


class _LevelBlind(Verdict):
    """Does not look at the levels of paced starts."""

    def on_paced_refused(self, now: float, started_at: float, level: int, *, is_near: bool) -> bool:
        return False


class WithoutLevels(AdaptiveLimit):
    """A rate is never found to be one of slots by the levels at which paced starts are refused."""

    def __init__(self) -> None:
        super().__init__()
        self._verdict = _LevelBlind()


class _OneLimit(Verdict):
    """Does not know servers with both limits."""

    is_rate_met = False


class WithoutBoth(AdaptiveLimit):
    """A rate is lifted once slots were seen to refuse, whatever showed it before."""

    def __init__(self) -> None:
        super().__init__()
        self._verdict = _OneLimit()


class _Sure(Rate):
    """Take a rate that no refusal met for one that is known."""

    @property
    def is_assumed(self) -> bool:
        return False

    @is_assumed.setter
    def is_assumed(self, value: bool) -> None:
        pass


class WithoutAssumed(AdaptiveLimit):
    """Starts below a rate that is only assumed count as slower than the server's."""

    def __init__(self) -> None:
        super().__init__()
        self._rate = _Sure()


class _Yielding(Slots):
    """Lower a ceiling by every refusal there that makes all wait."""

    def on_costly(self, level: int) -> str | None:
        self._ceiling_least = 1
        return super().on_costly(level)


class WithoutLeast(AdaptiveLimit):
    """Single refusals lower a ceiling without end."""

    def __init__(self) -> None:
        super().__init__()
        self._slots = _Yielding()


class _Leaping(Slots):
    """Grow past a ceiling by half again, whatever was refused there."""

    def on_refused(self, now: float, level: int, retry_after_s: float | None) -> str | None:
        reason = super().on_refused(now, level, retry_after_s)
        self._refused_at = None
        return reason


class WithoutApproach(AdaptiveLimit):
    """The level that was refused is leapt over, not approached."""

    def __init__(self) -> None:
        super().__init__()
        self._slots = _Leaping()


class _Spiral(Rate):
    """May be lowered below what was taken, and is never refuted by how far it was lowered."""

    is_refuted = False

    def refused(self, now: float, passed: Passage, *, taken_per_s: float = 0.0, wait_s: float = 0.0) -> None:
        super().refused(now, passed, wait_s=wait_s)


class WithoutBottom(AdaptiveLimit):
    """Nothing but what got through since the last verdict keeps a rate from falling."""

    def __init__(self) -> None:
        super().__init__()
        self._rate = _Spiral()


class _NoRamp(Ramp):
    """All slots open at once."""

    def wait_s(self, now: float) -> float:
        return 0.0


class WithoutRamp(AdaptiveLimit):
    """New slots are filled at once."""

    def __init__(self) -> None:
        super().__init__()
        self._ramp = _NoRamp()


class _NoBreaker(Breaker):
    """Never opens."""

    def on_bad(
        self, now: float, number: int, started_at: float, *, started_count: int, older_moves: bool
    ) -> bool:
        return False


class WithoutBreaker(AdaptiveLimit):
    """Outages are refusals like others."""

    def __init__(self) -> None:
        super().__init__()
        self._breaker = _NoBreaker()


class _NoPause(Pause):
    """Never closes."""

    def hold(self, now: float, wait_s: float, jitter: float = 0.0) -> None:
        pass

    def on_named(self, now: float, wait_s: float, jitter: float = 0.0) -> None:
        pass

    def allow(self, now: float, number: int, allowance: RateLimitInfo) -> None:
        pass


class WithoutPause(AdaptiveLimit):
    """Each refused file waits by itself, nobody else does; RateLimit headers are not read."""

    def __init__(self) -> None:
        super().__init__()
        self._pause = _NoPause()


class WithoutBreath(AdaptiveLimit):
    """No short pause after an alarm."""

    def _breathe(self, now: float) -> None:
        pass


ABLATIONS = {
    "alarm": WithoutAlarm,
    "refutation": WithoutRefutation,
    "runs between waits": WithoutRuns,
    "levels of paced starts": WithoutLevels,
    "a rate beside slots": WithoutBoth,
    "an assumed rate": WithoutAssumed,
    "a bottom of the rate": WithoutBottom,
    "approach to the refused level": WithoutApproach,
    "ramp": WithoutRamp,
    "trial of the first burst": WithoutOpening,
    "level held, or left, before a burst": WithoutHeld,
    "a bottom of the ceiling": WithoutLeast,
    "what follows a refusal of a paced start": WithoutFollowers,
    "longer climbs for named waits": WithoutWaitCost,
    "contradiction of slots": WithoutContradiction,
    "rate": WithoutRate,
    "slots' goodput test": WithoutGoodput,
    "breaker": WithoutBreaker,
    "pause for all": WithoutPause,
    "pause after an alarm": WithoutBreath,
}
"""By the name of what is missing."""
