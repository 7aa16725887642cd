"""The official SDK's bulk upload: all files in one request. LISTING URL IN_FLIGHT (which it ignores)."""

from __future__ import annotations

import resource
import sys

from seekrai import SeekrFlow


def main(listing: str, url: str) -> None:
    """Upload all files of the listing."""
    # It opens every file first.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with open(listing, encoding="utf-8") as lines:
        paths = lines.read().splitlines()
    client = SeekrFlow(api_key="benchmark", base_url=url)
    client.files.bulk_upload(paths, purpose="fine-tune")


main(sys.argv[1], sys.argv[2])
