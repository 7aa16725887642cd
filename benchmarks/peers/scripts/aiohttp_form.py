"""What most people write: aiohttp, FormData with open files, a semaphore. LISTING URL IN_FLIGHT [CA]."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys

import aiohttp


async def main(listing: str, url: str, in_flight: int, ca_file: str | None) -> None:
    """Upload every file of the listing."""
    with open(listing, encoding="utf-8") as lines:
        paths = lines.read().splitlines()
    free = asyncio.Semaphore(in_flight)
    context = ssl.create_default_context(cafile=ca_file) if ca_file else True
    connector = aiohttp.TCPConnector(limit=in_flight, ssl=context)
    async with aiohttp.ClientSession(connector=connector, headers={"Authorization": "benchmark"}) as session:

        async def upload(path: str) -> None:
            async with free:
                with open(path, "rb") as file:
                    form = aiohttp.FormData()
                    form.add_field("purpose", "fine-tune")
                    form.add_field("files", file, filename=os.path.basename(path))
                    async with session.put(f"{url}/v1/flow/files", data=form) as answer:
                        answer.raise_for_status()
                        await answer.json()

        async with asyncio.TaskGroup() as tasks:
            for path in paths:
                tasks.create_task(upload(path))


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None))
