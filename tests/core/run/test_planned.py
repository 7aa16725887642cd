"""An entry beside its ledger row."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bulk_upload.core.model import Entry
from bulk_upload.core.run.plan import Step
from bulk_upload.core.run.planned import PlannedEntry, StepTotal


def test_staged_then_planned() -> None:
    """A staged entry knows nothing of file, ledger or plan until it is given them, as a new value."""
    staged = PlannedEntry(seq=1, entry=Entry(path="a", purpose="pre-train"), sent_name="a")
    assert (staged.fingerprint, staged.known, staged.step, staged.note) == (None, None, None, "")
    planned = replace(staged, step=Step.SEND, note="new")
    assert planned.step is Step.SEND
    assert staged.step is None
    with pytest.raises(AttributeError):
        # mypy refuses it as well: that it fails at run time is what is tested.
        staged.step = Step.SEND  # type: ignore[misc]


def test_total_of_nothing() -> None:
    """A step without entries counts none and no bytes."""
    assert StepTotal() == StepTotal(entry_count=0, file_bytes=0)
