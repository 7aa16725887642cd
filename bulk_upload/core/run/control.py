"""Requests to an active run and its answers: the two lines sent over its socket."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from bulk_upload.core.limits.caps import (
    BYTES_PER_S_MAX,
    BYTES_PER_S_MIN,
    CONCURRENCY_MAX,
    SPANS_MAX,
    STARTS_PER_S_MAX,
    STARTS_PER_S_MIN,
)
from bulk_upload.core.limits.timetable import MINUTES_A_DAY, Span, Timetable

if TYPE_CHECKING:
    from bulk_upload.core.limits.caps import Caps

MESSAGE_BYTES_MAX = 16 * 1024
"""The longest line in either direction."""

Count = Annotated[int, Meta(ge=1, le=CONCURRENCY_MAX)]
Rate = Annotated[float, Meta(ge=STARTS_PER_S_MIN, le=STARTS_PER_S_MAX)]
Bandwidth = Annotated[float, Meta(ge=BYTES_PER_S_MIN, le=BYTES_PER_S_MAX)]
Uploads = Annotated[int, Meta(ge=0, le=256)]
Minute = Annotated[int, Meta(ge=0, lt=MINUTES_A_DAY)]
Spans = Annotated[tuple[tuple[Minute, Bandwidth | None], ...], Meta(min_length=1, max_length=SPANS_MAX)]


class ControlRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The requested changes: unset fields stay unchanged, and None removes a limit.

    Without any field it requests the state of the run. `bandwidth` is minutes of the day with the cap from then on.
    `uploads` asks for the numbers of the run too, and for so many of its requests in flight.
    """

    concurrency: Count | UnsetType | None = UNSET
    concurrency_max: Count | UnsetType | None = UNSET
    starts_per_s: Rate | UnsetType | None = UNSET
    bandwidth: Spans | UnsetType | None = UNSET
    paused: bool | UnsetType = UNSET
    uploads: Uploads | UnsetType = UNSET


class AgentState(StrEnum):
    """Whether an agent makes requests. A silent one has lost its connection, and may come back before it is lost."""

    LIVE = "live"
    SILENT = "silent"
    LEFT = "left"
    LOST = "lost"


_GONE = (AgentState.LEFT, AgentState.LOST)


class AgentStatus(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one agent did in a run; `reason` says why it is gone.

    It made `attempt_count` requests, `in_flight` of them now, and handed over `wire_bytes` bytes of bodies, also in attempts
    that failed. `accepted_*` counts the files that the server has from it. Of the `lost_count` files that were in flight
    when it was lost, `found_count` turned out to be at the server, `again_count` were sent again, `failed_count` ended
    otherwise, and the rest is in doubt.
    """

    agent: str
    state: AgentState = AgentState.LIVE
    reason: str | None = None
    attempt_count: int = 0
    in_flight: int = 0
    wire_bytes: int = 0
    accepted_count: int = 0
    accepted_bytes: int = 0
    lost_count: int = 0
    found_count: int = 0
    again_count: int = 0
    failed_count: int = 0

    @property
    def is_gone(self) -> bool:
        """Whether it has left or is lost."""
        return self.state in _GONE

    @property
    def doubt_count(self) -> int:
        """How many of the files that were in flight when it was lost are in doubt still."""
        return self.lost_count - self.found_count - self.again_count - self.failed_count


class ControlStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state and the limits of a run. `None` means no limit; texts are option values.

    Args:
        limit: requests that may be unanswered now; `reason` says why.
        in_flight: requests that are unanswered now; `parked` entries wait without one.
        concurrency: `None` where the run finds the number.
        starts_per_s, server_starts_per_s: the person's rate, and the one the server was found to accept.
        bandwidth: the timetable; `bytes_per_s` is the cap of this minute.
        paused: by a person; `server_pause_s` is the rest of a pause the server asked for.
        held_by: what holds the run back now; `held_s` has how long each bottleneck did so far, by its name.
        agents: those that send for the run, or did; `agents_left_out` more had no room in the answer.
    """

    limit: int
    reason: str
    in_flight: int
    parked: int
    concurrency: int | None
    concurrency_max: int | None
    starts_per_s: float | None
    server_starts_per_s: float | None
    bandwidth: str | None
    bytes_per_s: float | None
    paused: bool
    server_pause_s: float
    held_by: str | None
    held_s: dict[str, float]
    draining: bool
    agents: tuple[AgentStatus, ...] = ()
    agents_left_out: int = 0


class RunNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has done so far, for those who watch it from another process.

    `ended` counts entries by the name of their state; the other fields are those of the run's tally and snapshot.
    `running_s` is the time since the plan was made.
    """

    running_s: float
    entry_count: int
    total_bytes: int
    settled_before_count: int
    settled_before_bytes: int
    ended: dict[str, int]
    accepted_bytes: int
    failed_bytes: int
    unchanged_count: int
    unchanged_bytes: int
    retry_count: int
    lost_count: int
    wire_bytes: int
    partial_bytes: int
    validating_count: int
    validated_count: int
    validated_bytes: int


class UploadNow(msgspec.Struct, frozen=True, kw_only=True):
    """One request in flight; the path is printable. `since_s` is the time since its entry's first attempt.

    `agent` sends it, None for the process of the run.
    """

    path: str
    since_s: float
    body_bytes: int
    left_bytes: int
    waiting: bool
    reading: bool
    held: bool
    agent: str | None = None


class ControlAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a request: `changes` in words, or an `error` with the exit code that goes with it.

    `numbers` and `uploads` are there if the request asked for uploads and the plan is made.
    """

    status: ControlStatus | None = None
    changes: tuple[str, ...] = ()
    error: str | None = None
    hint: str | None = None
    exit_code: int = 0
    numbers: RunNumbers | None = None
    uploads: tuple[UploadNow, ...] = ()


def decode_request(line: bytes) -> ControlRequest:
    """Return the request encoded in a line. Raises ValueError for anything else."""
    # msgspec's errors are ValueErrors, including those about text that is not UTF-8.
    return msgspec.json.decode(line, type=ControlRequest)


def decode_answer(line: bytes) -> ControlAnswer:
    """Return the answer encoded in a line. Raises ValueError for anything else."""
    return msgspec.json.decode(line, type=ControlAnswer)


def encode(message: ControlRequest | ControlAnswer) -> bytes:
    """Return a message as its line."""
    return msgspec.json.encode(message) + b"\n"


def caps_after(caps: Caps, request: ControlRequest) -> Caps:
    """Return the caps after a request. Raises ValueError for a timetable whose minutes do not follow each other."""
    asked: dict[str, Any] = {
        name: value
        for name in ("concurrency", "concurrency_max", "starts_per_s", "paused")
        if (value := getattr(request, name)) is not UNSET
    }
    if request.bandwidth is not UNSET:
        asked["bandwidth"] = (
            None if request.bandwidth is None else Timetable(tuple(Span(*one) for one in request.bandwidth))
        )
    return replace(caps, **asked)
