"""Where a ledger lives: whether its folder exists, which journal fits, and whether the file is still in place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bulk_upload.core.machine.file_systems import file_system_of, journal_for
from bulk_upload.core.text.printable import printable
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from bulk_upload.core.machine.file_systems import Journal

MOUNTS = "/proc/self/mounts"


def require_folder(ledger_path: str) -> None:
    """Raise LedgerUnusable unless the ledger's folder exists."""
    folder = os.path.dirname(os.path.abspath(ledger_path))
    if not os.path.isdir(folder):
        raise LedgerUnusable(
            f"the ledger's folder {printable(folder)} does not exist",
            hint="create it, or choose another with --ledger FILE or --ledger-dir DIR",
        )


def kind_of_place(ledger_path: str, *, mounts: str | None = None) -> str | None:
    """Return the kind of file system a ledger is on, None where unknown (macOS has no such list)."""
    folder = os.path.dirname(os.path.realpath(ledger_path))
    try:
        with open(mounts or MOUNTS, encoding="utf-8", errors="surrogateescape") as lines:
            return file_system_of(folder, lines)
    except OSError:
        return None


def journal_at(ledger_path: str) -> Journal:
    """Return the journal mode for a ledger at its location."""
    return journal_for(kind_of_place(ledger_path))


class FilesInPlace:
    """Watches that a ledger's files keep their names.

    Writes to a file that was moved, replaced or deleted while open go to the old file without any error:
    the next run would find a ledger that lacks what was recorded.
    """

    def __init__(self, ledger_path: str) -> None:
        self._ledger_path = ledger_path
        self._identities = self._look()

    def require(self) -> None:
        """Raise LedgerUnusable when a file is no longer the one that had its name at first."""
        if self._look() != self._identities:
            raise LedgerUnusable(
                f"the ledger {printable(self._ledger_path)} was moved, replaced or deleted during the run",
                hint="restore the ledger and its -wal file under their names before you run again;"
                " without them files may be uploaded twice",
            )

    def _look(self) -> list[tuple[int, int] | None]:
        return [_identity(self._ledger_path + suffix) for suffix in ("", "-wal")]


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino)
