"""What a person may say about an entry in doubt."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bulk_upload.core.model import ListedFile
from bulk_upload.core.run.reconcile import Doubt
from bulk_upload.core.run.resolve import why_not_adopted

DOUBT = Doubt(
    entry_id=1,
    attempt_id=1,
    sent_name="f 1.jsonl",
    file_bytes=10,
    purpose="fine-tune",
    sent_at_utc_s=0.0,
    settles_at_utc_s=1.0,
    candidate_id="file-answered",
)
OURS = ListedFile(file_id="file-1", filename="f 1.jsonl", bytes=10, purpose="fine-tune")


@pytest.mark.parametrize(
    ("file", "word"),
    [
        (OURS, None),
        (ListedFile(file_id="file-1"), None),
        (replace(OURS, filename="f_1.jsonl", purpose="finetune"), None),
        (replace(OURS, filename="other.jsonl"), "file name"),
        (replace(OURS, filename="other.jsonl", purpose="finetune"), "file name"),
        (replace(OURS, bytes=11), "size"),
        (replace(OURS, file_id="file-answered", filename="other.jsonl", purpose="finetune"), None),
        (replace(OURS, file_id="file-answered", bytes=11), "size"),
    ],
)
def test_what_a_person_may_adopt(file: ListedFile, word: str | None) -> None:
    """A person may say that the server changed name and purpose, of a like name or the answer's own id; never a size."""
    against = why_not_adopted(DOUBT, file)
    assert (against is None) == (word is None)
    assert word is None or word in str(against)
