"""What the end of a request says about the load."""

from __future__ import annotations

from typing import get_args

import pytest

from bulk_upload.core.limits.signal import FAILED, LOCAL_LIMIT, NEUTRAL, Signal, SignalKind, signal_of
from bulk_upload.core.model import (
    Accepted,
    InDoubt,
    Misdirected,
    NotSent,
    Outcome,
    RateLimitInfo,
    Refused,
    Rejected,
    SourceFailed,
    Throttled,
    Unavailable,
)

LEFT = RateLimitInfo(3, 12.0)
BUSY = Signal(kind=SignalKind.BUSY)

SIGNALS: list[tuple[Outcome, Signal]] = [
    (
        Accepted(file_id="file-1", http_status=200, size_confirmed=True),
        Signal(kind=SignalKind.ACCEPTED, file_bytes=10),
    ),
    (
        Accepted(file_id="file-1", http_status=200, size_confirmed=True, allowance=LEFT),
        Signal(kind=SignalKind.ACCEPTED, file_bytes=10, allowance=LEFT),
    ),
    (Throttled(http_status=429, retry_after_s=None), Signal(kind=SignalKind.OVER_QUOTA)),
    (
        Throttled(http_status=429, retry_after_s=1.0, allowance=LEFT),
        Signal(kind=SignalKind.OVER_QUOTA, retry_after_s=1.0, allowance=LEFT),
    ),
    (Throttled(http_status=503, retry_after_s=7.0), Signal(kind=SignalKind.BUSY, retry_after_s=7.0)),
    (InDoubt(reason="r", answered=True, http_status=503), BUSY),
    (Unavailable(reason="r", http_status=503), BUSY),
    (InDoubt(reason="r", answered=True, http_status=500), FAILED),
    (InDoubt(reason="r", answered=False), FAILED),
    (Unavailable(reason="r", http_status=502), FAILED),
    (Unavailable(reason="r"), FAILED),
    (Rejected(http_status=400, reason="r"), NEUTRAL),
    (Refused(http_status=401, reason="r"), NEUTRAL),
    (Misdirected(http_status=307, location_host="h"), NEUTRAL),
    (SourceFailed(reason="r"), NEUTRAL),
    (NotSent(reason="r"), NEUTRAL),
    (NotSent(reason="r", local_limit=True), LOCAL_LIMIT),
]


@pytest.mark.parametrize(("outcome", "signal"), SIGNALS)
def test_an_outcome_gives_one_signal(outcome: Outcome, signal: Signal) -> None:
    """Only what the server did with a request moves the limits: not a bad file, a redirect, or a drain."""
    assert signal_of(outcome, file_bytes=10) == signal


def test_every_kind_of_outcome_is_listed() -> None:
    """A new kind of outcome needs a decision here."""
    assert {type(outcome) for outcome, _ in SIGNALS} == set(get_args(Outcome))
    assert {signal.kind for _, signal in SIGNALS} == set(SignalKind)


def test_only_refusals_are_spread() -> None:
    """A random number goes with a 429 and a 503: many clients come back after these."""
    spread = {signal.kind for _, signal in SIGNALS if signal.is_refusal}
    assert spread == {SignalKind.OVER_QUOTA, SignalKind.BUSY}
    assert BUSY.with_jitter(0.5) == Signal(kind=SignalKind.BUSY, jitter=0.5)
