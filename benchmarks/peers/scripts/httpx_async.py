"""httpx with a semaphore. LISTING URL IN_FLIGHT [CA]."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys

import httpx


async def main(listing: str, url: str, in_flight: int, ca_file: str | None) -> None:
    """Upload every file of the listing."""
    with open(listing, encoding="utf-8") as lines:
        paths = lines.read().splitlines()
    free = asyncio.Semaphore(in_flight)
    # httpx's async client does not take open files: each is read whole.
    async with httpx.AsyncClient(
        headers={"Authorization": "benchmark"},
        verify=ssl.create_default_context(cafile=ca_file) if ca_file else True,
        limits=httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight),
        timeout=None,
    ) as client:

        async def upload(path: str) -> None:
            async with free:
                with open(path, "rb") as file:
                    answer = await client.put(
                        f"{url}/v1/flow/files",
                        data={"purpose": "fine-tune"},
                        files={"files": (os.path.basename(path), file.read())},
                    )
                answer.raise_for_status()
                answer.json()

        async with asyncio.TaskGroup() as tasks:
            for path in paths:
                tasks.create_task(upload(path))


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None))
