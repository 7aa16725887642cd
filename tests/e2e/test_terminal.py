"""The live display in a real terminal, as tmux shows it: sizes, a resize, Ctrl-Z, Ctrl-C. Skipped where tmux is missing.

The long versions: python -m pytest -m soak tests/e2e/test_terminal.py
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from bulk_upload.report.live.frame import Look

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux on this machine")

WAIT_S = 60.0
BAD = "\u2717"


class _Terminal:
    """A tmux server of its own with one pane."""

    def __init__(self, folder: Path, columns: int, rows: int) -> None:
        self._socket = str(folder / "tmux")
        env = [
            "env",
            "SEEKR_API_KEY=k",
            "PS1=$ ",
            "LC_ALL=C.UTF-8",
            # As programs export it that import readline: it does not follow the terminal's size.
            f"COLUMNS={columns}",
            f"LINES={rows}",
            f"PYTHONPATH={Path(__file__).parents[2]}",
        ]
        self._tmux(
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            str(columns),
            "-y",
            str(rows),
            *env,
            "bash",
            "--norc",
        )

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-S", self._socket, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return done.stdout

    def types(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)
        self._tmux("send-keys", "Enter")

    def interrupts(self) -> None:
        self._tmux("send-keys", "C-c")

    def stops(self) -> None:
        self._tmux("send-keys", "C-z")

    def resizes(self, columns: int, rows: int) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self) -> list[str]:
        return [line.rstrip() for line in self._tmux("capture-pane", "-p").splitlines()]

    def shows_cursor(self) -> bool:
        return self._tmux("display-message", "-p", "#{cursor_flag}").strip() == "1"

    def waits_for(self, what: Callable[[list[str]], bool]) -> list[str]:
        """Return the first screen that `what` is true of."""
        until = time.monotonic() + WAIT_S
        while True:
            screen = self.screen()
            if what(screen):
                return screen
            assert time.monotonic() < until, "\n".join(screen)
            time.sleep(0.05)

    def ends(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def server() -> Iterator[str]:
    """A sandbox that takes its time."""
    with subprocess.Popen(
        [sys.executable, "-m", "bulk_upload", "sandbox", "--port", "0", "--faults", "delay:2.6*60"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as sandbox:  # fmt: skip
        assert sandbox.stdout is not None
        line = sandbox.stdout.readline()
        yield line.split("listens on ")[1].split(";")[0]
        sandbox.terminate()


def _run(folder: Path, server: str) -> str:
    lines = []
    for number in range(60):
        (folder / f"conversation-{number:04d}.jsonl").write_text('{"text": "hello"}\n' * 50)
        lines.append(f'{{"path": "conversation-{number:04d}.jsonl", "purpose": "pre-train"}}\n')
    (folder / "m.jsonl").write_text("".join(lines))
    return shlex.join(
        [
            sys.executable,
            "-m",
            "bulk_upload",
            "run",
            str(folder / "m.jsonl"),
            "--base-url",
            server,
            "--concurrency",
            "4",
        ]
    )


def _frames(screen: list[str]) -> int:
    """How many frames are seen, whole or in part: the one that is drawn, and what those before have left."""
    return max(
        sum(line.startswith("files ") for line in screen),
        sum(line.startswith("bytes ") for line in screen),
        sum(" accepted" in line and " sent" not in line for line in screen),
        sum(line.startswith("in flight ") for line in screen),
    )


@pytest.mark.parametrize(
    ("columns", "rows", "upload_count"), [(80, 24, 4), pytest.param(200, 50, 4, marks=pytest.mark.soak)]
)
def test_the_display_in_a_terminal_from_start_to_ctrl_c(
    tmp_path: Path, server: str, columns: int, rows: int, upload_count: int
) -> None:
    """One frame at a time, whatever the width becomes; after Ctrl-C no line of it is left, and the cursor is back."""
    terminal = _Terminal(tmp_path, columns, rows)
    try:
        # A screen that is full, as screens are: tmux scrolls what is at its top away when lines wrap.
        terminal.types(f"seq {rows}; {_run(tmp_path, server)}; echo ended with $?")
        screen = terminal.waits_for(
            lambda lines: sum("awaiting the answer" in one for one in lines) == upload_count
        )
        assert _frames(screen) == 1
        assert any(one.startswith("in flight 4/4") for one in screen)
        assert not terminal.shows_cursor()
        for width in (columns - 20, columns - 11, columns):
            terminal.resizes(width, rows)
            # What a resize leaves behind is gone with the frame that knows of it.
            terminal.waits_for(partial(_is_one_frame_of, min(width - 3, 100)))
        terminal.interrupts()
        terminal.waits_for(
            lambda lines: _frames(lines) == 1 and any(one.startswith("draining: ") for one in lines)
        )
        screen = terminal.waits_for(lambda lines: any(one == "ended with 130" for one in lines))
        assert _frames(screen) == 0, "\n".join(screen)
        assert terminal.shows_cursor()
    finally:
        terminal.ends()


def _is_one_frame_of(columns: int, screen: list[str]) -> bool:
    """Whether there is one frame, and it has the bars that belong to its width."""
    look = Look(columns=columns, rows=len(screen), has_unicode=True, has_colour=True)
    bars = [line.split()[1] for line in screen if line.startswith(("files ", "bytes "))]
    return _frames(screen) == 1 and [len(one) for one in bars] == [look.bar_columns] * 2


def test_ctrl_z_and_fg(tmp_path: Path, server: str) -> None:
    """While it is stopped, the shell has the terminal to itself, with a cursor; then there is one frame, below."""
    terminal = _Terminal(tmp_path, 90, 30)
    try:
        terminal.types(f"clear; {_run(tmp_path, server)}")
        terminal.waits_for(lambda lines: any("awaiting the answer" in one for one in lines))
        terminal.stops()
        screen = terminal.waits_for(lambda lines: any("Stopped" in one for one in lines))
        assert _frames(screen) == 0, "\n".join(screen)
        assert terminal.shows_cursor()
        terminal.types("echo a line of the shell")
        terminal.waits_for(lambda lines: "a line of the shell" in lines)
        terminal.types("fg")
        screen = terminal.waits_for(lambda lines: _frames(lines) == 1)
        assert "a line of the shell" in screen
        terminal.waits_for(lambda _: not terminal.shows_cursor())
        terminal.interrupts()
        screen = terminal.waits_for(
            lambda lines: any(one.startswith(f"{BAD} Exit code 130") for one in lines)
        )
        assert _frames(screen) == 0, "\n".join(screen)
        assert "a line of the shell" in screen
        assert terminal.shows_cursor()
    finally:
        terminal.ends()


@pytest.mark.soak
def test_a_dumb_terminal_and_a_third_ctrl_c(tmp_path: Path, server: str) -> None:
    """Where the cursor cannot move there are plain lines; a run that leaves at once leaves a cursor behind."""
    terminal = _Terminal(tmp_path, 100, 30)
    try:
        command = _run(tmp_path, server)
        terminal.types(f"clear; TERM=dumb {command}; echo ended with $?")
        terminal.waits_for(lambda lines: any(one.startswith("plan: ") for one in lines))
        assert _frames(terminal.screen()) == 0
        terminal.interrupts()
        terminal.waits_for(lambda lines: any(one == "ended with 130" for one in lines))
        terminal.types(f"clear; {command}; echo left with $?")
        terminal.waits_for(lambda lines: any("awaiting the answer" in one for one in lines))
        terminal.interrupts()
        terminal.waits_for(lambda lines: any(one.startswith("SIGINT: finishing") for one in lines))
        terminal.interrupts()
        terminal.interrupts()
        terminal.waits_for(lambda lines: any(one in ("left with 130", "left with 4") for one in lines))
        assert terminal.shows_cursor()
    finally:
        terminal.ends()
