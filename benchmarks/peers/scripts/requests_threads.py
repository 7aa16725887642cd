"""requests with a session for each thread. LISTING URL IN_FLIGHT [CA]."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import requests

_mine = threading.local()


def main(listing: str, url: str, in_flight: int, ca_file: str | None) -> None:
    """Upload every file of the listing."""
    with open(listing, encoding="utf-8") as lines:
        paths = lines.read().splitlines()

    def begin() -> None:
        _mine.session = requests.Session()
        _mine.session.headers["Authorization"] = "benchmark"
        # Or a bundle that the environment names takes the place of the one that is asked for.
        _mine.session.trust_env = False
        _mine.session.verify = ca_file or True

    def upload(path: str) -> None:
        with open(path, "rb") as file:
            answer = _mine.session.put(
                f"{url}/v1/flow/files",
                data={"purpose": "fine-tune"},
                files={"files": (os.path.basename(path), file)},
            )
        answer.raise_for_status()
        answer.json()

    with ThreadPoolExecutor(in_flight, initializer=begin) as threads:
        for _ in threads.map(upload, paths):
            pass


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)
