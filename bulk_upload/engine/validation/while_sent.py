"""Checks what is sent from a store on its way: its last block is withheld until the whole is known to be good."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import anyio

from bulk_upload.core.events import DataFindings, Noticed
from bulk_upload.core.machine.shortage import shortage_in
from bulk_upload.core.objects.address import is_address
from bulk_upload.core.run.source import SourceError
from bulk_upload.core.text.printable import printable
from bulk_upload.core.validation.admission import admission_of
from bulk_upload.core.validation.result import validation_result
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.engine.validation.validating import CheckTarget

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.events import Event
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.run.source import FileStream
    from bulk_upload.core.validation.report import FileReport
    from bulk_upload.core.validation.result import ValidationResult
    from bulk_upload.edge.validation.by_blocks import BlockCheck
    from bulk_upload.engine.validation.validating import Validating

_T = TypeVar("_T")

CHECKING_THREADS = 2
"""Checks hold the interpreter most of the time: more of them at once are no faster."""


class CheckedStream:
    """A stream whose end is given out only if its content may be sent.

    Args:
        stream: what is read.
        check: looks at each block.
        refusal: returns why content with a report may not be sent, None where it may.
        turns: how many blocks are checked at once.
    """

    def __init__(
        self,
        stream: FileStream,
        check: BlockCheck,
        *,
        refusal: Callable[[FileReport, Fingerprint], str | None],
        turns: anyio.CapacityLimiter,
    ) -> None:
        self._stream = stream
        self._check = check
        self._refusal = refusal
        self._turns = turns
        self._left_bytes = stream.fingerprint.size
        self.report: FileReport | None = None
        """What was found in the whole content, None before its end."""

    @property
    def fingerprint(self) -> Fingerprint:
        """The version of what is read."""
        return self._stream.fingerprint

    @property
    def content_hash(self) -> str | None:
        """The hash of everything read so far, in hex; None where nothing is hashed."""
        return self._stream.content_hash

    async def read(self) -> bytes:
        """Return the next block, empty at the end.

        Raises SourceError, and in place of the last block where the content may not be sent.
        """
        block = await self._stream.read()
        self._left_bytes -= len(block)
        if self.report is not None:
            return block
        try:
            await self._on_thread(lambda: self._check.feed(block))
            if self._left_bytes <= 0:
                self.report = await self._on_thread(self._check.report)
                reason = self._refusal(self.report, self._stream.fingerprint)
                if reason is not None:
                    raise SourceError(reason, invalid=True)
        except OSError as error:
            raise SourceError(
                f"the object could not be validated, which takes a temporary file: {error.strerror}",
                local_limit=shortage_in(error) is not None,
                transient=True,
            ) from None
        return block

    async def _on_thread(self, act: Callable[[], _T]) -> _T:
        return await anyio.to_thread.run_sync(act, limiter=self._turns, abandon_on_cancel=True)


class SentCheck(NamedTuple):
    """What checks an object on its way, and what returns why it may not be sent."""

    check: BlockCheck
    refusal: Callable[[FileReport, Fingerprint], str | None]


class SentChecks:
    """Which objects are checked on their way, and what was found in them.

    To check an object before it is sent would be to read it from its store twice. A small one is checked when it is read,
    as a file is.

    Args:
        validator: checks; None where nothing is validated.
        sends_invalid: the person wants invalid files sent all the same.
    """

    def __init__(
        self, validator: Validating | None, *, sends_invalid: bool, emit: Callable[[Event], None]
    ) -> None:
        self._validator = validator
        self._sends_invalid = sends_invalid
        self._emit = emit
        self._refused: dict[CheckTarget, ValidationResult] = {}

    def wants(self, path: str, purpose: str, byte_count: int) -> bool:
        """Whether an object of this size is checked on its way."""
        if self._validator is None or not is_address(path):
            return False
        is_small = byte_count <= SMALL_FILE_BYTES_MAX
        return not (is_small and self._validator.checks_when_read(CheckTarget(path, purpose), byte_count))

    def check(self, path: str, purpose: str) -> SentCheck:
        """Return what checks an object that is about to be read."""
        if self._validator is None:
            raise AssertionError("nothing is validated")
        target = CheckTarget(path, purpose)
        return SentCheck(self._validator.block_check(target), partial(self._refusal, self._validator, target))

    def note(self, path: str, purpose: str, report: FileReport, fingerprint: Fingerprint) -> None:
        """Record what somebody else found in an object on its way."""
        if self._validator is not None:
            self._refusal(self._validator, CheckTarget(path, purpose), report, fingerprint)

    def taken_refusal(self, path: str, purpose: str) -> ValidationResult | None:
        """Return, once, what was found in an object that was refused."""
        return self._refused.pop(CheckTarget(path, purpose), None)

    def _refusal(
        self, validator: Validating, target: CheckTarget, report: FileReport, fingerprint: Fingerprint
    ) -> str | None:
        validation = validation_result(report, fingerprint, validator.rules(target.purpose))
        findings = data_findings(target.path, target.purpose, validation)
        if findings is not None:
            self._emit(findings)
        admission = admission_of(validation, sends_invalid=self._sends_invalid)
        if admission.notice is not None:
            self._emit(Noticed(message=admission.notice, path=target.path))
        if admission.may_send:
            return None
        self._refused[target] = validation
        return printable(validation.reason or "invalid")


def data_findings(path: str, purpose: str, validation: ValidationResult) -> DataFindings | None:
    """Return the event of what was found in a file, None where nothing was."""
    if not validation.counts:
        return None
    return DataFindings(
        path=path,
        purpose=purpose,
        line_count=validation.line_count,
        counts=validation.counts,
        first_lines=validation.first_lines,
        convert=validation.convert,
    )
