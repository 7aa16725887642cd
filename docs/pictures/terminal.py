"""Makes the pictures of the terminal: real runs against the project's own sandbox, seen by a terminal emulator.

    pip install '.[pictures]' && python docs/pictures/terminal.py
    python docs/pictures/terminal.py FOLDER

Needs port 8099, and sends nothing beyond 127.0.0.1. Without FOLDER it takes about half a minute: `running.svg` is the
moment in which the server asks for a pause, `ended.svg` the end. With FOLDER it writes there, in some minutes, the start,
the middle, a pause, a drain, a good and a bad end at each of `SIZES`, for looking at them.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import random
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

import pyte

HERE = Path(__file__).parent
COLUMNS, ROWS = 100, 28
SIZES = ((80, 24), (120, 40), (200, 50))
CHAR_W, LINE_H, FONT_PX, PADDING = 8.4, 19, 14, 16
COMMAND = "bulk-upload run datasets/manifest.jsonl"
FAULTS = "read-rate=2000000,answer-delay=0.25,ok*60,drop-stored,ok*20,429:6*5"

BACKGROUND, FOREGROUND = "#16181d", "#d4d7de"
COLOURS = {
    "red": "#f0716b", "green": "#7ec98f", "brown": "#e3b75c", "blue": "#6fa8f5", "magenta": "#c98bdb",
    "cyan": "#63c5cf", "white": FOREGROUND, "black": "#3a3f4b", "brightblack": "#8d94a3",
}  # fmt: skip
BARS = {"\u2501": (0.0, 1.0), "\u2578": (0.0, 0.5), "\u257a": (0.5, 1.0)}
"""Characters of progress bars: from where to where they fill their cell. Fonts leave gaps between them."""


# pyte has no types: to mypy its class is Any, and nothing may be derived from that.
class Screen(pyte.Screen):  # type: ignore[misc]
    """A terminal that shows dim text in grey."""

    def select_graphic_rendition(self, *attrs: int, private: bool = False) -> None:
        """Take a change of style; 2 is dim, unless it is a part of a colour."""
        del private
        values = list(attrs)
        place = 0
        while place < len(values):
            if values[place] in (38, 48):
                place += 5 if values[place + 1 : place + 2] == [2] else 3
                continue
            if values[place] == 2:
                values[place] = 90
            place += 1
        super().select_graphic_rendition(*values)

    @property
    def text(self) -> str:
        """All that is to be read."""
        return "\n".join(self.display)


def lay_out(folder: Path, *, is_valid: bool = False) -> None:
    """Write training data of many small and a few large files, one bad line unless `is_valid`, and the manifest."""
    chance = random.Random(7)
    turn = '{{"messages": [{{"role": "user", "content": "{}"}}, {{"role": "assistant", "content": "{}"}}]}}\n'
    sizes = {f"corpus/encyclopedia-{part:02}.jsonl": 30_000_000 for part in range(1, 5)}
    sizes |= {
        f"chats/2025-{month:02}/{part:03}.jsonl": 450_000 for month in range(1, 13) for part in range(1, 13)
    }
    lines = []
    for path, size in sizes.items():
        chat = path.startswith("chats/")
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w") as stream:
            written = 0
            while written < size * (1.0 if not chat else chance.uniform(0.7, 1.3)):
                words = f"{chance.getrandbits(2400):x}"
                line = turn.format(words[:200], words[200:]) if chat else f'{{"text": "{words}"}}\n'
                written += stream.write(line)
        lines.append(json.dumps({"path": path, "purpose": "fine-tune" if chat else "pre-train"}))
    if not is_valid:
        with (folder / "chats/2025-02/011.jsonl").open("a") as stream:
            stream.write(turn.format("Why two tides?", "The Moon.").replace('"user"', '"usr"'))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")


@contextmanager
def sandbox() -> Iterator[dict[str, str]]:
    """Serve, and yield the environment of a command that is to use it."""
    command = [sys.executable, "-m", "bulk_upload", "sandbox", "--faults", FAULTS]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stderr is not None
            if "listens on" not in serving.stderr.readline():
                raise SystemExit("the sandbox did not start; is port 8099 free?")
            kept = {
                name: one
                for name, one in os.environ.items()
                if not name.startswith(("SEEKR_", "BULK_UPLOAD_"))
            }
            yield {
                **kept,
                "SEEKR_BASE_URL": "http://127.0.0.1:8099",
                "SEEKR_API_KEY": "sandbox-key",
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
            }
        finally:
            serving.terminate()


def watch(
    folder: Path,
    env: dict[str, str],
    on_change: Callable[[Screen], bool],
    *,
    columns: int = COLUMNS,
    rows: int = ROWS,
) -> Screen:
    """Run the command on a pseudo-terminal and return how its screen looks at the end.

    `on_change` is called with each screen; where it returns true, the run is interrupted as by Ctrl-C.
    """
    screen = Screen(columns, rows)
    stream = pyte.ByteStream(screen)
    stream.feed(f"\x1b[32m$\x1b[0m {COMMAND}\r\n".encode())
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    arguments = [sys.executable, "-m", "bulk_upload", *COMMAND.split()[1:]]
    with subprocess.Popen(
        arguments, cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    ) as running:
        os.close(theirs)
        while True:
            readable, _, _ = select.select([ours], [], [], 0.2)
            if readable:
                try:
                    stream.feed(os.read(ours, 65536))
                except OSError:
                    break
            if on_change(screen):
                running.send_signal(signal.SIGINT)
        running.wait()
    os.close(ours)
    stream.feed(b"\x1b[32m$\x1b[0m ")
    return screen


def picture(screen: Screen) -> str:
    """Return a screen as an SVG that needs nothing else."""
    rows = len("\n".join(line.rstrip() for line in screen.display).rstrip().splitlines())
    width, height = screen.columns * CHAR_W + 2 * PADDING, rows * LINE_H + 2 * PADDING
    fonts = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(COMMAND)}</title>",
        f"<style>text{{font-family:{fonts};font-size:{FONT_PX}px;white-space:pre}}</style>",
        f'<rect width="{width:g}" height="{height:g}" rx="8" fill="{BACKGROUND}"/>',
    ]
    for row in range(rows):
        parts += _row(screen, row)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(screen: Screen, row: int) -> Iterator[str]:
    cells = [screen.buffer[row][column] for column in range(screen.columns)]
    top = PADDING + row * LINE_H
    column = 0
    for (fill, bold, is_bar), run in groupby(
        cells, key=lambda cell: (_colour(cell.fg), cell.bold, cell.data in BARS)
    ):
        text = "".join(cell.data for cell in run)
        left = PADDING + column * CHAR_W
        column += len(text)
        if is_bar:
            begin, end = BARS[text[0]][0], len(text) - 1 + BARS[text[-1]][1]
            yield (
                f'<rect x="{left + begin * CHAR_W:.1f}" y="{top + LINE_H / 2 - 1.5:g}" '
                f'width="{(end - begin) * CHAR_W:.1f}" height="3" rx="1.5" fill="{fill}"/>'
            )
            continue
        # Not every program that shows an SVG keeps a row of spaces.
        for words in re.finditer(r"\S+(?: \S+)*", text):
            weight = ' font-weight="bold"' if bold else ""
            yield (
                f'<text x="{left + words.start() * CHAR_W:.1f}" y="{top + LINE_H - 5}" '
                f'textLength="{len(words[0]) * CHAR_W:.1f}" fill="{fill}"{weight}>{escape(words[0])}</text>'
            )


def _colour(name: str) -> str:
    if name == "default":
        return FOREGROUND
    return COLOURS.get(name) or f"#{name}"


def draw_moments(folder: Path, columns: int, rows: int) -> None:
    """Draw each moment of runs on a terminal of this size."""

    def keep(moment: str, screen: Screen) -> None:
        (folder / f"{moment}-{columns}x{rows}.svg").write_text(picture(screen), encoding="utf-8")

    kept: set[str] = set()

    def keeping(screen: Screen) -> bool:
        for moment, is_now in MOMENTS.items():
            if moment not in kept and is_now(screen.text):
                kept.add(moment)
                keep(moment, screen)
        return False

    def interrupting(screen: Screen) -> bool:
        if "drain" not in kept and "draining: " in screen.text:
            kept.add("drain")
            keep("drain", screen)
        if "interrupted" in kept or not MOMENTS["middle"](screen.text):
            return False
        kept.add("interrupted")
        return True

    for moment, on_change, is_valid in (
        ("bad-end", keeping, False),
        ("interrupted-end", interrupting, True),
        ("good-end", lambda _: False, True),
    ):
        with tempfile.TemporaryDirectory() as data, sandbox() as env:
            lay_out(Path(data) / "datasets", is_valid=is_valid)
            keep(moment, watch(Path(data), env, on_change, columns=columns, rows=rows))
    if missing := {*MOMENTS, "drain"} - kept:
        raise SystemExit(f"moments that did not come: {', '.join(sorted(missing))}")


MOMENTS: dict[str, Callable[[str], bool]] = {
    "start": lambda text: "in flight" in text and "sending" in text,
    "middle": lambda text: re.search(r"files .* [45]\d %", text) is not None and "waiting" not in text,
    "pause": lambda text: "waiting 3 s" in text and text.count("sending") >= 2,
}


def main() -> None:
    """Run, and write the pictures."""
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        for columns, rows in SIZES:
            draw_moments(folder, columns, rows)
        return
    running: list[str] = []

    def on_change(screen: Screen) -> bool:
        if not running and MOMENTS["pause"](screen.text):
            running.append(picture(screen))
        return False

    with tempfile.TemporaryDirectory() as data:
        lay_out(Path(data) / "datasets")
        with sandbox() as env:
            ended = watch(Path(data), env, on_change)
    if not running:
        raise SystemExit(f"the moment did not come; the end:\n{ended.text}")
    (HERE / "running.svg").write_text(running[0], encoding="utf-8")
    (HERE / "ended.svg").write_text(picture(ended), encoding="utf-8")


if __name__ == "__main__":
    main()
