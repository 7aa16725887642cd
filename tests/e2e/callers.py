"""Somebody else with the same key: deletes, renames and lists files past the ledger."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from tests.e2e.stage import KEY


def call(url: str, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Make one call and return its status and answer."""
    request = urllib.request.Request(
        f"{url}/v1/flow/files{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": KEY, "Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def ids_at(url: str) -> dict[str, str]:
    """Return the name of every file the server has, by id."""
    status, answer = call(url, "GET", "?limit=1000")
    assert status == 200
    return {one["id"]: one["filename"] for one in answer["data"]}
