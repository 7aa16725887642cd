"""What `verify` says at its end."""

from __future__ import annotations

from collections import Counter

from bulk_upload.cli.commands import verify
from bulk_upload.core.run.verify import DifferenceKind, Standing
from bulk_upload.engine.after.verify import Verified


def test_a_server_without_a_list_is_not_said_to_have_none_of_the_files() -> None:
    """Each receipt was looked up, and what else is there cannot be seen."""
    verified = Verified(receipt_count=3, has_list=False)
    lines = verify._summary(verified, Counter(), 0, 0, {}, content=False)
    assert lines == [
        "Receipts: 3. Each was looked up: this server has no list, so other files of this job cannot be seen.",
        "Every receipt matches the server.",
    ]
    assert verify._progress(Verified(has_list=False), lambda: (5, 500), content=False).doing == "verifying"


def test_what_could_not_be_compared_is_said_once() -> None:
    """Contents that the server refuses, and names that it does not keep, are no differences."""
    verified = Verified(
        receipt_count=3, listed_count=3, refused_count=2, refused_reason="HTTP 400: no", has_names=False
    )
    lines = verify._summary(verified, Counter(), 0, 0, {}, content=True)
    assert lines[1:3] == [
        "Not compared, because the server does not return their content: 2. The first: HTTP 400: no",
        "Names were not compared: the profile says that the server does not keep them.",
    ]


def test_what_is_missing_is_explained_by_what_its_receipt_is() -> None:
    """`--withdraw` is advised only for receipts that it withdraws."""

    def remedies(standing: Standing) -> list[str]:
        verified, counts = Verified(receipt_count=3), Counter({DifferenceKind.MISSING: 2})
        return verify._summary(verified, counts, 0, 0, {standing: 2}, content=False)[2:]

    advised = {one for one in Standing if "--withdraw" in "".join(remedies(one))}
    assert advised == {Standing.CURRENT, Standing.DROPPED}
    assert remedies(Standing.SUPERSEDED) == [
        "  missing: 2 of older versions of files that were uploaded again: nothing is left to do"
    ]


def test_a_retry_is_advised_only_for_what_the_manifest_has() -> None:
    """No run sends the files of entries that it no longer has."""
    assert verify._withdrawn(0, 1, missing_count=1) == [
        "Withdrawn: 1 of entries that the manifest no longer has; no run sends these."
    ]
    assert verify._withdrawn(2, 0, missing_count=3) == [
        "Withdrawn: 2. `bulk-upload run --retry withdrawn` sends these files again.",
        "Kept: 1 of older versions, of entries that are not accepted now, or too new to count as gone.",
    ]
