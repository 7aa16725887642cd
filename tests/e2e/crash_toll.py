"""What many crashes cost, counted from the server's journal and the exported ledger alone."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tests.e2e.stage import Process, Stage
from tests.e2e.trees import Tree
from tests.e2e.witness import Row, row_by_path, sha256_on_disk, stored_of, uploads_of

Shown = tuple[bytes, str | None, str | None, int | None]
"""Path, file id, SHA-256 and size of an accepted entry."""


@dataclass(slots=True, kw_only=True)
class Toll:
    """Totals over many jobs.

    `extra` are files at the server beyond one for each entry, `lost` entries without a receipt although their run
    said that all is done, and ids that were shown and are gone, `wrong` receipts whose id names other bytes.
    """

    seed: int
    jobs: int = 0
    kills: int = 0
    entries: int = 0
    uploads: int = 0
    extra: int = 0
    lost: int = 0
    wrong: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled or mistaken."""
        return self.extra == self.lost == self.wrong == 0

    def check_shown(self, shown: set[Shown], rows: Iterable[Row]) -> None:
        """Count what the command had shown as accepted and the ledger does not say."""
        missing = shown - {(row.path, row.file_id, row.sha256, row.file_bytes) for row in rows}
        self.lost += len(missing)
        assert not missing, f"shown as accepted, and gone: {missing}"

    def take(self, stage: Stage, tree: Tree) -> None:
        """Count a job that is done."""
        stored = stored_of(stage)
        rows = row_by_path(stage)
        on_disk = Counter(sha256_on_disk(tree.full(path)) for path in tree.paths)
        at_server = Counter(str(one.sha256) for one in stored.values())
        self.jobs += 1
        self.entries += len(tree.paths)
        self.uploads += len(uploads_of(stage))
        self.extra += (at_server - on_disk).total()
        self.lost += sum(row.status != "accepted" for row in rows.values()) + len(tree.paths) - len(rows)
        for row in rows.values():
            file = stored.get(row.file_id or "")
            self.wrong += row.file_id is not None and (file is None or file.sha256 != row.sha256)

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.kills} kills on {self.jobs} jobs, {self.entries} entries, "
            f"{self.uploads} uploads, {self.extra} extra, {self.lost} lost, {self.wrong} wrong"
        )


def shown_by(process: Process) -> set[Shown]:
    """Return what `--results -` printed as accepted; the kill may have cut the last line."""
    whole = process.stdout[: process.stdout.rfind("\n") + 1]
    return {
        (os.fsencode(row["path"]), row["file_id"], row["sha256"], row["bytes"])
        for row in map(json.loads, whole.splitlines())
        if row["status"] == "accepted"
    }
