"""What `FakeServer` does with several files in one request."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from tests.fakes.bundle_rules import BundleFate
from tests.fakes.server import Answer, StoredFile, now_s

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from bulk_upload.core.model import SentBody
    from tests.fakes.server import FakeServer

_LOST = (BundleFate.LOSE_UNSTORED, BundleFate.LOSE_STORED, BundleFate.LOSE_PART)
_PARTLY = (BundleFate.LOSE_PART, BundleFate.FAIL_PART, BundleFate.REFUSE_PART)
_STATUSES = {
    BundleFate.FAIL_UNSTORED: 500,
    BundleFate.FAIL_PART: 500,
    BundleFate.REFUSE: 422,
    BundleFate.REFUSE_PART: 422,
    BundleFate.TOO_LARGE: 413,
    BundleFate.THROTTLE: 429,
    BundleFate.THROTTLE_NAMED: 429,
    BundleFate.NO_CALL: 404,
    BundleFate.FORBID: 403,
    BundleFate.DENY: 401,
}
_STORE_NONE = (
    BundleFate.LOSE_BODY,
    BundleFate.LOSE_UNSTORED,
    BundleFate.FAIL_UNSTORED,
    BundleFate.REFUSE,
    BundleFate.TOO_LARGE,
    BundleFate.THROTTLE,
    BundleFate.THROTTLE_NAMED,
    BundleFate.NO_CALL,
    BundleFate.FORBID,
    BundleFate.DENY,
)


async def receive_bundle(
    server: FakeServer, fate: BundleFate, sent: Sequence[SentBody], chance: random.Random
) -> Answer:
    """Take the files of a complete body, as many as its fate leaves, and answer. Raises ConnectionResetError."""
    work_s = chance.uniform(*server.settings.latency_s)
    stored: list[StoredFile] = []
    if fate not in _STORE_NONE:
        taken = sent[: len(sent) // 2] if fate in _PARTLY else sent
        for number, one in enumerate(taken):
            name = f"renamed-{one.sent_name}" if fate is BundleFate.RENAMED and not number else one.sent_name
            stored.append(_stored(server, one, name, work_s=work_s, lag_s=chance.random()))
    await asyncio.sleep(work_s + 0.001)
    if fate in _LOST:
        raise ConnectionResetError
    if fate in _STATUSES:
        headers = {"retry-after": "2"} if fate is BundleFate.THROTTLE_NAMED else {}
        return Answer(_STATUSES[fate], headers, b'{"detail": "no"}')
    if fate is BundleFate.HTML:
        return Answer(200, {}, b"<html></html>")
    return Answer(200, body=json.dumps(_described(server, fate, stored)).encode())


def _stored(server: FakeServer, one: SentBody, name: str, *, work_s: float, lag_s: float) -> StoredFile:
    stored_at = now_s() + work_s
    listed_at = stored_at + server.settings.list_lag_s * lag_s
    source = 0 if one.fingerprint is None else one.fingerprint.inode
    file = StoredFile(
        server.next_id(), name, one.file_bytes, one.purpose, stored_at, listed_at, source=source
    )
    server.stored.append(file)
    return file


def _described(server: FakeServer, fate: BundleFate, stored: list[StoredFile]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = [server.described(one) for one in stored]
    match fate:
        case BundleFate.REVERSED:
            told.reverse()
        case BundleFate.LEFT_OUT:
            del told[0]
        case BundleFate.OTHER_SIZE:
            told[0]["bytes"] += 1
        case BundleFate.DUPLICATE_ID:
            told[0]["id"] = told[-1]["id"]
        case BundleFate.NO_NAMES:
            told = [{"id": one["id"]} for one in told]
    return told
