"""A terminal of a given size, and what a display writes to it."""

from __future__ import annotations

import io
from typing import cast

from rich.console import Console

from bulk_upload.core.model import EntryState, Unavailable
from bulk_upload.report.live.terminal import LiveProgress
from tests.report.scripted_run import FILE_BYTES, ScriptedRun, ended, plan, settled, started

BAR = "\u2501"


def console_of(*, width: int = 80, **environ: str) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        width=width,
        height=25,
        _environ={"TERM": "xterm-256color", **environ},
    )


def written(console: Console) -> str:
    return cast("io.StringIO", console.file).getvalue()


def frame(console: Console, display: LiveProgress) -> list[str]:
    """The lines as they stand, without styles."""
    with console.capture() as capture:
        console.print(display._draw(), no_wrap=True)
    return Console(file=io.StringIO()).render_str(capture.get(), markup=False).plain.splitlines()


def plain_display(run: ScriptedRun, width: int) -> tuple[Console, LiveProgress]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    return console, LiveProgress(console, run.snapshot, run.now)


def keep_busy(run: ScriptedRun, display: LiveProgress) -> None:
    display.on_event(plan(10_000, settled_count=2_000))
    display._draw()
    for number in range(4_200):
        display.on_event(settled(f"f{number}"))
    display.on_event(started("x"))
    display.on_event(ended("x", Unavailable(reason="reset"), retry_in_s=1.0))
    display.on_event(settled("x", EntryState.REJECTED, reason="HTTP 400"))
    display.on_event(settled("z", EntryState.IN_DOUBT, reason="lost"))
    run.moves(seconds=60.0, in_flight=12, wire_bytes=4_200 * FILE_BYTES)
