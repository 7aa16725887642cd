"""What a run needs of whatever checks files before they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.run.source import ContentCheck, SourceError
    from bulk_upload.core.validation.report import FileReport
    from bulk_upload.edge.validation.by_blocks import BlockCheck


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in one version of a file."""

    report: FileReport
    fingerprint: Fingerprint


class CheckTarget(NamedTuple):
    """A file to check, and for which purpose."""

    path: str
    purpose: str


class Validating(Protocol):
    """What a run needs of whatever checks files."""

    def rules(self, purpose: str) -> str:
        """Return the version of the rules for a purpose."""

    def checks_when_read(self, target: CheckTarget, byte_count: int) -> bool:
        """Whether a look at the content will do for a small file, when somebody reads it to send it."""

    def content_check(self, target: CheckTarget) -> ContentCheck:
        """Return what checks the content of such a file."""

    def block_check(self, target: CheckTarget) -> BlockCheck:
        """Return what checks such a content as it passes by."""

    async def check_all(
        self, targets: Sequence[CheckTarget], *, are_small: bool
    ) -> list[Checked | SourceError]:
        """Check files; one that cannot be read has its error in its place."""
