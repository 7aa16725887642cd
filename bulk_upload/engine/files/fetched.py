"""Fetches the content of one file, checked against what is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.text.printable import printable
from bulk_upload.errors import ServerUnusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.model import ListedFile
    from bulk_upload.engine.doubt.inquiry import ContentInquiry


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What was written; `is_checked` says whether the server reports the size."""

    file_bytes: int
    sha256: str
    is_checked: bool


async def fetch(
    inquiry: ContentInquiry,
    file: ListedFile,
    write: Callable[[bytes], object],
    *,
    restart: Callable[[], object] | None,
    sha256: str | None = None,
) -> Fetched:
    """Write a file's content. `restart` takes back what was written, None where that is impossible.

    Raises ServerUnusable where the server returns no content, one of another size than it lists, or another hash than
    `sha256`, which its receipt has; and what Inquiry raises. What was written then is not the file.
    """
    back = await inquiry.download(file.file_id, write, file_bytes=file.bytes, restart=restart)
    if back.sha256 is None or back.total_bytes is None:
        raise ServerUnusable(
            f"{file.file_id} cannot be fetched: {printable(back.reason)}",
            hint="servers may return contents of some files only; `files ls` shows its purpose",
        )
    if file.bytes is not None and back.total_bytes != file.bytes:
        raise ServerUnusable(
            f"{file.file_id} has {file.bytes:,} bytes by the server's list, and its content has "
            f"{'more' if back.total_bytes > file.bytes else f'{back.total_bytes:,}'}",
            hint="run the same command again; if that does not help, the server's file is damaged",
        )
    if sha256 is not None and back.sha256 != sha256:
        raise ServerUnusable(
            f"the content of {file.file_id} is not what was sent: its sha256 is {back.sha256}, the receipt's {sha256}",
            hint="`bulk-upload verify LEDGER --content` compares all files of the job",
        )
    return Fetched(file_bytes=back.total_bytes, sha256=back.sha256, is_checked=file.bytes is not None)
