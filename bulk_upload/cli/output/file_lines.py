"""Lines of `bulk-upload files`: files on the server, and what became of those that were to be deleted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bulk_upload.core.text.printable import human_bytes, printable

if TYPE_CHECKING:
    from bulk_upload.core.model import ListedFile
    from bulk_upload.engine.files.removed import Removed


def text_line(file: ListedFile) -> str:
    """Return a file for a person: id, size, purpose, creation time and name, `?` where the server shows none."""
    size = "?" if file.bytes is None else human_bytes(file.bytes)
    made = file.created_at or "?"
    cells = (file.file_id, f"{size:>9}", f"{file.purpose or '?':<12}", made, file.filename or "?")
    return "  ".join(map(printable, cells)) + "\n"


def json_line(file: ListedFile) -> str:
    """Return a file as a line of JSON, null where the server shows nothing."""
    fields = {
        "file_id": file.file_id if file.has_id else None,
        "filename": file.filename,
        "bytes": file.bytes,
        "purpose": file.purpose,
        "created_at": file.created_at,
    }
    return json.dumps(fields) + "\n"


def removed_text(one: Removed) -> str:
    """Return what became of a file for a person."""
    outcome = "no answer" if one.outcome is None else one.outcome
    return f"{outcome:<9}  {one.file_id}{'  ' if one.reason else ''}{printable(one.reason)}\n"


def removed_json(one: Removed) -> str:
    """Return what became of a file as a line of JSON; the outcome is null where no answer came."""
    return json.dumps({"file_id": one.file_id, "outcome": one.outcome, "reason": one.reason or None}) + "\n"
