"""What can go wrong on purpose: one step for one upload request, and the settings of a whole rehearsal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from bulk_upload.sandbox.fault_checks import Requirements

_OF_FAULTS = Requirements("faults")
_require = _OF_FAULTS.require


class FaultKind(StrEnum):
    """What one upload request meets. The values are the words of the text form.

    Everything from `DELAY` on happens after the file was stored, so the client cannot tell by the answer.
    """

    OK = "ok"
    STATUS = "status"
    NO_QUOTA = "no-quota"
    DROP_HEAD = "drop-head"
    DROP_MID = "drop-mid"
    STALL = "stall"
    SLOW = "slow"
    DELAY = "delay"
    DROP_STORED = "drop-stored"
    DROP_PART = "drop-part"
    REVERSED = "reversed"
    LEFT_OUT = "left-out"
    RENAMED = "renamed"
    NO_ID = "no-id"
    BAD_ID = "bad-id"
    DUPLICATE_ID = "duplicate-id"
    WRONG_BYTES = "wrong-bytes"
    HTML = "html"
    EMPTY = "empty"
    HUGE = "huge"
    TRUNCATED = "truncated"
    CUT_ANSWER = "cut-answer"
    GARBAGE = "garbage"


class Moment(StrEnum):
    """When a status is answered: before the body is read, after it, or after the file was stored."""

    EARLY = "early-"
    WHOLE = ""
    STORED = "stored-"


DEFAULT_AMOUNTS = {
    FaultKind.DROP_MID: 0.5,
    FaultKind.STALL: 600.0,
    FaultKind.SLOW: 100_000.0,
    FaultKind.DELAY: 1.0,
    FaultKind.DROP_PART: 0.5,
}
"""The kinds that take a number, and the number taken when none is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one upload request meets.

    `amount` is the fraction of the body read before `drop-mid`, of the files stored before `drop-part`, the seconds of
    `stall` and `delay`, the bytes/s of `slow`. The others belong to `status`: `retry_after` is sent literally, except that `date+N` becomes an
    HTTP-date N seconds ahead (RFC 9110, section 10.2.3, allows both forms); `location` is where a 3xx points.

    Raises:
        UsageError: a number that makes no sense.
    """

    kind: FaultKind = FaultKind.OK
    amount: float | None = None
    status: int | None = None
    moment: Moment = Moment.WHOLE
    retry_after: str | None = None
    location: str | None = None

    def __post_init__(self) -> None:
        if self.kind is FaultKind.STATUS:
            _require(
                self.status is not None and 200 <= self.status <= 599, f"{self} needs a status of 200 to 599"
            )
        _OF_FAULTS.check_number(
            self.number,
            self,
            is_fraction=self.kind in (FaultKind.DROP_MID, FaultKind.DROP_PART),
            is_speed=self.kind is FaultKind.SLOW,
        )

    @property
    def number(self) -> float:
        """`amount`, or the default of the kind where none was given."""
        return self.amount if self.amount is not None else DEFAULT_AMOUNTS.get(self.kind, 0.0)

    @property
    def early(self) -> bool:
        """Whether it happens before any byte of the body is read."""
        return self.kind is FaultKind.DROP_HEAD or self.moment is Moment.EARLY

    @property
    def refuses(self) -> bool:
        """Whether a request is refused that arrived whole."""
        return self.kind is FaultKind.NO_QUOTA or (self.kind is FaultKind.STATUS and not self.stores)

    @property
    def drops(self) -> bool:
        """Whether the connection is reset once files were stored."""
        return self.kind in (FaultKind.DROP_STORED, FaultKind.DROP_PART)

    @property
    def stores(self) -> bool:
        """Whether the file is stored, of several in one request at least a part."""
        if self.kind is FaultKind.STATUS:
            return self.moment is Moment.STORED
        return self.kind not in (FaultKind.NO_QUOTA, FaultKind.DROP_HEAD, FaultKind.DROP_MID, FaultKind.STALL)

    def __str__(self) -> str:
        if self.kind is FaultKind.STATUS:
            text = f"{self.moment}{self.status}"
            header = self.location if self.location is not None else self.retry_after
            return text if header is None else f"{text}:{header}"
        return str(self.kind) if self.amount is None else f"{self.kind}:{self.amount:g}"


OK = Step()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """A step that hits an upload request with `probability` (0 to 1)."""

    step: Step
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The settings of a rehearsal. The default is a server without fault.

    Args:
        script: steps taken one per upload request in order of arrival; afterwards `chances` decide.
        chances: at most one of them hits a request; their probabilities add up to 1 at most.
        seed: makes the sequence of chances repeatable (which file a chance hits still follows arrival).
        fault_budget: at most this many chances hit one (filename, purpose), so that a storm always ends.
        answer_delay_s: every upload answer waits that long, and keeps its place in flight meanwhile.
        read_bytes_per_s: every body is read at this speed, per request.
        list_lag_s: a new file shows up in the list only after that time.
        max_in_flight: uploads beyond this number at once get an early 429 without Retry-After.
        rate_per_s: uploads beyond this rate get an early 429 whose Retry-After is exact (whole seconds, rounded
            up); `burst` requests may come at once.
        linger_s: how long an early answer waits for the rest of the body before the connection is closed. With
            0 the connection is closed at once, and the client often sees a reset in place of the answer.
        ignore_expect: never sends `100 Continue`.
        body_bytes_max: a request with a longer body gets an early 413.
        refused_name: a request with a file whose name contains this is refused with 422, and stores nothing.
        bulk_only: steps and chances hit only requests with several files.
        has_bulk: False answers 404 to requests with several files, as a server without that call.

    Requests refused for their key, by `max_in_flight`, `rate_per_s`, `body_bytes_max` or `has_bulk` take no step.

    Raises:
        UsageError: a number that makes no sense.
    """

    script: tuple[Step, ...] = ()
    chances: tuple[Chance, ...] = ()
    seed: int = 0
    fault_budget: int | None = None
    answer_delay_s: float = 0.0
    read_bytes_per_s: float | None = None
    list_lag_s: float = 0.0
    max_in_flight: int | None = None
    rate_per_s: float | None = None
    burst: int = 1
    linger_s: float = 10.0
    ignore_expect: bool = False
    body_bytes_max: int | None = None
    refused_name: str | None = None
    bulk_only: bool = False
    has_bulk: bool = True

    def __post_init__(self) -> None:
        _OF_FAULTS.check_chances([chance.probability for chance in self.chances])
        for name in ("answer_delay_s", "list_lag_s", "linger_s"):
            value = getattr(self, name)
            _require(math.isfinite(value) and value >= 0, f"{name} must be 0 or more, not {value}")
        for name in ("read_bytes_per_s", "rate_per_s"):
            value = getattr(self, name)
            _require(
                value is None or (math.isfinite(value) and value > 0), f"{name} must be above 0, not {value}"
            )
        _require(self.max_in_flight is None or self.max_in_flight >= 1, "max_in_flight must be 1 or more")
        _require(self.burst >= 1, "burst must be 1 or more")
        _require(self.body_bytes_max is None or self.body_bytes_max >= 1, "body_bytes_max must be 1 or more")
        _require(self.refused_name != "", "refused_name must have a character")
        _require(self.fault_budget is None or self.fault_budget >= 0, "fault_budget must be 0 or more")
