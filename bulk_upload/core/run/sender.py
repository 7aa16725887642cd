"""The port that uploads go through: prepare files, then make single requests.

An implementation opens, reads, hashes and checks the files and holds what it read. Only values cross the port, so
a sender may also run in another process or on another machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.bundle.answer import BundleAnswer
    from bulk_upload.core.content_hash import HashFunction
    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.events import AgentNow, BodyNow
    from bulk_upload.core.model import Fingerprint, Outcome, SentBody
    from bulk_upload.core.run.source import SourceError
    from bulk_upload.core.validation.report import FileReport

BATCH_ENTRIES_MAX = 64
BATCH_BYTES_MAX = 4 * 1024 * 1024
"""The most files, and bytes of small files, that one `prepare` or one validation takes: memory for two batches of
them."""


class PrepareRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A file to get ready. `planned_bytes` is its size as planned; `checks_content` asks for a report.

    `expected` is the version that is planned, None for any: see `Reader.source`.
    """

    path: str
    purpose: str
    planned_bytes: int
    checks_content: bool = False
    expected: Fingerprint | None = None


class PreparedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is ready to be sent, and that its sender holds under `number`.

    `content_hash` is set where the whole file was read and hashed, `report` where its content was checked. `agent` is the agent
    that holds it, None for this process.
    """

    number: int
    fingerprint: Fingerprint
    content_hash: str | None = None
    report: FileReport | None = None
    agent: str | None = None


class UploadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request for one file. `path` is for displays only.

    `ask_first` sends the head alone, with `Expect: 100-continue`, and the body once the server wants it: a server
    that refuses a body and closes at once can then be understood (RFC 9110, section 10.1.1).
    """

    attempt_id: int
    path: str
    sent_name: str
    purpose: str
    fields: tuple[tuple[str, str], ...] = ()
    ask_first: bool = False


class BundleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request for several files, which all have the purpose and the `fields` of the first."""

    members: tuple[UploadRequest, ...]

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """The form's fields."""
        return self.members[0].fields


class UploadReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a request ended, and what it put on the wire. `checked` is what was found in a content on its way."""

    outcome: Outcome
    sent: SentBody
    checked: FileReport | None = None


class BundleReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a request for several files ended, and what it put on the wire of each, in order."""

    answer: BundleAnswer
    sent: tuple[SentBody, ...]


class Sender(Protocol):
    """Prepares files and makes requests. Every prepared file is either sent once or dropped."""

    @property
    def busy_count(self) -> int:
        """How many calls wait for a disk, a process or the server now."""

    @property
    def wire_bytes(self) -> int:
        """Bytes of all bodies that were handed over, also of attempts that failed."""

    @property
    def partial_bytes(self) -> int:
        """Bytes of bodies in flight that were handed over."""

    async def prepare(self, requests: Sequence[PrepareRequest]) -> list[PreparedFile | SourceError]:
        """Get files ready; one that cannot be read has its error in its place."""

    def holds(self, number: int) -> bool:
        """Whether a prepared file can still be sent; one that cannot is prepared anew."""

    async def drop(self, number: int) -> None:
        """Release a prepared file that will not be sent."""

    async def send(self, number: int, request: UploadRequest) -> UploadReport:
        """Send a prepared file in one request. Failures are outcomes, not exceptions.

        When the calling task is cancelled the request is dropped; `cancelled` then has its report.
        """

    async def send_bundle(self, numbers: Sequence[int], request: BundleRequest) -> BundleReport:
        """Send several prepared files, which were all read whole, in one request; as `send` otherwise.

        `cancelled_bundle` has what is known after a cancellation.
        """

    def cancelled(self, attempt_id: int) -> UploadReport | None:
        """Return, once, what is known of a request whose task was cancelled; None where none began."""

    def cancelled_bundle(self, attempt_id: int) -> BundleReport | None:
        """Return the same for a bundle, by its first attempt."""

    async def hash_content(
        self,
        path: str,
        function: HashFunction,
        *,
        expected: Fingerprint | None = None,
        ranges: Sequence[ByteRange] = (),
    ) -> tuple[str, Fingerprint]:
        """Hash a file as it is now, only some `ranges` of it where any are given. Raises SourceError, also for a file
        that is not the `expected` version."""

    def bodies(self) -> list[BodyNow]:
        """Return the state of the requests in flight, in no order."""

    def agents(self) -> list[AgentNow]:
        """Return the state of the agents at work, none for a sender that needs none."""

    def end_all(self, reason: str) -> None:
        """Abort every request in flight; each `send` returns with what is known of its body."""

    def has_time_left(self, grace_s: float) -> bool:
        """Whether a request in flight has not yet outlived its own limits by `grace_s`."""
