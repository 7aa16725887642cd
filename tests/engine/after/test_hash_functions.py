"""Receipts whose hashes are of different functions: each is compared with what came back by its own."""

from __future__ import annotations

import sys

import pytest

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.run.verify import LAST, DifferenceKind
from bulk_upload.edge.ledger import Deleted, PlannedDeletion
from bulk_upload.edge.ledger.deletions import ask
from bulk_upload.errors import UsageError
from tests.edge.ledger.stage import START_S
from tests.engine.after.hosts import OTHER_BLAKE3, SENT_BLAKE3, Host, Server


def hashed_with_blake3(host: Host, file_id: str) -> None:
    """Have the receipt of a file, and its attempt, hold a hash of blake3 alone."""
    for table in ("attempts", "receipts"):
        host.store.connection.execute(
            f"UPDATE {table} SET sha256 = NULL, blake3 = ?"
            " WHERE attempt_id = (SELECT attempt_id FROM receipts WHERE file_id = ?)",
            (SENT_BLAKE3.removeprefix("blake3:"), file_id),
        )


async def test_verify_compares_each_receipt_by_its_own_function(host: Host, server: Server) -> None:
    """A SHA-256 and a BLAKE3 in one ledger: what is the same agrees, and what differs is named with its function."""
    pytest.importorskip("blake3")
    for number, file_id in enumerate(("first", "second", "third")):
        host.gets(file_id, number * 100)
    hashed_with_blake3(host, "second")
    hashed_with_blake3(host, "third")
    server.hashes["third"] = (OTHER_BLAKE3,)
    found, verified = await host.verify(FLOW)
    assert [(one.kind, one.file_id) for one in found] == [(DifferenceKind.CONTENT, "third")]
    assert SENT_BLAKE3.replace(":", " ") in found[0].detail
    assert OTHER_BLAKE3.replace(":", " ") in found[0].detail
    assert verified.content_count == 3


async def test_verify_without_the_package_says_what_is_missing(
    host: Host, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is compared; a ledger without such receipts needs nothing."""
    monkeypatch.setitem(sys.modules, "blake3", None)
    host.gets("first", 0)
    assert (await host.verify(FLOW))[0] == []
    hashed_with_blake3(host, "first")
    with pytest.raises(UsageError, match="blake3, which is not installed"):
        await host.verify(FLOW)
    host.store.connection.execute(
        "UPDATE receipts SET withdrawn_utc = settled_utc, withdrawn_reason = 'false'"
    )
    assert (await host.verify(FLOW))[1].content_count == 0


@pytest.mark.parametrize("which", ["own", "copy"])
async def test_a_copy_goes_where_the_receipt_has_a_hash_of_another_function(
    host: Host, server: Server, which: str
) -> None:
    """The lost upload was hashed with one function, the one that was answered with another: one reading shows both."""
    pytest.importorskip("blake3")
    host.loses("copy", 0)
    host.gets("own", 100)
    if which == "own":
        hashed_with_blake3(host, "own")
    else:
        host.store.connection.execute(
            "UPDATE attempts SET sha256 = NULL, blake3 = ? WHERE outcome = 'in_doubt'",
            (SENT_BLAKE3.removeprefix("blake3:"),),
        )
    assert await host.undo() == {"copy": (Deleted.DELETED, None)}
    assert set(server.files) == {"own"}


@pytest.mark.parametrize("is_installed", [True, False])
async def test_a_deletion_begun_earlier_needs_the_function_of_the_receipt(
    host: Host, server: Server, monkeypatch: pytest.MonkeyPatch, is_installed: bool
) -> None:
    """Where it is missing, nothing shows that another file has the content, and the copy stays."""
    if is_installed:
        pytest.importorskip("blake3")
    else:
        monkeypatch.setitem(sys.modules, "blake3", None)
    host.loses("copy", 0)
    host.gets("own", 100)
    hashed_with_blake3(host, "own")
    one = PlannedDeletion(entry_id=host.entry_id, receipt_id=None, file_id="copy")
    ask(host.store, one, asked_by="someone", utc_s=START_S + 200)
    await host.undoing().finish()
    assert host.fates() == {"copy": (Deleted.DELETED, None) if is_installed else (Deleted.KEPT, LAST)}


async def test_duplicates_without_the_package_are_left(
    host: Host, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No copy can be compared: the command ends and names what is missing."""
    monkeypatch.setitem(sys.modules, "blake3", None)
    host.loses("copy", 0)
    host.gets("own", 100)
    host.store.connection.execute("UPDATE attempts SET sha256 = NULL, blake3 = 'cc'")
    with pytest.raises(UsageError, match="not installed"):
        await host.undo()
    assert set(server.files) == {"copy", "own"}
