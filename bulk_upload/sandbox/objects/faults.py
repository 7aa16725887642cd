"""What can go wrong on purpose with an object store: one step for one request, and the settings of a rehearsal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bulk_upload.sandbox.fault_checks import Requirements

_OF_FAULTS = Requirements("object faults")
_require = _OF_FAULTS.require


class RequestKind(StrEnum):
    """What a request wants. The values are the words of the text form and of the counts."""

    GET = "get"
    HEAD = "head"
    LIST = "list"


class ObjectFaultKind(StrEnum):
    """What a request meets. The values are the words of the text form.

    From `REPLACE` on the object changes: before this request is served, or (`REPLACE_MID`, `REPLACE_DROP`) while it is.
    """

    OK = "ok"
    STATUS = "status"
    DROP_HEAD = "drop-head"
    DROP_MID = "drop-mid"
    CUT = "cut"
    SHORT = "short"
    STALL_HEAD = "stall-head"
    STALL = "stall"
    SLOW = "slow"
    REPLACE = "replace"
    GROW = "grow"
    RETAG = "retag"
    REWRITE = "rewrite"
    VANISH = "vanish"
    REPLACE_MID = "replace-mid"
    REPLACE_DROP = "replace-drop"


OBJECT_AMOUNTS = {
    ObjectFaultKind.DROP_MID: 0.5,
    ObjectFaultKind.CUT: 0.5,
    ObjectFaultKind.SHORT: 0.5,
    ObjectFaultKind.STALL_HEAD: 600.0,
    ObjectFaultKind.STALL: 600.0,
    ObjectFaultKind.SLOW: 100_000.0,
    ObjectFaultKind.REPLACE_MID: 0.5,
    ObjectFaultKind.REPLACE_DROP: 0.5,
}
"""The kinds that take a number, and the number taken when none is given."""

FRACTIONS = (
    ObjectFaultKind.DROP_MID,
    ObjectFaultKind.CUT,
    ObjectFaultKind.SHORT,
    ObjectFaultKind.REPLACE_MID,
    ObjectFaultKind.REPLACE_DROP,
)
"""The kinds whose number is the fraction of the body that leaves before it happens."""

ANY_REQUEST = (
    ObjectFaultKind.OK,
    ObjectFaultKind.STATUS,
    ObjectFaultKind.DROP_HEAD,
    ObjectFaultKind.STALL_HEAD,
)
"""The kinds that a HEAD or a listing may meet, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStep:
    """What one request meets.

    `amount` is a fraction of the body (FRACTIONS), seconds (`stall`, `stall-head`) or bytes/s (`slow`).
    `retry_after` belongs to `status` and is sent literally.

    Raises:
        UsageError: a number that makes no sense, or a fault that such a request cannot meet.
    """

    kind: ObjectFaultKind = ObjectFaultKind.OK
    request: RequestKind = RequestKind.GET
    amount: float | None = None
    status: int | None = None
    retry_after: str | None = None

    def __post_init__(self) -> None:
        _require(
            self.request is RequestKind.GET or self.kind in ANY_REQUEST,
            f"a {self.request} request cannot meet '{self.kind}'",
        )
        if self.kind is ObjectFaultKind.STATUS:
            _require(
                self.status is not None and 300 <= self.status <= 599, f"{self} needs a status of 300 to 599"
            )
        _OF_FAULTS.check_number(
            self.number,
            self,
            is_fraction=self.kind in FRACTIONS,
            is_speed=self.kind is ObjectFaultKind.SLOW,
        )

    @property
    def number(self) -> float:
        """`amount`, or the default of the kind where none was given."""
        return self.amount if self.amount is not None else OBJECT_AMOUNTS.get(self.kind, 0.0)

    def __str__(self) -> str:
        start = "" if self.request is RequestKind.GET else f"{self.request}-"
        if self.kind is ObjectFaultKind.STATUS:
            text = f"{start}{self.status}"
            return text if self.retry_after is None else f"{text}:{self.retry_after}"
        return f"{start}{self.kind}" if self.amount is None else f"{start}{self.kind}:{self.amount:g}"


NO_FAULT = ObjectStep()


@dataclass(frozen=True, slots=True, kw_only=True)
class AimedSteps:
    """Steps for each object whose `/BUCKET/KEY` matches a pattern with `*`, `?` and `[…]`, one per request."""

    pattern: str
    steps: tuple[ObjectStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectChance:
    """A step that hits a request of its kind with `probability` (0 to 1)."""

    step: ObjectStep
    probability: float


class EtagKind(StrEnum):
    """What a store says about an object's version."""

    STRONG = "strong"
    WEAK = "weak"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFaults:
    """The settings of a rehearsal with objects. The default is a store without fault.

    Args:
        aimed: steps for certain objects; they come before the script.
        script: steps taken one per request of their kind, in order of arrival; afterwards `chances` decide.
        chances: at most one of them hits a request.
        seed: makes the sequence of chances repeatable.
        fault_budget: at most this many chances hit one object, so that a storm always ends.
        etag: `weak` and `none` are what plain web servers do.
        versions: whether objects have version ids, as in a bucket with versioning.
        ranges: whether a part of an object can be asked for; otherwise every GET gets the whole.
        page_max: how many objects a listing returns at once, at most.

    Raises:
        UsageError: a number that makes no sense.
    """

    aimed: tuple[AimedSteps, ...] = ()
    script: tuple[ObjectStep, ...] = ()
    chances: tuple[ObjectChance, ...] = ()
    seed: int = 0
    fault_budget: int | None = None
    etag: EtagKind = EtagKind.STRONG
    versions: bool = False
    ranges: bool = True
    page_max: int = 1000

    def __post_init__(self) -> None:
        for request in RequestKind:
            _OF_FAULTS.check_chances(
                [one.probability for one in self.chances if one.step.request is request],
                what=f"the chances of {request} requests",
            )
        _require(self.page_max >= 1, "page must be 1 or more")
