"""What the end of a request says about the load that the server, and this machine, can handle."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.model import Accepted, InDoubt, NotSent, Throttled, Unavailable

if TYPE_CHECKING:
    from bulk_upload.core.model import Outcome, RateLimitInfo

_TOO_MANY_REQUESTS = 429
_SERVICE_UNAVAILABLE = 503


class SignalKind(StrEnum):
    """What a request's end means for how many more may start."""

    ACCEPTED = "accepted"
    """The server accepted the file."""

    OVER_QUOTA = "over quota"
    """429: fewer requests in a time, or fewer at once."""

    BUSY = "busy"
    """503, with or without a wait: the server is short of something."""

    FAILED = "failed"
    """The request was lost, or ended in another 5xx: one means little, many in a row are an outage."""

    NEUTRAL = "neutral"
    """Nothing is known about the load: a 4xx about the file, a redirect, a file that cannot be read, a cancelled
    run."""

    LOCAL_LIMIT = "local limit"
    """This machine lacked descriptors or memory. Nothing is known about the server's load."""


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One request's end, as a controller sees it.

    `file_bytes` is the size of the accepted file. `retry_after_s` is the wait in seconds that the server named, None
    where it named none. `jitter` is a fresh random number in [0, 1) that spreads the clients that were refused
    together. `allowance` is the server's quota, where the answer states it.
    """

    kind: SignalKind
    file_bytes: int = 0
    retry_after_s: float | None = None
    jitter: float = 0.0
    allowance: RateLimitInfo | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether the server asked for less."""
        return self.kind is SignalKind.OVER_QUOTA or self.kind is SignalKind.BUSY

    def with_jitter(self, jitter: float) -> Signal:
        """Return the signal with this random number."""
        return msgspec.structs.replace(self, jitter=jitter)


FAILED = Signal(kind=SignalKind.FAILED)
NEUTRAL = Signal(kind=SignalKind.NEUTRAL)
LOCAL_LIMIT = Signal(kind=SignalKind.LOCAL_LIMIT)

_BUSY = Signal(kind=SignalKind.BUSY)


def signal_of(outcome: Outcome, *, file_bytes: int) -> Signal:
    """Return what an outcome says about the load. A refusal still lacks its `jitter`."""
    match outcome:
        case Accepted():
            return Signal(kind=SignalKind.ACCEPTED, file_bytes=file_bytes, allowance=outcome.allowance)
        case Throttled():
            over_quota = outcome.http_status == _TOO_MANY_REQUESTS
            return Signal(
                kind=SignalKind.OVER_QUOTA if over_quota else SignalKind.BUSY,
                retry_after_s=outcome.retry_after_s,
                allowance=outcome.allowance,
            )
        case InDoubt(candidate_id=str()) | InDoubt(agent_lost=True):
            # The server took the body in, and answered; or it is not known what it did.
            return NEUTRAL
        case InDoubt() | Unavailable():
            return _BUSY if outcome.http_status == _SERVICE_UNAVAILABLE else FAILED
        case NotSent(local_limit=True):
            return LOCAL_LIMIT
        case _:
            return NEUTRAL
