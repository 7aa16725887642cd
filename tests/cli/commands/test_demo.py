"""`bulk-upload demo`, the first thing a newcomer runs, and how a run looks on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from bulk_upload.exit_status import ExitStatus
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.cli.stage import KEY, NOWHERE, environment, run_here

FILE_ID = re.compile(r"\bfile-[0-9a-f-]{36}\b")


class Terminal:
    """A command on a terminal of its own, which also hears it as `/dev/tty` where it is `controlling`."""

    def __init__(self, *arguments: str, columns: int, controlling: bool = False, **env: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        wanted = environment({"TERM": "xterm-256color", **env})
        wanted.pop("COLUMNS", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bulk_upload", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=wanted,
            start_new_session=not controlling,
            # Nothing else makes a terminal the controlling one everywhere.
            preexec_fn=(lambda: os.login_tty(slave)) if controlling else None,  # noqa: PLW1509
        )
        os.close(slave)
        self.text = ""

    def read_until(self, words: str) -> None:
        """Take in what is printed until `words` are among it, or the command has ended."""
        deadline = time.monotonic() + 30
        while words not in self.text and time.monotonic() < deadline:
            try:
                piece = os.read(self._master, 65536)
            except OSError:  # Linux tells the end of a terminal like this.
                return
            self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", piece.decode("utf-8", "replace"))

    def type(self, words: str) -> None:
        """Type words."""
        os.write(self._master, words.encode())

    def end(self) -> int:
        """Read to the end and return the exit code."""
        self.read_until("\0")
        os.close(self._master)
        return self.process.wait(timeout=10)


def test_the_demo_tells_its_story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo shows both refusals and the waits, the mapping with whole ids, and that nothing is sent twice."""
    monkeypatch.chdir(tmp_path)
    ended = run_here("demo", SEEKR_API_KEY=None, SEEKR_BASE_URL=NOWHERE)
    assert ended.status == 0
    # Which uploads arrive second and fourth is not certain on a busy machine.
    story = re.sub(r"(HTTP \d+)  data/[^:\n]+:", r"\1  FILE:", ended.stderr)
    beats = [
        "1. A sandbox of the Flow Files API listens on http://127.0.0.1:",
        "2. Six files are uploaded",
        "$ bulk-upload run bulk-upload-demo/quickstart.jsonl",
        "  accepted  data/tides-fine-tune.jsonl",
        "  HTTP 429  FILE: all wait 1 s, as the server asks",
        "  HTTP 503  FILE: all wait 1 s, as the server asks",
        "Accepted 6 of 6 entries",
        "3. The same command again",
        "Nothing to do: all 6 entries were accepted before.",
        "4. The ledger has",
        "The server has 6 files for 6 entries; the second run sent 0.",
        "bulk-upload status bulk-upload-demo/demo.ledger.db",
    ]
    places = [story.find(beat) for beat in beats]
    assert -1 not in places, beats[places.index(-1)]
    assert places == sorted(places)
    assert len(set(FILE_ID.findall(ended.stdout.decode()))) == 6
    assert os.listdir(tmp_path) == ["bulk-upload-demo"]


def test_the_demo_fits_eighty_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the usual terminal no line of the demo is cut or folded, and it begins anew each time."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bulk-upload-demo").mkdir()
    (tmp_path / "bulk-upload-demo" / "demo.ledger.db").write_text("left by an earlier demo")
    demo = Terminal("demo", columns=80)
    assert demo.end() == 0, demo.text
    lines = [line.rstrip() for line in demo.text.splitlines()]
    assert [line for line in lines if len(line) > 80] == []
    assert len([line for line in lines if FILE_ID.search(line)]) == 6
    assert any("Accepted 6 of 6 entries" in line for line in lines)


def test_a_demo_where_nothing_may_be_written(desk: Path) -> None:
    """A demo that cannot lay out its folder says so."""
    (desk / "bulk-upload-demo").write_text("in the way")
    ended = run_here("demo")
    assert ended.status == ExitStatus.USAGE
    assert "cannot write the samples to ./bulk-upload-demo" in ended.stderr
    assert "change to a writable folder" in ended.stderr


def test_ctrl_c_is_answered_on_a_terminal(desk: Path) -> None:
    """While the progress display is drawn, Ctrl-C is answered with what it does and what a second one does."""
    with sandbox_in_thread(SandboxConfig(keys=(KEY,), faults=parse_faults("delay:3*2"))) as sandbox:
        run = Terminal("run", "good.jsonl", columns=80, SEEKR_BASE_URL=sandbox.url)
        run.read_until("in flight 2/8")
        run.process.send_signal(signal.SIGINT)
        run.read_until("a third leaves")
        assert "SIGINT: finishing uploads in flight; a second signal cancels them" in run.text
        status = run.end()
    # Both uploads were in flight, so the drain finished the job.
    assert status == 0, run.text
    assert f"server: {sandbox.url}" in run.text
    assert "Accepted 2 of 2 entries" in run.text
