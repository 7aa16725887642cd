"""Jobs that have files of a folder already: their ledgers know what was sent, and a new ledger would not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.manifest.paths import is_beneath
from bulk_upload.core.run.job import folder_ledger_paths
from bulk_upload.edge.folder.place import FolderPlace
from bulk_upload.edge.ledger import RecordedPurposes
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.run.job import Job
    from bulk_upload.edge.ledger import LedgerOrigin


def place_in_job(place: FolderPlace, job: Job, connection: Connection) -> FolderPlace:
    """Return a place as a part of the job that has its files; unchanged where there is none.

    That is the job of the nearest folder above whose ledger has entries beneath the place: `data/corpus` belongs to the job
    of `data` once that was uploaded.
    """
    for folder in _upward(place.root):
        for ledger in folder_ledger_paths(job, connection, root=folder):
            origin = _origin_of(ledger)
            if origin is None or origin.root != folder:
                continue
            if folder == place.root:
                return place
            beneath = os.path.relpath(place.root, folder)
            with RecordedPurposes(ledger) as recorded:
                if recorded.has_beneath(beneath):
                    return _moved(place, folder, beneath)
    return place


class OtherLedger(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger in a folder, of another job that may have sent files of it to the same server."""

    path: str
    root: str


def other_ledgers(
    paths: Iterable[str], root: str, connection: Connection, *, ours: str
) -> Iterator[OtherLedger]:
    """Yield those of some ledgers whose jobs may have sent files beneath `root` to this server; `ours` is not one."""
    for path in paths:
        if os.path.realpath(path) == os.path.realpath(ours):
            continue
        origin = _origin_of(path)
        if origin is None or origin.endpoint != connection.endpoint or not origin.may_have_sent:
            continue
        if origin.root == root or is_beneath(origin.root, root):
            yield OtherLedger(path=path, root=origin.root)


def _upward(folder: str) -> Iterator[str]:
    yield folder
    while (above := os.path.dirname(folder)) != folder:
        folder = above
        yield folder


def _origin_of(ledger: str) -> LedgerOrigin | None:
    """Return what a ledger is for, None where there is no such ledger."""
    if not os.path.exists(ledger):
        return None
    try:
        with RecordedPurposes(ledger) as recorded:
            return recorded.origin()
    except LedgerUnusable:
        # If it is ours, the run says what is wrong with it.
        return None


def _moved(place: FolderPlace, folder: str, beneath: str) -> FolderPlace:
    within = tuple(f"{beneath}/{one}" for one in place.within) or (beneath,)
    return FolderPlace(root=folder, within=within)
