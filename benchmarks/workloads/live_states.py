"""States of the live page of a large run as `serve` publishes them, and a server that publishes them; tests use them too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.from_thread

from bulk_upload.edge.live_server import LiveServer
from bulk_upload.report.page.live_page import live_page

ENTRY_COUNT = 100_000


def state(done_count: int = 40_000, **changes: Any) -> dict[str, Any]:
    """Return the state of a large run: as many points, uploads and failures as the page ever has."""
    return {
        "phase": "running", "title": f"Running: {done_count:,} of {ENTRY_COUNT:,} files", "why": "64 in flight, as set",
        "files": [done_count, ENTRY_COUNT], "files_text": f"{done_count:,} of {ENTRY_COUNT:,}",
        "bytes": [done_count * 1000, done_count * 1100, ENTRY_COUNT * 1100], "bytes_text": f"{done_count / 1000:.1f} MB of 110.0 MB",
        "states": [
            ["before", "settled before", 1000], ["accepted", "accepted", done_count - 1200], ["in_doubt", "in doubt", 10],
            ["rejected", "rejected", 100], ["failed_local", "failed", 40], ["invalid", "invalid", 40], ["withdrawn", "withdrawn", 10],
            ["pending", "not finished", ENTRY_COUNT - done_count],
        ],
        "numbers": [
            ["Elapsed", "1 h 02 min", ""], ["Remaining", "2 to 3 h", ""], ["Speed", "45.2 MB/s", "40.1 MB/s on average"],
            ["In flight", "64", "of 64"], ["Sent", "12.4 GB", "12.0 GB accepted"], ["Retries", "312", ""],
        ],
        "points": [[number, (number * 7919) % 50_000_000, number % 40, 8 + number % 56] for number in range(600)],
        "uploads": [
            [f"shards/{number:04}/<img src=x onerror=alert(1)>-{done_count}.jsonl", "12.4 MB", number / 64, "sending", "1 min 05 s"]
            for number in range(64)
        ],
        "failures": [
            {"path": f"<b>shards/{number}.jsonl", "state": "failed_local", "word": "failed", "reason": "<script>alert(1)</script>"}
            for number in range(50)
        ],
        "failure_count": 190, "paused_by_hand": False, "may_change": True, "ledger": "m.ledger.db",
        **changes,
    }  # fmt: skip


@contextmanager
def served(asked: list[dict[str, object]]) -> Iterator[tuple[str, Callable[[bytes], None]]]:
    """Serve the page on a thread; yield its address and how to publish a state."""

    async def act(change: dict[str, object]) -> list[str]:
        asked.append(change)
        return [f"done {len(asked)}"]

    page, policy = live_page()
    server = LiveServer(page, policy, act=act)
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(server.listening("127.0.0.1", 0)) as where,
    ):
        yield where, lambda state: portal.call(server.publish, state)
