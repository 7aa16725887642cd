"""aimock, an OpenAI Files server that others wrote: see docs/explanation/interop.md."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulk_upload.core.model import EntryState
from bulk_upload.edge.ledger import LedgerReader
from tests.interop.killed_jobs import LEDGER, WITHIN_S, Server, kill_in_mid_run, lay_out, twice

pytestmark = pytest.mark.interop

FILES = 200
CHAOS = {"dropRate": 0.02, "malformedRate": 0.02, "disconnectRate": 0.02}


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
        url = f"http://127.0.0.1:{port}"
        server = Server(url=url, variables={"OPENAI_API_KEY": Server.key, "OPENAI_BASE_URL": f"{url}/v1"})
        server.files()
        yield server
    finally:
        process.terminate()
        process.wait(timeout=WITHIN_S)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("chaos", [False, True], ids=["quiet", "chaos"])
def test_a_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chaos: bool) -> None:
    """Killed in mid-run, and run again: every file is there once, the receipts hold, and all can be deleted."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, [f"naïve {number:03}.jsonl" for number in range(FILES)])
    # A short settle time is enough: aimock stores what came before a list request before it answers that.
    job = ("run", "m.jsonl", "--profile", "openai", "--ledger", LEDGER, "--settle", "2s")
    with aimock(tmp_path, chaos=chaos) as server:
        kill_in_mid_run(
            tmp_path,
            [*job, "--concurrency", "8", "--rate", "50/s"],
            variables=server.variables,
            count=lambda: len(server.files()),
            at=FILES // 4,
        )
        with LedgerReader(LEDGER) as reader:
            # What chaos took the answer of waits in doubt beside what was in flight.
            assert chaos or reader.states(all_entries=True).get(EntryState.IN_DOUBT, 0) <= 8

        # Under chaos a run may end before everything is settled: the same command goes on.
        runs = [server.command(*job)]
        while chaos and runs[-1].status != 0 and len(runs) < 10:
            runs.append(server.command(*job))
        assert runs[-1].status == 0, runs[-1].stderr
        files = server.files()
        assert len(files) == FILES, twice(files)
        assert twice(files) == []

        ended = server.command("verify", LEDGER)
        assert ended.status == 0, ended.text
        if not chaos:  # It also returns contents that nobody sent.
            ended = server.command("verify", LEDGER, "--content")
            assert ended.status == 0, ended.text
            assert f"Downloaded and compared: {FILES}." in ended.stderr
        undone = [server.command("undo", LEDGER, "--adopted", "--yes")]
        while chaos and undone[-1].status != 0 and len(undone) < 10:
            undone.append(server.command("undo", LEDGER, "--adopted", "--yes"))
        assert undone[-1].status == 0, undone[-1].text
        assert server.files() == []
