"""What validators of other sources have of the one of files on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from bulk_upload.core.run.source import ContentCheck
    from bulk_upload.edge.validation.by_blocks import BlockCheck
    from bulk_upload.engine.validation.validating import CheckTarget, Validating

Files = TypeVar("Files", bound="Validating")


class BesideFiles(Generic[Files]):
    """Answers of a validator that do not depend on where contents come from: `files` gives them."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def rules(self, purpose: str) -> str:
        """Return the version of the rules for a purpose."""
        return self._files.rules(purpose)

    def checks_when_read(self, target: CheckTarget, byte_count: int) -> bool:
        """Whether a look at the content will do for a small one, when somebody reads it to send it."""
        return self._files.checks_when_read(target, byte_count)

    def content_check(self, target: CheckTarget) -> ContentCheck:
        """Return what checks the content of such a file."""
        return self._files.content_check(target)

    def block_check(self, target: CheckTarget) -> BlockCheck:
        """Return what checks such a content as it passes by."""
        return self._files.block_check(target)
