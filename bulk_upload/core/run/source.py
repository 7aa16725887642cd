"""The transport's view of a file: its bytes once, its hash, and a check that it did not change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from bulk_upload.core.model import NotSent, SourceFailed

if TYPE_CHECKING:
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.validation.report import FileReport


class SourceError(Exception):
    """A file cannot be sent as it is; `reason` says why.

    `local_limit` means that this machine is short of descriptors or memory, which is not the file's fault.
    `transient` means that its file system failed, which may pass; see `core.machine.read_errors`. `inaccessible` means
    that it is not there or may not be read, which says nothing about its content. `invalid` means that validation
    found errors in it.
    """

    def __init__(
        self,
        reason: str,
        *,
        local_limit: bool = False,
        transient: bool = False,
        inaccessible: bool = False,
        invalid: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.local_limit = local_limit
        self.transient = transient
        self.inaccessible = inaccessible
        self.invalid = invalid


class SourceChanged(SourceError):
    """Nothing was read: a file is not the version that was asked for. `fingerprint` is the current one."""

    def __init__(self, reason: str, fingerprint: Fingerprint, *, transient: bool = False) -> None:
        super().__init__(reason, transient=transient)
        self.fingerprint = fingerprint


class SourceGrew(SourceChanged):
    """A file that was small when it was planned no longer is: it is to be streamed."""

    def __init__(self, fingerprint: Fingerprint) -> None:
        super().__init__("the file grew since it was planned", fingerprint)


def outcome_of(error: SourceError) -> SourceFailed | NotSent:
    """Return the outcome of an attempt whose file cannot be sent; what is not the file's fault is worth another try."""
    if error.local_limit:
        return NotSent(reason=error.reason, local_limit=True)
    if error.transient:
        return NotSent(reason=error.reason, transient=True)
    return SourceFailed(reason=error.reason, inaccessible=error.inaccessible, invalid=error.invalid)


class LoadedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A small file, read whole, and hashed unless the run hashes nothing; `report` holds the findings about its
    content."""

    content: bytes
    content_hash: str | None
    fingerprint: Fingerprint
    report: FileReport | None = None


ContentCheck = Callable[[bytes], "FileReport"]
"""Checks the whole content of a file; may be called on any thread."""


class FileStream(Protocol):
    """An open file that is read once, front to back."""

    @property
    def fingerprint(self) -> Fingerprint:
        """The file's fingerprint when it was opened; its size is what will be sent."""

    @property
    def content_hash(self) -> str | None:
        """The hash of everything read so far, in hex; None where the run hashes nothing."""

    async def read(self) -> bytes:
        """Return the next block, empty at the end.

        Raises SourceError when the file cannot be read or is no longer the one that was opened; it does so
        at the latest with the last block, so that a body is never completed from a file that changed.
        """


@runtime_checkable
class PassingStream(Protocol):
    """A file whose reading thread can pass on what it reads."""

    def gains_by_passing(self) -> bool:
        """Whether passing on is faster now than returning one block after another."""

    async def pass_on(self, send: Callable[[bytes], int]) -> bytes:
        """Read blocks and give them to `send`, on the thread that reads them, for a moment.

        `send` returns how many bytes it took. Returns the rest of a block that it did not take whole; that is to be sent
        next. Never passes on the last block, which only `read` returns. Raises SourceError as `read` does.
        """


Source = LoadedFile | FileStream
