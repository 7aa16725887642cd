"""A job of many files that is killed in mid-run, against a server whose files can be counted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli.stage import Ended, environment, run_within

LEDGER = "m.ledger.db"
WITHIN_S = 60.0
LONG_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server with OpenAI's list, and the variables that a command needs for it."""

    url: str
    variables: dict[str, str] = field(default_factory=dict)
    key: str = "sk-interop-4711"

    def files(self) -> list[dict[str, Any]]:
        """Return its files; asked again while it does not answer, as under faults of its own."""
        request = urllib.request.Request(
            f"{self.url}/v1/files?limit=10000", headers={"Authorization": f"Bearer {self.key}"}
        )
        ends_at = time.monotonic() + WITHIN_S
        while True:
            try:
                with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
                    data = json.load(answer)["data"]
                    assert isinstance(data, list)
                    return data
            except (OSError, ValueError, KeyError):
                assert time.monotonic() < ends_at, "the server does not answer"
                time.sleep(0.05)

    def command(self, *words: str) -> Ended:
        """Run a command; some of these servers take a second for each request."""
        return run_within(LONG_S, *words, **self.variables)


def lay_out(folder: Path, names: Sequence[str]) -> None:
    """Write files of batch requests, of which many have one size, and their manifest `m.jsonl`."""
    rows = []
    for number, name in enumerate(names):
        request = {"custom_id": "", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}
        lines = [json.dumps(request | {"custom_id": f"{number:03}-{one}"}) for one in range(1 + number % 7)]
        (folder / name).write_text("\n".join(lines) + "\n")
        rows.append(json.dumps({"path": name, "purpose": "batch"}))
    (folder / "m.jsonl").write_text("\n".join(rows) + "\n")


def kill_in_mid_run(
    folder: Path, words: Sequence[str], *, variables: dict[str, str], count: Callable[[], int], at: int
) -> None:
    """Begin a run and kill it once the server has so many files."""
    with (folder / "killed.log").open("wb") as log:
        killed = subprocess.Popen(
            [sys.executable, "-m", "bulk_upload", *words],
            env=environment(dict(variables)),
            stdout=log,
            stderr=log,
        )
    while count() < at:
        assert killed.poll() is None, (folder / "killed.log").read_text()
    killed.send_signal(signal.SIGKILL)
    killed.wait(timeout=WITHIN_S)


def twice(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the files of which there are several with a name, for the message of a test that fails."""
    counts = Counter(one["filename"] for one in files)
    return [one for one in files if counts[one["filename"]] > 1]
