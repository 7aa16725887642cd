"""Answers to one attempt, and what they mean."""

from __future__ import annotations

import json

from msgspec.structs import replace

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.api.responses import decipher
from bulk_upload.core.model import Outcome, SentBody

FILE_ID = "file-d0d318cb-b7d9-493a-bd70-1cfe089d3815"
INSANE_IDS: list[object] = [
    None, 7, True, [], {}, "", ".", "..", "....", "a/b", "../../x", "%2e%2e", "a b", "a\n", "\na", "a?b", "a#b",
    "a\\b", "é", "٣", "a" * 129, "a\x00", "file\u202e", ["file-1"],
]  # fmt: skip


def sent(*, complete: bool = True, file_bytes: int = 3) -> SentBody:
    """Return what an attempt of `data.jsonl` for fine-tune put on the wire."""
    return SentBody(sent_name="data.jsonl", purpose="fine-tune", file_bytes=file_bytes, complete=complete)


def answered(
    status: int,
    body: object = b"",
    headers: dict[str, str] | None = None,
    *,
    complete: bool = True,
    sha256: str | None = None,
    keeps_names: bool = True,
) -> Outcome:
    """Return what an answer means; a body that is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decipher(
        status=status,
        headers=headers or {},
        body=data,
        sent=replace(sent(complete=complete), content_hash=sha256),
        now_utc_s=0.0,
        profile=replace(FLOW, keeps_names=keeps_names),
    )


def nested(depth: int) -> bytes:
    """Return an array of arrays, `depth` deep."""
    return b"[" * depth + b"]" * depth
