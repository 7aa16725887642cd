"""What `undo` does to files whose id did not come with the answer to their upload."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from bulk_upload.core.model import EntryState, ReceiptOrigin
from bulk_upload.edge.ledger import Deleted
from bulk_upload.edge.ledger.deletions import current_receipt
from bulk_upload.edge.ledger.withdrawals import withdraw_receipt
from bulk_upload.engine.after.undo import ADOPTED, Undoing, UndoScope
from bulk_upload.engine.doubt.api_retry import ApiRetry
from bulk_upload.engine.doubt.inquiry import Inquiry
from tests.edge.ledger.stage import LOST, START_S, Store, accepted, entry, stored
from tests.engine.after.hosts import Server, Steps
from tests.fakes.virtual_time import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.after.undo import Undone


def a_job(store: Store, server: Server) -> None:
    """Three accepted entries: `a` by its answer, `b` from the list, `c` by a person; `d` has a withdrawn receipt."""
    a, b, c, d = store.known(*(entry(name) for name in "abcd"))
    for one in ("file-a", "file-b", "file-c", "file-d"):
        server.store(one, 0)
    store.tried(a, accepted("file-a"))
    for entry_id, file_id, origin in (
        (b, "file-b", ReceiptOrigin.RECONCILED),
        (c, "file-c", ReceiptOrigin.ADOPTED),
    ):
        store.tried(entry_id, LOST)
        (doubt,) = store.open_doubts()
        assert store.adopt(doubt, server.files[file_id], content_hash=None, utc_s=START_S, obtained=origin)
    store.tried(d, accepted("file-d"))
    receipt = current_receipt(store, entry_id=d)
    assert receipt is not None
    assert withdraw_receipt(
        store, receipt, state=EntryState.IN_DOUBT, reason="another's", decided_by="test", utc_s=START_S
    )


def undoing(store: Store, server: Server, on_undone: Callable[[Undone], None]) -> Undoing:
    """Return what deletes, one file at a time."""
    return Undoing(
        ledger=cast("Ledger[LedgerStore]", Steps(store)),
        inquiry=Inquiry(server, ApiRetry(VirtualClock())),
        clock=VirtualClock(),
        asked_by="test",
        on_undone=on_undone,
        questions_max=1,
    )


async def test_adopted_files_are_kept_and_named(tmp_path: Path) -> None:
    """Only the file that the answer named is deleted; that of a withdrawn receipt is not even named."""
    server, undone = Server(), list["Undone"]()
    with stored(tmp_path / "a") as store:
        a_job(store, server)
        one = undoing(store, server, undone.append)
        assert await one.total(UndoScope.ALL, adopted=False) == (1, 100)
        assert await one.total(UndoScope.ALL, adopted=True) == (2, 200)
        await one.receipts(UndoScope.ALL)
    assert [(one.file_id, one.outcome, one.reason) for one in undone] == [
        ("file-b", Deleted.KEPT, ADOPTED),
        ("file-c", Deleted.KEPT, ADOPTED),
        ("file-a", Deleted.DELETED, None),
    ]
    assert set(server.files) == {"file-b", "file-c", "file-d"}


async def test_adopted_files_go_first_where_a_person_says_so(tmp_path: Path) -> None:
    """In the order in which they are listed before the question."""
    server, undone = Server(), list["Undone"]()
    with stored(tmp_path / "a") as store:
        a_job(store, server)
        one = undoing(store, server, undone.append)
        listed = [receipt.file_id async for receipt in one.preview(UndoScope.ALL, adopted=True)]
        await one.receipts(UndoScope.ALL, adopted=True)
    assert listed == ["file-b", "file-c"]
    assert [one.file_id for one in undone] == ["file-b", "file-c", "file-a"]
    assert set(server.files) == {"file-d"}
