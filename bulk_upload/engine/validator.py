"""Looks into files before they are sent: opens them beneath the root, has them checked, and sees that they stay."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from bulk_upload.core.purposes import PURPOSES, Purpose, rules_of, unknown_to_us
from bulk_upload.core.source import SourceError
from bulk_upload.edge.files import fingerprint_of, source_error
from bulk_upload.edge.validation import CheckTask, FileMoved, WorkerLost, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.core.file_report import FileReport
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.edge.source_tree import SourceTree

TRIES_MAX = 3
"""A file that moves while it is looked into, or whose process is lost, is looked into again so many times in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found in one version of a file."""

    report: FileReport
    fingerprint: Fingerprint


class Validating(Protocol):
    """What a run needs of whatever looks into files."""

    def rules(self, purpose: str) -> str:
        """Return what tells the rules for a purpose from others."""

    async def check(self, path: str, purpose: str) -> Checked:
        """Look into a file. Raises SourceError."""


class FileValidator:
    """`Validating` with files on disk.

    Args:
        tree: where they are opened.
        workers: who reads them.
        purposes: what is known of each.
        thorough: see `Checker`.
        on_bytes: hears how many more bytes were read, on any thread.
    """

    def __init__(
        self,
        tree: SourceTree,
        workers: Workers,
        *,
        purposes: Mapping[str, Purpose] = PURPOSES,
        thorough: bool = False,
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        self._tree = tree
        self._workers = workers
        self._purposes = purposes
        self._known = tuple(purposes.values())
        self._thorough = thorough
        self._on_bytes = on_bytes

    def rules(self, purpose: str) -> str:
        """Return what tells the rules for a purpose from others."""
        thorough = "-thorough" if self._thorough else ""
        return f"{rules_of(self._purpose(purpose))}{thorough}"

    def task(self, path: str, purpose: str) -> CheckTask:
        """Return what a file is checked for."""
        return CheckTask(
            path=path, purpose=self._purpose(purpose), known=self._known, thorough=self._thorough
        )

    async def check(self, path: str, purpose: str) -> Checked:
        """Look into a file as it is now. Raises SourceError."""
        task = self.task(path, purpose)
        reason = ""
        for _ in range(TRIES_MAX):
            try:
                looked = await self._workers.check(
                    partial(self._tree.open_regular, path), task, on_bytes=self._on_bytes
                )
            except FileMoved:
                reason = "the file keeps changing while it is validated"
            except WorkerLost as error:
                reason = f"the file could not be validated: {error}"
            except OSError as error:
                raise source_error(error) from error
            else:
                return Checked(report=looked.report, fingerprint=fingerprint_of(looked.status))
        raise SourceError(reason)

    def _purpose(self, name: str) -> Purpose:
        return self._purposes.get(name) or unknown_to_us(name)
