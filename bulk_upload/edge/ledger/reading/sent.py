"""What attempts of this ledger sent: to compare files at the server with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.text.name_forms import stored_forms, twin_form
from bulk_upload.core.text.timestamps import utc_seconds
from bulk_upload.edge.ledger.columns import content_hash_of, fingerprint_of, to_fingerprint, to_path
from bulk_upload.edge.ledger.owned_ids import LIVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.model import Fingerprint, ListedFile
    from bulk_upload.edge.ledger.store import LedgerStore

RECENT_ATTEMPTS = 10_000
"""Older attempts are not compared with what others store now: reading them all would hold up a large run."""

_Look = tuple[str | None, int | None, str | None]
"""Name, size and purpose of a file as they are compared."""

RECENT_RECEIPTS = 1_000
OWN_FILES_MAX = 3


class SentContent(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt sent: a version of the file at `path`, and its hash where that is known. Times are ours."""

    path: str
    fingerprint: Fingerprint
    content_hash: str | None
    began_utc_s: float
    ended_utc_s: float


class OwnFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file at the server that a receipt of this ledger is for, and what was sent."""

    file_id: str
    path: str
    file_bytes: int
    content_hash: str


class SecondCopySeen(msgspec.Struct, frozen=True, kw_only=True):
    """A listed file without a receipt that looks like one that this ledger has a receipt for, and what that sent."""

    file: ListedFile
    path: str
    file_bytes: int
    content_hash: str | None


def sent_content(store: LedgerStore, attempt_id: int) -> SentContent:
    """Return what an attempt sent."""
    row = store.connection.execute(
        f"SELECT e.path, {fingerprint_of('a')}, {content_hash_of('a')}, coalesce(a.began_utc, a.intent_utc),"
        " a.ended_utc"
        " FROM attempts a JOIN entries e USING (entry_id) WHERE attempt_id = ?",
        (attempt_id,),
    ).fetchone()
    fingerprint = None if row is None else to_fingerprint(row[1:7])
    if row is None or fingerprint is None:
        raise LookupError(f"no attempt {attempt_id}")
    began_utc_s = utc_seconds(row[8]) or 0.0
    return SentContent(
        path=to_path(row[0]),
        fingerprint=fingerprint,
        content_hash=row[7],
        began_utc_s=began_utc_s,
        ended_utc_s=utc_seconds(row[9]) or began_utc_s,
    )


def own_files(store: LedgerStore) -> list[OwnFile]:
    """Return the smallest of the newest files that this ledger has receipts for, by their uploads' own answers."""
    rows = store.connection.execute(
        f"SELECT r.file_id, e.path, r.bytes, {content_hash_of('r')} FROM (SELECT * FROM receipts ORDER BY receipt_id DESC"
        f" LIMIT {RECENT_RECEIPTS}) r JOIN entries e USING (entry_id)"
        f" WHERE r.obtained = 'answered' AND {content_hash_of('r')} IS NOT NULL AND r.superseded_utc IS NULL"
        " AND r.withdrawn_utc IS NULL AND r.bytes > 0"
        f" AND {LIVE.format(ledger='main')} ORDER BY r.bytes, r.receipt_id LIMIT {OWN_FILES_MAX}"
    )
    return [
        OwnFile(file_id=row[0], path=to_path(row[1]), file_bytes=row[2], content_hash=row[3]) for row in rows
    ]


def second_copies_seen(
    store: LedgerStore, files: Sequence[ListedFile], *, respelt: bool = False
) -> list[SecondCopySeen]:
    """Return those of some listed files that no attempt of this ledger explains, though one with a receipt sent their like.

    An attempt without an answer, or still in flight, explains a file of its name. Where the server writes names or
    purposes in a form of its own (`respelt`), names that it may make one name of are one, and purposes are not compared.
    """
    known = store.claimed([one.file_id for one in files])
    unowned = [one for one in files if one.file_id not in known]
    if not unowned:
        return []
    looks = [(one, _looks(one, respelt=respelt)) for one in unowned]
    wanted = frozenset().union(*(keys for _, keys in looks))
    sent: dict[_Look, tuple[str, str | None]] = {}
    explained = set()
    for path, name, size, purpose, outcome, content_hash in store.connection.execute(
        f"SELECT e.path, a.sent_name, a.size, e.purpose, a.outcome, {content_hash_of('a')} FROM attempts a JOIN entries e USING (entry_id)"
        " WHERE a.attempt_id > (SELECT max(attempt_id) FROM attempts) - ?",
        (RECENT_ATTEMPTS,),
    ):
        key = (twin_form(name), size, None) if respelt else (name, size, purpose)
        if key not in wanted:
            continue
        if outcome == "accepted":
            sent[key] = to_path(path), content_hash
        elif outcome in (None, "in_doubt"):
            explained.add(key)
    seen = []
    for one, keys in looks:
        like = sorted(keys & sent.keys(), key=str)
        if like and not keys & explained:
            path, content_hash = sent[like[0]]
            seen.append(
                SecondCopySeen(file=one, path=path, file_bytes=one.bytes or 0, content_hash=content_hash)
            )
    return seen


def _looks(file: ListedFile, *, respelt: bool) -> frozenset[_Look]:
    """Return what attempts may have sent whose file is shown like this."""
    if not respelt or file.filename is None:
        return frozenset({(file.filename, file.bytes, file.purpose)})
    return frozenset((form, file.bytes, None) for form in stored_forms(file.filename))
