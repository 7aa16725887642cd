"""What distinguishes two versions of an object, and what a plan does about it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bulk_upload.core.model import EntryState, Fingerprint
from bulk_upload.core.run.plan import KnownEntry, Step, plan_entry

SENT = Fingerprint(size=5, mtime_ns=1, inode=0, etag="e", version="v")
WEAK = replace(SENT, etag="W/e", version=None)
NONE = replace(SENT, etag=None, version=None)


@pytest.mark.parametrize(
    ("sent", "now", "step"),
    [
        (SENT, SENT, Step.SETTLED),
        (SENT, replace(SENT, mtime_ns=9), Step.SETTLED),
        (SENT, replace(SENT, version=None, mtime_ns=9), Step.SETTLED),
        (SENT, replace(SENT, version="w", mtime_ns=9), Step.SETTLED),
        (SENT, replace(SENT, etag="other", mtime_ns=9), Step.SETTLED),
        (SENT, replace(SENT, etag="other", version="w"), Step.COMPARE),
        (SENT, replace(SENT, etag="other", version=None), Step.COMPARE),
        (SENT, replace(SENT, size=6), Step.SEND),
        (SENT, replace(SENT, etag="other", version=None, size=6), Step.SEND),
        (WEAK, WEAK, Step.SETTLED),
        (WEAK, replace(WEAK, mtime_ns=9), Step.COMPARE),
        (WEAK, replace(WEAK, etag="W/other"), Step.COMPARE),
        (WEAK, replace(WEAK, etag="e"), Step.COMPARE),
        (NONE, NONE, Step.SETTLED),
        (NONE, replace(NONE, mtime_ns=9), Step.COMPARE),
        (NONE, replace(NONE, etag="e"), Step.COMPARE),
        (NONE, replace(NONE, size=6), Step.SEND),
    ],
)
def test_since_the_receipt(sent: Fingerprint, now: Fingerprint, step: Step) -> None:
    """An equal version or strong tag settles, another size is sent, everything else of equal size is compared."""
    known = KnownEntry(entry_id=1, state=EntryState.ACCEPTED, fingerprint=sent)
    assert plan_entry(known, now).step is step
    assert now.same_version(sent) is sent.same_version(now) is (step is Step.SETTLED)


def test_a_file_is_no_object() -> None:
    """Files are compared as before: an inode or a time that is another one makes another version."""
    file = Fingerprint(size=5, mtime_ns=1, inode=7, ctime_ns=3)
    assert file.same_version(replace(file, ctime_ns=None))
    assert not file.same_version(replace(file, inode=8))
    assert not file.same_version(replace(file, etag="e"))
