"""What `verify` says at its end."""

from __future__ import annotations

from collections import Counter

from bulk_upload.cli.commands import verify
from bulk_upload.engine.after.verify import Verified


def test_a_server_without_a_list_is_not_said_to_have_none_of_the_files() -> None:
    """Each receipt was looked up, and what else is there cannot be seen."""
    verified = Verified(receipt_count=3, has_list=False)
    lines = verify._summary(verified, Counter(), 0, 0, content=False)
    assert lines == [
        "Receipts: 3. Each was looked up: this server has no list, so other files of this job cannot be seen.",
        "Every receipt matches the server.",
    ]
    assert verify._progress(Verified(has_list=False), lambda: (5, 500), content=False).doing == "verifying"
