"""aimock, an OpenAI Files server that others wrote: see docs/explanation/interop.md."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bulk_upload.core.model import EntryState
from bulk_upload.edge.ledger import LedgerReader
from tests.cli.stage import Ended, environment, run_process

pytestmark = pytest.mark.interop

FILES = 200
KEY = "sk-aimock-interop-4711"
LEDGER = "m.ledger.db"
CHAOS = {"dropRate": 0.02, "malformedRate": 0.02, "disconnectRate": 0.02}
WITHIN_S = 60.0


def cli() -> str | None:
    """Return the path of aimock's command, None where it is not installed."""
    named = os.environ.get("AIMOCK_CLI")
    if named:
        return named
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return None
    root = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False, timeout=60)
    path = Path(root.stdout.strip()) / "@copilotkit" / "aimock" / "dist" / "aimock-cli.js"
    return str(path) if path.is_file() else None


class Server:
    """A running aimock."""

    def __init__(self, url: str) -> None:
        self.url = url

    def files(self) -> list[dict[str, Any]]:
        """Return its files; asked again where its chaos takes the answer."""
        request = urllib.request.Request(
            f"{self.url}/v1/files?limit=10000", headers={"Authorization": f"Bearer {KEY}"}
        )
        ends_at = time.monotonic() + WITHIN_S
        while True:
            try:
                with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
                    data = json.load(answer)["data"]
                    assert isinstance(data, list)
                    return data
            except (OSError, ValueError, KeyError):
                assert time.monotonic() < ends_at, "aimock does not answer"
                time.sleep(0.05)


@contextmanager
def aimock(folder: Path, *, chaos: bool) -> Iterator[Server]:
    """Run aimock on a free port."""
    command = cli()
    if command is None:
        pytest.skip("aimock is not installed: see docs/explanation/interop.md")
    (folder / "aimock.json").write_text(json.dumps({"llm": {"chaos": CHAOS} if chaos else {}}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--config", str(folder / "aimock.json"), "--port", str(port), "--host", "127.0.0.1"]
    with (folder / "aimock.log").open("wb") as log:
        process = subprocess.Popen(["node", command, *words], stdout=log, stderr=log)
    try:
        server = Server(f"http://127.0.0.1:{port}")
        server.files()
        yield server
    finally:
        process.terminate()
        process.wait(timeout=WITHIN_S)


def bulk_upload(server: Server, *words: str) -> Ended:
    """Run a command."""
    return run_process(*words, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=f"{server.url}/v1")


def _twice(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the files of which there are several with a name, for the message of a test that fails."""
    counts = Counter(one["filename"] for one in files)
    return [one for one in files if counts[one["filename"]] > 1]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("chaos", [False, True], ids=["quiet", "chaos"])
def test_a_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chaos: bool) -> None:
    """Killed in mid-run, and run again: every file is there once, the receipts hold, and all can be deleted."""
    monkeypatch.chdir(tmp_path)
    rows = []
    for number in range(FILES):
        request = {"custom_id": "", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}
        lines = [json.dumps(request | {"custom_id": f"{number}-{one}"}) for one in range(1 + number % 7)]
        (tmp_path / f"naïve {number:03}.jsonl").write_text("\n".join(lines) + "\n")
        rows.append(json.dumps({"path": f"naïve {number:03}.jsonl", "purpose": "batch"}))
    (tmp_path / "m.jsonl").write_text("\n".join(rows) + "\n")
    # A short settle time is enough: aimock stores what came before a list request before it answers that.
    job = ("run", "m.jsonl", "--profile", "openai", "--ledger", LEDGER, "--settle", "2s")
    with aimock(tmp_path, chaos=chaos) as server:
        env = environment({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{server.url}/v1"})
        with (tmp_path / "killed.log").open("wb") as log:
            killed = subprocess.Popen(
                [sys.executable, "-m", "bulk_upload", *job, "--concurrency", "8", "--rate", "50/s"],
                env=env, stdout=log, stderr=log,
            )  # fmt: skip
        while len(server.files()) < FILES // 4:
            assert killed.poll() is None, (tmp_path / "killed.log").read_text()
        killed.send_signal(signal.SIGKILL)
        killed.wait(timeout=WITHIN_S)
        with LedgerReader(LEDGER) as reader:
            # What chaos took the answer of waits in doubt beside what was in flight.
            assert chaos or reader.states(all_entries=True).get(EntryState.IN_DOUBT, 0) <= 8

        # Under chaos a run may end before everything is settled: the same command goes on.
        runs = [bulk_upload(server, *job)]
        while chaos and runs[-1].status != 0 and len(runs) < 10:
            runs.append(bulk_upload(server, *job))
        assert runs[-1].status == 0, runs[-1].stderr
        files = server.files()
        assert len(files) == FILES, _twice(files)
        assert _twice(files) == []

        ended = bulk_upload(server, "verify", LEDGER)
        assert ended.status == 0, ended.text
        if not chaos:  # It also returns contents that nobody sent.
            ended = bulk_upload(server, "verify", LEDGER, "--content")
            assert ended.status == 0, ended.text
            assert f"Downloaded and compared: {FILES}." in ended.stderr
        undone = [bulk_upload(server, "undo", LEDGER, "--adopted", "--yes")]
        while chaos and undone[-1].status != 0 and len(undone) < 10:
            undone.append(bulk_upload(server, "undo", LEDGER, "--adopted", "--yes"))
        assert undone[-1].status == 0, undone[-1].text
        assert server.files() == []
