"""What a file that cannot be read means for its entry."""

from __future__ import annotations

import pytest

from bulk_upload.core.model import EntryState, NotSent, SourceFailed
from bulk_upload.core.run.records import state_after
from bulk_upload.core.run.source import SourceError, outcome_of

PENDING, FAILED = EntryState.PENDING, EntryState.FAILED_LOCAL


@pytest.mark.parametrize(
    ("error", "outcome", "state"),
    [
        (SourceError("r"), SourceFailed(reason="r"), FAILED),
        (SourceError("r", transient=True), NotSent(reason="r", transient=True), PENDING),
        (SourceError("r", local_limit=True), NotSent(reason="r", local_limit=True), PENDING),
        # A call that waits for threads that all hang: this machine comes first.
        (SourceError("r", local_limit=True, transient=True), NotSent(reason="r", local_limit=True), PENDING),
    ],
)
def test_only_what_is_the_files_own_settles_its_entry(
    error: SourceError, outcome: SourceFailed | NotSent, state: EntryState
) -> None:
    """A shortage of this machine and a file system that fails leave the entry pending."""
    assert outcome_of(error) == outcome
    assert state_after(outcome) is state
