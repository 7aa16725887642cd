"""The events of a run, as typed values. Terminal, logs, reports and hooks are all built on these."""

from __future__ import annotations

# ruff: noqa: TC001, TC003 - `help` and `inspect.signature` evaluate the annotations of a Struct.
from collections.abc import Mapping

import msgspec

from bulk_upload.core.doubt.content import ComparedBy
from bulk_upload.core.limits.bottleneck import Bottleneck
from bulk_upload.core.limits.caps import CapChange
from bulk_upload.core.model import Altered, EntryState, Outcome, Receipt


class Preparing(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest is being read and compared with the ledger; `entry_count` entries so far."""

    entry_count: int


class PlanMade(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest was read and compared with the ledger; nothing has been sent yet.

    `seen_count` of the entries to send seem to be at the server, sent by something else: the last of the `warnings` says so.
    `send_count` entries of `send_bytes` bytes will be sent, `doubt_count` reconciled first. `compare_count` entries are
    touched: they are hashed, and sent only if their content is not what was accepted. Of `missing_count` entries the file
    is missing or unreadable. `mixups` says which purposes have files of another one among the first that will be sent.
    """

    entry_count: int
    total_bytes: int
    settled_count: int
    settled_bytes: int
    send_count: int
    send_bytes: int
    doubt_count: int
    blocked_count: int
    compare_count: int = 0
    compare_bytes: int = 0
    seen_count: int = 0
    missing_count: int = 0
    mixups: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class AttemptStarted(msgspec.Struct, frozen=True, kw_only=True):
    """An entry got a slot and its body is about to be sent; the intent is already durable.

    `was_absent` says that an earlier attempt was in doubt, and that its file is not on the server. `agent` makes the
    request, None for this process. Attempts with the same `bundle_id` are one request, and follow each other; None is a
    request of its own.
    """

    path: str
    attempt_no: int
    file_bytes: int
    was_absent: bool = False
    agent: str | None = None
    bundle_id: int | None = None


class AttemptEnded(msgspec.Struct, frozen=True, kw_only=True):
    """One request is over. `retry_in_s` is set when the entry will be tried again after that wait."""

    path: str
    attempt_no: int
    outcome: Outcome
    duration_s: float
    retry_in_s: float | None = None


class EntrySettled(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger durably holds the result of an entry in this run; `receipt` is set when it is accepted.

    `altered` is what the server reports otherwise than it was sent, such as another purpose. `unchanged` says that
    nothing was sent: the file was touched, and its receipt of an earlier run stays.
    """

    path: str
    purpose: str
    state: EntryState
    file_bytes: int
    reason: str | None = None
    http_status: int | None = None
    receipt: Receipt | None = None
    altered: tuple[Altered, ...] = ()
    unchanged: bool = False

    @property
    def file_id(self) -> str | None:
        """The id that the server gave the file, None where it is not accepted."""
        return None if self.receipt is None else self.receipt.file_id

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of what was sent, None where it is not accepted, or has another hash or none."""
        return None if self.receipt is None else self.receipt.sha256

    @property
    def blake3(self) -> str | None:
        """The BLAKE3 of what was sent, None where it is not accepted, or has another hash or none."""
        return None if self.receipt is None else self.receipt.blake3


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
    """The server's list is being searched for `waiting_count` entries in doubt.

    `wait_max_s` is how long it may be searched again for files that the server shows late, before their absence is believed.
    """

    waiting_count: int
    wait_max_s: float = 0.0


class ContentCompared(msgspec.Struct, frozen=True, kw_only=True):
    """A file at the server was read back to compare it with what was sent of `path`.

    `same` is None where the server returns no content; `by` says how it was compared, `read_bytes` what came back.
    """

    path: str
    file_id: str
    same: bool | None
    by: ComparedBy
    read_bytes: int


class ReceiptWithdrawn(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt of an entry that was accepted before turned out to be false, or cannot be confirmed.

    The entry is in `state` now: in doubt, or withdrawn where the server does not have the file. `of_this_run` says that
    this run had accepted it.
    """

    path: str
    purpose: str
    file_id: str
    file_bytes: int
    state: EntryState
    reason: str
    of_this_run: bool = True


class ReceiptsChecked(msgspec.Struct, frozen=True, kw_only=True):
    """The closing check is over: of the `receipt_count` receipts to check, `checked_count` were compared with the server.

    `withdrawn_count` of them were of files that the server no longer has, `in_doubt_count` are in doubt now. `reason`
    says why not all were compared, None where all were.
    """

    receipt_count: int
    checked_count: int
    withdrawn_count: int
    in_doubt_count: int
    request_count: int
    reason: str | None = None


class Draining(msgspec.Struct, frozen=True, kw_only=True):
    """The run starts nothing new; `reason` says why."""

    reason: str


class ClockStepped(msgspec.Struct, frozen=True, kw_only=True):
    """This machine's clock was set during the run, by `step_s` seconds: forward, or back where negative.

    While a machine sleeps, its clock goes on and the run does not: that looks the same as a step forward.
    """

    step_s: float


class DataFindings(msgspec.Struct, frozen=True, kw_only=True):
    """Validation found something in a file of `line_count` lines, 0 where it has none; by rule, also what keeps no file back.

    `counts` has the number of findings by rule, `first_lines` the line of the first one, where a rule is about lines.
    `convert` has the options with which `bulk-upload convert FILE` puts all errors right, None where none does.
    """

    path: str
    purpose: str
    line_count: int
    counts: Mapping[str, int]
    first_lines: Mapping[str, int]
    convert: tuple[str, ...] | None = None


class AgentJoined(msgspec.Struct, frozen=True, kw_only=True):
    """An agent makes requests for the run from now on.

    `agent` is its name in this run, `host` the machine, on which it is the process `pid` with `cpu_count` processors.
    The run has `agent_count` agents now.
    """

    agent: str
    host: str
    pid: int
    cpu_count: int
    agent_count: int


class AgentLeft(msgspec.Struct, frozen=True, kw_only=True):
    """An agent ended with nothing in flight, as `reason` says. The run has `agent_count` agents now."""

    agent: str
    host: str
    reason: str
    agent_count: int


class AgentLost(msgspec.Struct, frozen=True, kw_only=True):
    """An agent is lost, as `reason` says: it sends nothing any more, and what it knew is gone with it.

    The answers to its `dispatch_count` requests in flight are lost: their ends follow, in doubt. What it had read and not
    begun to send is read anew. The run has `agent_count` agents now.
    """

    agent: str
    host: str
    reason: str
    dispatch_count: int
    agent_count: int


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
    | ContentCompared
    | ReceiptWithdrawn
    | ReceiptsChecked
    | Draining
    | ClockStepped
    | DataFindings
    | AgentJoined
    | AgentLeft
    | AgentLost
    | Noticed
)
"""What a run tells its listeners: any of the events."""


OF_EACH_FILE = (AttemptStarted, AttemptEnded, EntrySettled)
"""The events that come for every file. Who does nothing with them returns at once: they are nearly all events."""


class AgentNow(msgspec.Struct, frozen=True, kw_only=True):
    """One agent that joined and has neither left nor been lost.

    It has `in_flight` requests, and handed over `wire_bytes` bytes of bodies since it joined, also of attempts that
    failed. One that is not `connected` may come back before it counts as lost, and starts nothing until then.
    """

    agent: str
    host: str
    pid: int
    connected: bool
    in_flight: int
    wire_bytes: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a run at one moment; cheap to take, for displays that poll.

    `wire_bytes` counts all bytes handed over, also those of attempts that failed; `partial_bytes` only those of
    bodies in flight now. `parked_count` entries wait without a slot; `pause_s` is the rest of a pause.
    `validating_count` files are being validated ahead of their uploads; `validated_count`, of `validated_bytes` bytes,
    were validated. `agents` are those at work, none where this process sends by itself.
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
    agents: tuple[AgentNow, ...] = ()


class BodyNow(msgspec.Struct, frozen=True, kw_only=True):
    """One request in flight: `left_bytes` of its body's `body_bytes` have left this process, or the `agent` that sends it.

    `waiting` says that it has no connection yet, `reading` that the next block of its file is being read, `held` that
    the bandwidth cap holds it back at the moment. `path` is of the first of its `file_count` files.
    """

    path: str
    body_bytes: int
    left_bytes: int
    waiting: bool
    reading: bool = False
    held: bool = False
    agent: str | None = None
    file_count: int = 1
