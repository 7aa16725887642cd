"""Two accounts at once: each has its own key and its own ledger."""

import asyncio
import os

from bulk_upload import upload_async


async def main() -> None:
    async with asyncio.TaskGroup() as tasks:
        for name in ("RED", "BLUE"):
            key, url = os.environ[f"{name}_API_KEY"], os.environ.get(f"{name}_BASE_URL")
            call = upload_async("manifest.jsonl", ledger=f"{name}.ledger.db", api_key=key, base_url=url)
            tasks.create_task(call)


asyncio.run(main())
