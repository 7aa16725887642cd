"""`bulk-upload serve`, as a process."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.stage import environment, run_here


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_well(desk: Path, server: str, number: signal.Signals) -> None:
    """Who stops a service has had from it what it is for: exit code 0, as with `sandbox`, and no traceback."""
    assert run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0
    with subprocess.Popen(
        [sys.executable, "-m", "bulk_upload", "serve", "l.db"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment({}),
    ) as process:
        assert process.stderr is not None
        try:
            # The second line comes once it listens.
            assert process.stderr.readline().startswith("Live page: http://127.0.0.1:")
            assert "Ctrl-C ends the page" in process.stderr.readline()
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, stdout, stderr) == (0, "", "")
