"""The OpenAI SDK with a semaphore; it posts to its own path. LISTING URL IN_FLIGHT."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from openai import AsyncOpenAI


async def main(listing: str, url: str, in_flight: int) -> None:
    """Upload every file of the listing."""
    with open(listing, encoding="utf-8") as lines:
        paths = lines.read().splitlines()
    free = asyncio.Semaphore(in_flight)
    async with AsyncOpenAI(api_key="benchmark", base_url=f"{url}/v1") as client:

        async def upload(path: str) -> None:
            async with free:
                await client.files.create(file=Path(path), purpose="fine-tune")

        async with asyncio.TaskGroup() as tasks:
            for path in paths:
                tasks.create_task(upload(path))


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
