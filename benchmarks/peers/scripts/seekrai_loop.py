"""The official SDK, one file after another. LISTING URL IN_FLIGHT (which it ignores)."""

from __future__ import annotations

import sys

from seekrai import SeekrFlow


def main(listing: str, url: str) -> None:
    """Upload every file of the listing."""
    with open(listing, encoding="utf-8") as lines:
        paths = lines.read().splitlines()
    client = SeekrFlow(api_key="benchmark", base_url=url)
    for path in paths:
        client.files.upload(path, purpose="fine-tune")


main(sys.argv[1], sys.argv[2])
