"""Records entries whose file could not be sent as it is, or not even be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.model import EntryState
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.columns import FINGERPRINT, SET_FINGERPRINT, from_fingerprint, optional_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.model import Entry, Fingerprint
    from bulk_upload.edge.ledger.store import LedgerStore

_NO_FINGERPRINT = (None,) * len(FINGERPRINT)


class Unreadable(NamedTuple):
    """An entry without a usable file, and why. `state` is failed, or pending where the file system is at fault."""

    entry: Entry
    state: EntryState
    reason: str


def settle_failed(
    store: LedgerStore, entry_id: int, fingerprint: Fingerprint | None, *, reason: str, utc_s: float
) -> None:
    """Record that an entry failed here, and with which version of its file.

    Another version will be sent. Where there is none, because the file could not be read, any version will be.
    """
    store.settle(entry_id, EntryState.FAILED_LOCAL, reason=reason, utc_s=utc_s)
    columns = _NO_FINGERPRINT if fingerprint is None else from_fingerprint(fingerprint)
    store.connection.execute(
        f"UPDATE entries SET {SET_FINGERPRINT}, http_status = NULL WHERE entry_id = ?",
        (*columns, entry_id),
    )


def record_unreadable(store: LedgerStore, entries: Sequence[Unreadable], *, utc_s: float) -> None:
    """Record entries whose file could not be used when the run was planned; what is known already stays as it is."""
    store.register([one.entry for one in entries], utc_s=utc_s)
    store.connection.executemany(
        "UPDATE entries SET state = :state, reason = :reason, settled_utc = :settled_utc, http_status = NULL,"
        f" {', '.join(f'{one} = NULL' for one in FINGERPRINT)}"
        " WHERE key = :key AND NOT (state = :state AND size IS NULL AND reason IS :reason)",
        [
            {
                "key": one.entry.key,
                "state": one.state.value,
                "reason": optional_text(one.reason),
                "settled_utc": utc_text(utc_s) if one.state.settled else None,
            }
            for one in entries
        ],
    )
