"""Fetches the content of one file, checked against what is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.content_hash import HashFunction, function_of, named, require
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
    content_hash: str | None = None,
) -> Fetched:
    """Write a file's content. `restart` takes back what was written, None where that is impossible.

    Raises ServerUnusable where the server returns no content, one of another size than it lists, or another hash than
    `content_hash`, which its receipt has; UsageError where that cannot be made here; and what Inquiry raises. What was
    written then is not the file.
    """
    sent_with = HashFunction.SHA256 if content_hash is None else function_of(content_hash)
    require(sent_with)
    functions = tuple(one for one in HashFunction if one in (HashFunction.SHA256, sent_with))
    back = await inquiry.download(
        file.file_id, write, file_bytes=file.bytes, functions=functions, restart=restart
    )
    if not back.hashes or back.total_bytes is None:
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
    if content_hash is not None and content_hash not in back.hashes:
        found = back.hashes[functions.index(sent_with)]
        raise ServerUnusable(
            f"the content of {file.file_id} is not what was sent: its {named(found)}, the receipt's {named(content_hash)}",
            hint="`bulk-upload verify LEDGER --content` compares all files of the job",
        )
    return Fetched(file_bytes=back.total_bytes, sha256=back.hashes[0], is_checked=file.bytes is not None)
