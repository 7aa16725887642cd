"""The controller without one of its parts, to see what the part earns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.limits.adaptive import AdaptiveLimit
from bulk_upload.core.limits.breaker import Breaker
from bulk_upload.core.limits.pause import Pause
from bulk_upload.core.limits.slots import Slots

if TYPE_CHECKING:
    from bulk_upload.core.limits.goodput import Epoch
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


class WithoutRate(AdaptiveLimit):
    """Every refusal speaks of slots."""

    def _speaks_of_slots(self, level: int, *, paced: bool) -> bool:
        return True

    def _limit_rate(self, now: float, accepted_per_s: float, *, climb_s: float | None = None) -> None:
        pass


class _NoBreaker(Breaker):
    """Never opens."""

    def on_bad(self, now: float, number: int, started_at: float, *, older_moves: bool) -> bool:
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

    def allow(self, now: float, number: int, allowance: RateLimitInfo) -> None:
        pass


class WithoutPause(AdaptiveLimit):
    """Each refused file waits by itself, nobody else does; RateLimit headers are not read."""

    waits_apart = True

    def __init__(self) -> None:
        super().__init__()
        self._pause = _NoPause()


class WithoutBreath(AdaptiveLimit):
    """No short pause after a burst of refusals."""

    def _breathe(self, now: float) -> None:
        pass


class WithoutEvidence(AdaptiveLimit):
    """What held the start back is guilty, whatever earlier refusals say."""

    def _speaks_of_slots(self, level: int, *, paced: bool) -> bool:
        return not paced and (level > 1 or self._accepted.total == 0)


ABLATIONS = {
    "slots' goodput test": WithoutGoodput,
    "rate": WithoutRate,
    "pause for all": WithoutPause,
    "breaker": WithoutBreaker,
    "pause after a burst": WithoutBreath,
    "evidence": WithoutEvidence,
}
"""By the name of what is missing."""
