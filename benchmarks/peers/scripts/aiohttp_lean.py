"""The least that aiohttp needs: each form ready in one piece, workers, nothing recorded. LISTING URL IN_FLIGHT [CA]."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOUNDARY = "lean-0123456789abcdef"
_HEAD = (
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
    f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n'
    "Content-Type: application/octet-stream\r\n\r\n"
)
_TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()


async def main(listing: str, url: str, in_flight: int, ca_file: str | None) -> None:
    """Upload every file of the listing."""
    with open(listing, encoding="utf-8") as lines:
        paths = iter(lines.read().splitlines())
    context = ssl.create_default_context(cafile=ca_file) if ca_file else True
    connector = aiohttp.TCPConnector(limit=in_flight, ssl=context)
    headers = {"Authorization": "benchmark", "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    target = URL(f"{url}/v1/flow/files")
    async with aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
    ) as session:

        async def work(paths: Iterator[str]) -> None:
            for path in paths:
                with open(path, "rb", buffering=0) as file:
                    content = file.read()
                form = (_HEAD % os.path.basename(path)).encode() + content + _TAIL
                async with session.put(target, data=form) as answer:
                    answer.raise_for_status()
                    await answer.json()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(in_flight):
                tasks.create_task(work(paths))


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None))
