"""The events of a run, as typed values. Terminal, logs, reports and hooks are all built on these."""

from __future__ import annotations

# ruff: noqa: TC001, TC003 - `help` and `inspect.signature` evaluate the annotations of a Struct.
from collections.abc import Mapping

import msgspec

from bulk_upload.core.limits.bottleneck import Bottleneck
from bulk_upload.core.limits.caps import CapChange
from bulk_upload.core.model import EntryState, Outcome, Receipt


class Preparing(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest is being read and compared with the ledger; `entry_count` entries so far."""

    entry_count: int


class PlanMade(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest was read and compared with the ledger; nothing has been sent yet.

    `send_count` entries of `send_bytes` bytes will be sent, `doubt_count` reconciled first.
    """

    entry_count: int
    total_bytes: int
    settled_count: int
    settled_bytes: int
    send_count: int
    send_bytes: int
    doubt_count: int
    blocked_count: int
    warnings: tuple[str, ...] = ()


class AttemptStarted(msgspec.Struct, frozen=True, kw_only=True):
    """An entry got a slot and its body is about to be sent; the intent is already durable."""

    path: str
    attempt_no: int
    file_bytes: int


class AttemptEnded(msgspec.Struct, frozen=True, kw_only=True):
    """One request is over. `retry_in_s` is set when the entry will be tried again after that wait."""

    path: str
    attempt_no: int
    outcome: Outcome
    duration_s: float
    retry_in_s: float | None = None


class EntrySettled(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger durably holds the result of an entry in this run; `receipt` is set when it is accepted."""

    path: str
    purpose: str
    state: EntryState
    file_bytes: int
    reason: str | None = None
    http_status: int | None = None
    receipt: Receipt | None = None


class Paused(msgspec.Struct, frozen=True, kw_only=True):
    """No upload of the run starts for `pause_s` seconds, because the server asked for it."""

    pause_s: float
    reason: str


class LimitChanged(msgspec.Struct, frozen=True, kw_only=True):
    """The limits on starts changed; `reason` says why, in the controller's words.

    `rate_per_s` is the rate the server was found to accept, None where nothing is paced; `pause_s` is the rest
    of a pause. Of changes that follow each other within a second the last one is reported.
    """

    limit: int
    rate_per_s: float | None
    pause_s: float
    reason: str


class ControlChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A person changed the limits during the run; the change is about to be recorded in the ledger.

    `by` is the person who asked.
    """

    change: CapChange
    by: str


class RunLimited(msgspec.Struct, frozen=True, kw_only=True):
    """What held the run back, in seconds each; emitted once, at its end.

    `chance_share` is the share of requests that the server refused whatever our load, None where no such share was
    found.
    """

    held_s: Mapping[Bottleneck, float]
    chance_share: float | None = None


class Reconciling(msgspec.Struct, frozen=True, kw_only=True):
    """The server's list is being searched for `waiting_count` entries in doubt."""

    waiting_count: int


class Draining(msgspec.Struct, frozen=True, kw_only=True):
    """The run starts nothing new; `reason` says why."""

    reason: str


class Noticed(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should know that does not change the run."""

    message: str
    path: str | None = None


Event = (
    Preparing
    | PlanMade
    | AttemptStarted
    | AttemptEnded
    | EntrySettled
    | Paused
    | LimitChanged
    | ControlChanged
    | RunLimited
    | Reconciling
    | Draining
    | Noticed
)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a run at one moment; cheap to take, for displays that poll.

    `wire_bytes` counts all bytes handed over, also those of attempts that failed; `partial_bytes` only those of
    bodies in flight now. `parked_count` entries wait without a slot; `pause_s` is the rest of a pause.
    `validating_count` files are being validated ahead of their uploads; `validated_count`, of `validated_bytes` bytes,
    were validated.
    """

    in_flight: int
    limit: int
    limit_reason: str
    pause_s: float
    parked_count: int
    wire_bytes: int
    partial_bytes: int
    validating_count: int = 0
    validated_count: int = 0
    validated_bytes: int = 0


class BodyNow(msgspec.Struct, frozen=True, kw_only=True):
    """One request in flight: `left_bytes` of its body's `body_bytes` have left this process.

    `waiting` says that it has no connection yet, `reading` that the next block of its file is being read, `held` that
    the bandwidth cap holds it back at the moment.
    """

    path: str
    body_bytes: int
    left_bytes: int
    waiting: bool
    reading: bool = False
    held: bool = False
