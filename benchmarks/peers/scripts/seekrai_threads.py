"""The official SDK in threads that share a client. LISTING URL IN_FLIGHT."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from seekrai import SeekrFlow


def main(listing: str, url: str, in_flight: int) -> None:
    """Upload every file of the listing."""
    with open(listing, encoding="utf-8") as lines:
        paths = lines.read().splitlines()
    client = SeekrFlow(api_key="benchmark", base_url=url)
    with ThreadPoolExecutor(in_flight) as threads:
        for _ in threads.map(lambda path: client.files.upload(path, purpose="fine-tune"), paths):
            pass


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
