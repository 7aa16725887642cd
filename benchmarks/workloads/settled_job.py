"""Makes a job that has nothing left to do: files, a manifest and a ledger in which every entry is accepted.

The ledger is filled through the product's own store, in large transactions, with the rows a real run leaves: an
attempt, a receipt and a settled entry for each file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import time
from itertools import islice
from typing import TYPE_CHECKING

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.manifest.jsonl import jsonl_line
from bulk_upload.core.model import Accepted, Entry, Fingerprint, SentBody
from bulk_upload.core.run.records import AttemptEnd, Intent
from bulk_upload.edge.ledger import JobIdentity, LedgerStore
from bulk_upload.edge.ledger.file.identity import claim
from bulk_upload.edge.ledger.file.opening import open_for_writing
from bulk_upload.exit_status import ExitStatus
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDPOINT = "http://127.0.0.1:8099"
"""Whose ledger it is; nobody has to listen there, for nothing is sent."""

FILES_PER_FOLDER = 1000
ENTRIES_PER_COMMIT = 10_000
PURPOSES = ("pre-train", "fine-tune")
MANIFEST = "job.jsonl"
LEDGER = "job.ledger.db"
_COMPLETE = "complete"


def settled_job(folder: str, *, entry_count: int) -> None:
    """Make the job in `folder`, unless it is there. A million empty files take about 6 GB and some minutes."""
    root = os.path.realpath(folder)
    complete = os.path.join(root, _COMPLETE)
    if os.path.exists(complete):
        return
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    connection = open_for_writing(os.path.join(root, LEDGER))
    # Only here: what was interrupted is made anew.
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -262144")
    store = LedgerStore(connection)
    now_utc_s = time.time()
    connection.execute("BEGIN")
    claim(connection, _identity(root), moved_root=False, utc_s=now_utc_s)
    store.begin_run(version=__version__, utc_s=now_utc_s)
    connection.execute("COMMIT")
    entries = _entries(entry_count)
    with open(os.path.join(root, MANIFEST), "wb") as manifest:
        while group := list(islice(entries, ENTRIES_PER_COMMIT)):
            manifest.writelines(jsonl_line(one) for one in group)
            files = [_make_file(os.path.join(root, one.path)) for one in group]
            connection.execute("BEGIN")
            _accept(connection, store, list(zip(group, files, strict=True)))
            connection.execute("COMMIT")
    connection.execute("BEGIN")
    store.end_run(exit_status=ExitStatus.DONE, utc_s=time.time())
    connection.execute("COMMIT")
    connection.close()
    with open(complete, "xb"):
        pass


def _identity(root: str) -> JobIdentity:
    return JobIdentity(profile=FLOW.name, endpoint=ENDPOINT, team=None, root=root)


def _entries(entry_count: int) -> Iterator[Entry]:
    for number in range(entry_count):
        path = f"corpus/part-{number // FILES_PER_FOLDER:05}/document-{number:07}.jsonl"
        yield Entry(path=path, purpose=PURPOSES[number % len(PURPOSES)], line_no=number + 1)


def _make_file(path: str) -> Fingerprint:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path))
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
    status = os.fstat(descriptor)
    os.close(descriptor)
    return Fingerprint(size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)


def _accept(
    connection: sqlite3.Connection, store: LedgerStore, group: list[tuple[Entry, Fingerprint]]
) -> None:
    now_utc_s = time.time()
    store.register([entry for entry, _ in group], utc_s=now_utc_s)
    (last_id,) = connection.execute("SELECT max(entry_id) FROM entries").fetchone()
    first_id = last_id - len(group) + 1
    intents = [
        Intent(
            entry_id=entry_id,
            attempt_no=1,
            sent_name=os.path.basename(entry.path),
            fingerprint=fingerprint,
            at_utc_s=now_utc_s,
        )
        for entry_id, (entry, fingerprint) in enumerate(group, start=first_id)
    ]
    for attempt_id, intent, (entry, fingerprint) in zip(store.intend(intents), intents, group, strict=True):
        digest = hashlib.sha256(entry.path.encode()).hexdigest()
        sent = SentBody(
            sent_name=intent.sent_name,
            purpose=entry.purpose,
            file_bytes=fingerprint.size,
            complete=True,
            content_hash=digest,
            fingerprint=fingerprint,
        )
        outcome = Accepted(file_id=f"file-{digest[:32]}", http_status=200, size_confirmed=True)
        store.conclude(
            AttemptEnd(
                attempt_id=attempt_id,
                entry_id=intent.entry_id,
                outcome=outcome,
                sent=sent,
                at_utc_s=now_utc_s,
            )
        )
