"""The pictures of the terminal in docs/pictures are of the display as it is now, and harmless to show."""

from __future__ import annotations

import io
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from bulk_upload.core.events import BodyNow, Paused
from bulk_upload.core.limits.bottleneck import Bottleneck
from bulk_upload.core.model import EntryState, ReceiptOrigin, Throttled
from bulk_upload.core.report.tally import Tally
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.live.notable_events import EventLines
from bulk_upload.report.live.run_summary import closing_lines
from bulk_upload.report.live.terminal import LiveProgress
from tests.report.scripted_run import FILE_BYTES, ScriptedRun, ended, plan, receipt, settled, started

ROOT = Path(__file__).parents[3]
PICTURES = ROOT / "docs" / "pictures"
AGAIN = "python docs/pictures/terminal.py"
THROTTLED = Throttled(http_status=429, retry_after_s=6.0)


def _words(lines: list[str]) -> set[str]:
    """The words that are the program's own: without names, numbers and what a message quotes."""
    return {word for line in lines for word in re.findall(r"(?<![\w/.\"-])[A-Za-z]+(?![\w/\"-]|\.\w)", line)}


def _shown(name: str) -> list[str]:
    root = ET.fromstring((PICTURES / name).read_text("utf-8"))
    return ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("name", ["running.svg", "ended.svg"])
def test_a_picture_is_small_and_needs_nothing_else(name: str) -> None:
    """Well-formed, no script, nothing that a browser would fetch, and no path of the machine it was made on."""
    text = (PICTURES / name).read_text("utf-8")
    tags = {one.tag.rpartition("}")[2] for one in ET.fromstring(text).iter()}
    assert tags <= {"svg", "title", "style", "rect", "text"}
    outside = text.replace('xmlns="http://www.w3.org/2000/svg"', "").replace("http://127.0.0.1:8099", "")
    assert not re.search(r"href|url\(|@import|@font-face|https?:|/tmp|/home|/root|/Users", outside)
    assert len(text) < 20_000


def test_the_picture_of_a_run_shows_what_a_run_shows() -> None:
    """Every word of a frame like it is in the picture."""
    run = ScriptedRun()
    bodies = [BodyNow(path="a", body_bytes=100, left_bytes=50, waiting=False)]
    console = Console(file=io.StringIO(), width=100, height=28, color_system=None)
    display = LiveProgress(console, run.snapshot, run.now, lambda: bodies)
    for event in (
        plan(6),
        started("a"),
        started("b"),
        ended("b", THROTTLED, retry_in_s=0.0),
        started("b", attempt_no=2),
        started("c"),
        ended("c", THROTTLED, retry_in_s=0.0),
        started("c", attempt_no=2),
        settled("b"),
        settled("c", EntryState.INVALID, reason="line 1"),
        Paused(pause_s=6.0, reason="HTTP 429 from the server"),
    ):
        display.on_event(event)
    run.moves(seconds=3.0, pause_s=3.0, in_flight=1, wire_bytes=FILE_BYTES)
    with console.capture() as capture:
        console.print(display._draw())
    frame = capture.get().splitlines()
    told = [str(one) for one in EventLines().lines_of(plan(6))]
    words = _words([*frame, *told, "invalid"])
    assert {"sending", "waiting", "accepted", "elapsed", "ETA", "retried", "invalid", "plan"} <= words
    assert words - {"a"} <= _words(_shown("running.svg")), f"run: {AGAIN}"


def test_the_picture_of_an_end_shows_what_is_said_at_an_end() -> None:
    """Every word of closing lines like it is in the picture."""
    tally = Tally()
    for event in (
        plan(3),
        started("a"),
        ended("a", THROTTLED, retry_in_s=1.0),
        ended("b", THROTTLED, retry_in_s=1.0),
        started("a", attempt_no=2),
        started("b", attempt_no=2),
        settled("a", receipt=receipt("a", obtained=ReceiptOrigin.RECONCILED)),
        settled("b"),
        settled("c", EntryState.INVALID, reason="line"),
    ):
        tally.add(event)
    tally.held_s = {Bottleneck.IN_FLIGHT: 11.0, Bottleneck.SERVER: 6.3}
    lines = closing_lines(
        tally,
        {EntryState.ACCEPTED: 2, EntryState.INVALID: 1},
        stop=None,
        status=ExitStatus.SOME_FAILED,
        elapsed_s=19.0,
        ledger_path="m.ledger.db",
        results_path="m.results.csv",
        rerun_command="bulk-upload run datasets/manifest.jsonl",
    )
    words = _words(lines)
    assert {"Accepted", "throttled", "limited", "invalid", "Ledger", "report", "Exit"} <= words
    assert words - {"c"} <= _words(_shown("ended.svg")), f"run: {AGAIN}"


def test_the_readme_shows_the_picture() -> None:
    """On its first screen, with words for those who cannot see it."""
    head = (ROOT / "README.md").read_text("utf-8").splitlines()[:40]
    assert any(re.match(r"!\[.{30,}\]\(docs/pictures/running\.svg\)", line) for line in head)
