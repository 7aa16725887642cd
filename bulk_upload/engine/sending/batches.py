"""Entries that are got ready together, and what is read for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import msgspec

from bulk_upload.core.run.sender import BATCH_ENTRIES_MAX, PrepareRequest
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.engine.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.run.planned import PlannedEntry

BATCH_LARGE_MAX = 16
"""Fewer large files than small ones are intended ahead: after a crash it is unknown whether an intent was acted on."""


class Batch(msgspec.Struct, eq=False):
    """Uploads in order; of those that may be sent as they are, the `small` ones with what is to be read, and the `large`
    ones. `is_read` is set once every small one has been read, or will not be."""

    uploads: list[Upload]
    small: list[tuple[Upload, PrepareRequest]] = msgspec.field(default_factory=list)
    large: list[Upload] = msgspec.field(default_factory=list)
    is_read: anyio.Event = msgspec.field(default_factory=anyio.Event)


def batches_of(page: list[PlannedEntry]) -> Iterator[Batch]:
    """Yield batches of entries in order, as many and with as many large files as are prepared at once."""
    uploads: list[Upload] = []
    large_count = 0
    for planned in page:
        is_large = planned.fingerprint is not None and planned.fingerprint.size > SMALL_FILE_BYTES_MAX
        if len(uploads) == BATCH_ENTRIES_MAX or (is_large and large_count == BATCH_LARGE_MAX):
            yield Batch(uploads)
            uploads, large_count = [], 0
        uploads.append(_upload(planned))
        large_count += is_large
    if uploads:
        yield Batch(uploads)


def prepare_request(upload: Upload, *, checks_content: bool) -> PrepareRequest:
    """Return what a sender needs to prepare the file of an upload."""
    entry = upload.planned.entry
    return PrepareRequest(
        path=entry.path,
        purpose=entry.purpose,
        planned_bytes=upload.fingerprint.size,
        checks_content=checks_content,
        expected=upload.fingerprint,
    )


def _upload(planned: PlannedEntry) -> Upload:
    if planned.known is None or planned.fingerprint is None:
        raise AssertionError("only registered entries with a file are sent")
    return Upload(
        planned=planned,
        entry_id=planned.known.entry_id,
        fingerprint=planned.fingerprint,
        checked=planned.checked,
    )
