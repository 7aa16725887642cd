"""What coordinator and agent tell each other, as tagged structs: every frame is a list in MessagePack.

An agent begins with `Hello`, the coordinator answers with `Welcome` or `Refusal`. From then on both send frames. A frame
numbers its messages; what the other end has not confirmed is sent again when a connection is resumed. Paths and names
are bytes, as file systems have them. Times are in seconds.
"""

from __future__ import annotations

import msgspec

# ruff: noqa: TC001 - messages are made by their annotations.
from bulk_upload.core.api.connection import Connection
from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.doubt.content import ByteRange
from bulk_upload.core.model import Fingerprint
from bulk_upload.core.objects.options import SourceOptions
from bulk_upload.core.purposes import Purpose
from bulk_upload.core.validation.rules import RuleChoice

PROTOCOL = 3
"""Raised with every change of a message. Both ends must have the same number."""

FRAME_BYTES_MAX = 64 * 1024 * 1024
"""More than any batch of reports takes: a longer frame is not of this protocol."""


class _Message(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag=True):
    """Base of all messages: a list that begins with its name."""


class HeldFile(_Message, frozen=True, kw_only=True):
    """A file that the agent holds under `handle`; `report` is a packed FileReport where its content was checked."""

    handle: int
    fingerprint: Fingerprint
    content_hash: str | None = None
    report: bytes | None = None


class FileFault(_Message, frozen=True, kw_only=True):
    """A file that cannot be had, as in `SourceError`. `changed` is its version where that is not the expected one, `grown`
    where it is no longer small."""

    reason: str
    local_limit: bool = False
    transient: bool = False
    inaccessible: bool = False
    invalid: bool = False
    changed: Fingerprint | None = None
    grown: Fingerprint | None = None


class Prepared(_Message, frozen=True, kw_only=True):
    """The answer to `Prepare`, file by file."""

    req: int
    files: tuple[HeldFile | FileFault, ...]


class Hashed(_Message, frozen=True, kw_only=True):
    """The answer to `Hash`: the hash and the version it is of, or why there is none."""

    req: int
    content_hash: str = ""
    fingerprint: Fingerprint | None = None
    fault: FileFault | None = None


class Ended(_Message, frozen=True, kw_only=True):
    """How one dispatch ended. `kind` and `outcome` are a packed outcome, the next four as in `SentBody`.

    `wire_bytes` and `handed_bytes_total` are the agent's totals by then, see `Moved`. `report` is a packed FileReport of
    an object that was checked on its way.
    """

    attempt: int
    kind: str
    outcome: bytes
    complete: bool
    handed_bytes: int
    content_hash: str | None
    fingerprint: Fingerprint | None
    wire_bytes: int
    handed_bytes_total: int
    report: bytes | None = None


class EndedBundle(_Message, frozen=True, kw_only=True):
    """How one dispatch of a bundle ended: a packed outcome for each of its `attempts`, and one of the `whole`.

    `strays` is packed; `lesson` and `is_by_file` are as in `BundleAnswer`. `complete` and `handed_bytes` are of the whole
    form, the totals as in `Ended`.
    """

    attempts: tuple[int, ...]
    outcomes: tuple[tuple[str, bytes], ...]
    whole: tuple[str, bytes]
    lesson: str
    is_by_file: bool
    strays: bytes
    complete: bool
    handed_bytes: int
    wire_bytes: int
    handed_bytes_total: int

    @property
    def attempt(self) -> int:
        """The first attempt, which stands for the dispatch."""
        return self.attempts[0]


class BodyState(_Message, frozen=True, kw_only=True):
    """One request in flight, as in `BodyNow`."""

    attempt: int
    body_bytes: int
    left_bytes: int
    waiting: bool
    reading: bool
    held: bool


class Moved(_Message, frozen=True, kw_only=True):
    """What moved: the requests in flight, the bytes that left the agent in all, and those handed to connections in all."""

    bodies: tuple[BodyState, ...]
    wire_bytes: int
    handed_bytes_total: int


class Leaving(_Message, frozen=True, kw_only=True):
    """The agent wants to end: no more dispatches. It serves those it has until it is dismissed."""

    reason: str


class AskKey(_Message, frozen=True, kw_only=True):
    """The server refuses the run's API key with this number: is there another one by now?"""

    number: int


FromAgent = Prepared | Hashed | Ended | EndedBundle | Moved | Leaving | AskKey


class WantedFile(_Message, frozen=True, kw_only=True):
    """One file of a `Prepare`, as in `PrepareRequest`."""

    path: bytes
    purpose: str
    planned_bytes: int
    checks_content: bool
    expected: Fingerprint | None = None


class Prepare(_Message, frozen=True, kw_only=True):
    """Get files ready and hold them. Read-only: where the agent is lost, another one is asked."""

    req: int
    files: tuple[WantedFile, ...]


class Drop(_Message, frozen=True, kw_only=True):
    """Let a file go that will not be sent."""

    handle: int


class Hash(_Message, frozen=True, kw_only=True):
    """Hash a file, or ranges of it. Read-only as `Prepare` is."""

    req: int
    path: bytes
    function: HashFunction
    expected: Fingerprint | None
    ranges: tuple[ByteRange, ...]


class Send(_Message, frozen=True, kw_only=True):
    """A dispatch: make this one attempt now, with the file you hold. `attempt` is the ledger's, whose intent is durable."""

    attempt: int
    handle: int
    sent_name: bytes
    purpose: str
    fields: tuple[tuple[str, str], ...] = ()
    ask_first: bool = False


class BundleFile(_Message, frozen=True, kw_only=True):
    """One file of a bundle, as in `Send`."""

    attempt: int
    handle: int
    sent_name: bytes


class SendBundle(_Message, frozen=True, kw_only=True):
    """One dispatch of several files that the agent holds: one request, and an intent for each. Its first attempt stands for
    all of them."""

    files: tuple[BundleFile, ...]
    purpose: str
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def attempt(self) -> int:
        """The first attempt."""
        return self.files[0].attempt


class Cancel(_Message, frozen=True, kw_only=True):
    """Abort one dispatch; `Ended` says what is known of it."""

    attempt: int


class Pace(_Message, frozen=True, kw_only=True):
    """The agent's share of the bandwidth cap from now on, None where there is no cap."""

    bytes_per_s: float | None


class NewKey(_Message, frozen=True, kw_only=True):
    """The answer to `AskKey`: the run's API key and its number, None where there is no other one."""

    number: int
    key: str | None


class EndAll(_Message, frozen=True, kw_only=True):
    """Abort all that is in flight."""

    reason: str


class Dismiss(_Message, frozen=True, kw_only=True):
    """The agent is no longer needed."""

    reason: str


ToAgent = Prepare | Drop | Hash | Send | SendBundle | Cancel | Pace | NewKey | EndAll | Dismiss


class FirstFile(_Message, frozen=True, kw_only=True):
    """A file of the plan that every agent must see as the coordinator does, or it sees another tree."""

    path: bytes
    size: int
    mtime_ns: int


class AgentJob(_Message, frozen=True, kw_only=True):
    """What an agent must know to serve a run.

    `connection` has no proxy where a stranger may listen; `key` is None there, and `sources` have no secrets. `checks` says
    that contents are validated by `purposes` and `rules`, `sends_invalid` that they are sent whatever is found. Paths start
    from `root`, unless the agent has a root of its own. `sources` say how stores are reached, `first_objects` are one
    object of each that every agent must be able to read.
    """

    connection: Connection
    key: str | None
    key_number: int = 0
    root: bytes
    follow_symlinks: bool
    allow_outside: bool
    ignore_ctime: bool
    hashing: HashFunction | None
    connections_max: int
    checks: bool
    purposes: tuple[Purpose, ...]
    rules: RuleChoice
    sends_invalid: bool = False
    first_file: FirstFile | None = None
    sources: tuple[SourceOptions, ...] = ()
    plain_sources: bool = False
    first_objects: tuple[str, ...] = ()


class Hello(_Message, frozen=True, kw_only=True):
    """The first frame of an agent.

    `resume` names the session that it had and that its fence has not ended; `seen` is the number of the last message it
    has of that session. `former` names a session that its fence has ended, and `late` has the reports of it that were not
    confirmed. `has_key` says that the agent has an API key of its own.
    """

    protocol: int
    version: str
    host: str
    pid: int
    cpu_count: int
    has_key: bool = False
    resume: str | None = None
    seen: int = 0
    former: str | None = None
    late: tuple[Ended | EndedBundle, ...] = ()


class Welcome(_Message, frozen=True, kw_only=True):
    """The answer to `Hello`. `job` is None where a session is resumed; `token` opens the next connection."""

    session: str
    ttl_s: float
    seen: int = 0
    job: AgentJob | None = None
    token: str = ""


class Refusal(_Message, frozen=True, kw_only=True):
    """The coordinator does not want this agent, and why; `final` where asking again is of no use."""

    reason: str
    final: bool = True


class FromAgentFrame(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A frame of an agent: messages from the number `seq` on, the last message `seen`, and the number of a beat or 0."""

    seq: int
    seen: int
    beat: int
    messages: tuple[FromAgent, ...]


class ToAgentFrame(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A frame of the coordinator: as above, where `beat` is the number of the last beat that arrived."""

    seq: int
    seen: int
    beat: int
    messages: tuple[ToAgent, ...]


Answer = Welcome | Refusal
