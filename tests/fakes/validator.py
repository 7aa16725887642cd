"""Looks into files in memory in the way `engine.validator.FileValidator` looks into a disk's."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bulk_upload.core.validation.report import Findings
from bulk_upload.core.validation.rules import Complaint
from bulk_upload.edge.files import source_error
from bulk_upload.edge.validation.by_blocks import BlockCheck
from bulk_upload.engine.validation.validating import Checked, CheckTarget

if TYPE_CHECKING:
    from bulk_upload.core.run.source import ContentCheck, SourceError
    from bulk_upload.core.validation.report import FileReport
    from tests.fakes.files import MemoryFiles

BAD = b"BAD"
ODD = b"ODD"
"""Content that begins with these words is invalid, or only worth a warning."""


class FakeBlockCheck(BlockCheck):
    """Keeps what passes by, and looks at it in the end."""

    def __init__(self, look: ContentCheck) -> None:
        self._look = look
        self._content = b""

    def feed(self, block: bytes) -> None:
        """Keep the next block."""
        self._content += block

    def report(self) -> FileReport:
        """Return what was found."""
        return self._look(self._content)

    def close(self) -> None:
        """Nothing was kept on disk."""


class FakeValidator:
    """Finds a file invalid whose content says so.

    Args:
        files: what there is to look into.
        bytes_per_s: how fast; one file at a time, small ones beside a large one.
        rules: what tells the rules apart.
    """

    def __init__(self, files: MemoryFiles, *, bytes_per_s: float = 1e6, rules: str = "1") -> None:
        self.files = files
        self.bytes_per_s = bytes_per_s
        self.rules_now = rules
        self.looked: list[str] = []
        self._large: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    def rules(self, purpose: str) -> str:
        """Return what tells the rules for a purpose from others."""
        return f"{self.rules_now} {purpose}"

    def checks_when_read(self, target: CheckTarget, byte_count: int) -> bool:
        """Whether a look at the content will do: it always does here."""
        return True

    def content_check(self, target: CheckTarget) -> ContentCheck:
        """Return what looks at a content that somebody else reads, in no time."""

        def look(content: bytes) -> FileReport:
            self.looked.append(target.path)
            return _report(target.path, content)

        return look

    def block_check(self, target: CheckTarget) -> FakeBlockCheck:
        """Return what looks at a content as it passes by."""
        return FakeBlockCheck(self.content_check(target))

    async def check_all(
        self, targets: Sequence[CheckTarget], *, are_small: bool
    ) -> list[Checked | SourceError]:
        """Look into files; one that cannot be looked into has its error in its place."""
        if are_small:
            return [await self._check(one.path) for one in targets]
        async with self._lock():
            return [await self._check(one.path) for one in targets]

    def _lock(self) -> asyncio.Lock:
        """Return this run's lock: a run that was killed never gives its own back."""
        loop = asyncio.get_running_loop()
        if self._large is None or self._large[0] is not loop:
            self._large = (loop, asyncio.Lock())
        return self._large[1]

    async def _check(self, path: str) -> Checked | SourceError:
        file = self.files.find(path)
        if file is None or file.errno:
            number = errno.ENOENT if file is None else file.errno
            return source_error(OSError(number, os.strerror(number)))
        self.looked.append(path)
        await asyncio.sleep(len(file.content) / self.bytes_per_s)
        return Checked(report=_report(path, file.content), fingerprint=file.fingerprint)


def _report(path: str, content: bytes) -> FileReport:
    findings = Findings()
    for word, rule in ((BAD, "bad-json"), (ODD, "empty-content")):
        if content.startswith(word):
            findings.add(Complaint(rule, "so it is", "column 3"), where=path, line_no=7)
    return findings.report(line_count=9, byte_count=len(content))
