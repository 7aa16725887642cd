"""A progress display of one's own: each entry as it is settled, with its state."""

import asyncio

from bulk_upload import Uploader


async def main() -> None:
    async with Uploader.from_env() as up:
        async for entry in up.run("manifest.jsonl"):
            print(entry.state, entry.path, entry.file_id or entry.reason)


asyncio.run(main())
