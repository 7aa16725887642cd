"""The hashes of receipts: one column for each function."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bulk_upload.edge.ledger.owned_ids import have_other_contents
from bulk_upload.edge.ledger.reading.receipts import receipt_of
from tests.edge.ledger.stage import (
    START_S,
    Store,
    accepted,
    attempt_over,
    entry,
    intent,
)

BLAKE3 = f"blake3:{'b' * 64}"


@pytest.mark.parametrize("is_early", [True, False], ids=["with the intent", "with the end"])
@pytest.mark.parametrize("in_group", [True, False], ids=["in a group", "alone"])
def test_a_hash_is_in_the_column_of_its_function(store: Store, in_group: bool, is_early: bool) -> None:
    """`sha256` never holds another hash, and what is read says again which function made it."""
    (one,) = store.known(entry("a"))
    first, last = (BLAKE3, None) if is_early else (None, BLAKE3)
    (attempt_id,) = store.intend([replace(intent(one), content_hash=first)])
    over = attempt_over(attempt_id, one, accepted("id-1"), utc_s=START_S)
    over = replace(over, sent=replace(over.sent, content_hash=last))
    if in_group:
        store.conclude_all([over])
    else:
        store.conclude(over)
    for table in ("attempts", "receipts"):
        assert store.connection.execute(f"SELECT sha256, blake3 FROM {table}").fetchall() == [
            (None, "b" * 64)
        ]
    receipt = receipt_of(store, one)
    assert (receipt.content_hash, receipt.sha256, receipt.blake3) == (BLAKE3, None, "b" * 64)


def test_contents_are_other_ones_only_by_hashes_of_one_function(store: Store) -> None:
    """Two hashes that differ prove that contents do, unless different functions made them."""
    ids = []
    for path, content_hash in {"a": "a" * 64, "b": "b" * 64, "c": BLAKE3, "d": "a" * 64, "e": None}.items():
        ids += store.intend([replace(intent(store.known(entry(path))[0]), content_hash=content_hash)])
    sha_a, sha_b, blake_b, sha_a_again, unknown = ids
    assert have_other_contents(store.connection, [sha_a, sha_b])
    for alike in ([sha_a, sha_a_again], [sha_a, unknown], [sha_a, blake_b], [sha_a, sha_b, blake_b]):
        assert not have_other_contents(store.connection, alike)
