from __future__ import annotations

import io
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bulk_upload.cli.output import status_line as module
from bulk_upload.cli.output.status_line import HeadwayShown, command_progress_shown
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.report.live.command_progress import CommandProgress, HeadwayLine
from bulk_upload.report.live.status_line import StatusLine
from bulk_upload.sandbox import SandboxConfig, sandbox_in_thread
from tests.cli.stage import KEY, run_here


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def _screen(monkeypatch: pytest.MonkeyPatch, *, term: str = "xterm") -> _Screen:
    """Make standard error a terminal."""
    made = _Screen()
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setenv("TERM", term)
    return made


class _Work:
    """A manifest that is read in scripted time."""

    def __init__(self) -> None:
        self.at = 100.0
        self.count = 0

    def now(self) -> float:
        return self.at

    def look(self) -> CommandProgress:
        return CommandProgress(doing="reading the manifest", count=self.count, things="entries")

    def goes_on(self, seconds: float, count: int, tick: Callable[[], None]) -> None:
        """Let time pass as the showing thread would: a tick four times a second."""
        for _ in range(int(seconds / 0.25)):
            self.at += 0.25
            self.count += int(count / (seconds / 0.25))
            tick()


def test_on_a_terminal_a_line_counts_a_few_times_a_second() -> None:
    """It comes after a second, is written over itself, and says how far it is and how fast."""
    work, drawn = _Work(), list[str]()
    screen = StatusLine(drawn.append, lambda: 80)
    shown = HeadwayShown(HeadwayLine(work.look, work.now), screen, pytest.fail, work.now)
    work.goes_on(0.75, 300, shown.tick)
    assert drawn == []
    work.goes_on(0.5, 200, shown.tick)
    assert drawn == [
        "\rreading the manifest: 400 entries, 400 entries/s\x1b[K",
        "\rreading the manifest: 500 entries, 400 entries/s\x1b[K",
    ]


def test_elsewhere_a_line_comes_every_30_seconds() -> None:
    """A log that is read in the morning is not flooded, and holds no control characters."""
    work, told = _Work(), list[str]()
    shown = HeadwayShown(HeadwayLine(work.look, work.now), None, told.append, work.now)
    work.goes_on(29, 2900, shown.tick)
    assert told == []
    work.goes_on(61, 6100, shown.tick)
    assert [one.partition(" entries,")[0] for one in told] == [
        f"reading the manifest: {count}" for count in ("3,000", "6,000", "9,000")
    ]
    assert all(one.isprintable() for one in told)


def _drawn_by(monkeypatch: pytest.MonkeyPatch, do: Callable[[], None], *, quiet: bool = False) -> bool:
    """Show headway around `do` with every look due at once; return whether somebody looked."""
    looked = threading.Event()

    def look() -> CommandProgress:
        looked.set()
        return CommandProgress(doing="scanning", count=5)

    monkeypatch.setattr(module, "SHOWN_AFTER_S", 0.0)
    monkeypatch.setattr(module, "TOLD_EVERY_S", 0.0)
    monkeypatch.setattr(module, "SHOWN_EVERY_S", 0.001)
    with command_progress_shown(look, quiet=quiet):
        looked.wait(0.05 if quiet else 30)
        do()
    return looked.is_set()


def test_nothing_is_left_of_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end it is erased, and what others print meanwhile stands above it."""
    screen = _screen(monkeypatch)
    monkeypatch.setattr(sys, "stdout", screen)

    def work() -> None:
        while "\rscanning" not in screen.getvalue():
            time.sleep(0.001)
        tell("a word")
        put("data\n")

    assert _drawn_by(monkeypatch, work)
    text = screen.getvalue()
    # Drawn over as often as there is time to, and erased before anything else.
    assert re.fullmatch(r"((\rscanning[^\r]*)+\r\x1b\[2K|a word\n|data\n)*", text)
    assert text.index("a word\n") < text.index("data\n")


def test_what_is_over_at_once_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short manifest does not flicker by."""
    screen = _screen(monkeypatch)
    with command_progress_shown(_Work().look):
        pass
    assert screen.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_only_a_terminal_that_can_erase_is_drawn_on(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    """A log and a dumb terminal get whole lines without control characters."""
    screen: io.StringIO = _screen(monkeypatch, term="dumb")
    if not terminal:
        screen = io.StringIO()
        monkeypatch.setattr(sys, "stderr", screen)
    assert _drawn_by(monkeypatch, lambda: None)
    assert re.fullmatch(r"(scanning: 5 files, [0-9.,]+ files/s\n)+", screen.getvalue())


def test_quiet_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody even looks."""
    screen = _screen(monkeypatch)
    assert not _drawn_by(monkeypatch, lambda: None, quiet=True)
    assert screen.getvalue() == ""


def test_scan_verify_and_validate_can_be_quiet(desk: Path) -> None:
    """With --quiet a command that goes well says nothing but its data."""
    # One of its own: whatever others uploaded would be a difference.
    with sandbox_in_thread(SandboxConfig(keys=(KEY,))) as sandbox:
        _all_quiet(desk, sandbox.url)


def _all_quiet(desk: Path, server: str) -> None:
    scanned = run_here("scan", "data", "--map", "*.jsonl=pre-train", "-o", "data/m.jsonl", "--quiet")
    validated = run_here("validate", "data/m.jsonl", "--quiet")
    ran = run_here("run", "data/m.jsonl", "--quiet", "--ledger", "l.ledger.db", SEEKR_BASE_URL=server)
    verified = run_here("verify", "l.ledger.db", "--quiet")
    assert [(one.status, one.text) for one in (scanned, validated, ran, verified)] == [(0, "")] * 4
    assert (desk / "data" / "m.jsonl").read_text().count("\n") == 2
