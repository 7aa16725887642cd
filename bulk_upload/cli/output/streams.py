"""Messages for people go to stderr and may be lost; data goes to stdout and may not."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Protocol

import click

from bulk_upload.core.api.redaction import Redaction
from bulk_upload.core.text.printable import COLUMNS_MAX
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from bulk_upload.errors import BulkUploadError
    from bulk_upload.report.live.status_line import StatusLine

COLUMNS_MIN = 40
STANDARD_OUTPUT = "-"
"""What a person writes in place of a file's name for standard output."""

_hidden = Redaction()


def hide(key: str) -> None:
    """Let no line for people show this key from now on: an exception from a bug may contain anything."""
    _hidden.learn(key)


class LogOutput(Protocol):
    """Replaces lines for people by another format, for programs."""

    def say(self, text: str) -> None:
        """Write a message."""

    def fail(self, error: BulkUploadError) -> None:
        """Write why the command ends."""


_outputs: list[LogOutput] = []


def send_lines_to(output: LogOutput) -> None:
    """Send all messages to an output from now on, to the end of `lines_for_people`."""
    _outputs[:] = [output]


@contextmanager
def lines_for_people() -> Iterator[None]:
    """Restore lines for people after the block: a command in it may send its messages elsewhere."""
    try:
        yield
    finally:
        _outputs.clear()


def failed(error: BulkUploadError) -> bool:
    """Let the output write why the command ends; return False where lines are for people."""
    for output in _outputs:
        output.fail(error)
    return bool(_outputs)


def tell(text: str = "") -> None:
    """Print a line for people. A log that cannot be written to must not end a job: then the line is dropped."""
    text = _hidden.clean(text)
    for output in _outputs:
        output.say(text)
        return
    with suppress(OSError), _status_line_away():
        click.echo(text, err=True)


_status_lines: list[StatusLine] = []


@contextmanager
def with_status_line(line: StatusLine | None) -> Iterator[None]:
    """Keep a line below everything printed in the block."""
    _status_lines[:] = [] if line is None else [line]
    try:
        yield
    finally:
        _status_lines.clear()


def _status_line_away() -> AbstractContextManager[None]:
    return _status_lines[0].away() if _status_lines else nullcontext()


def put(text: str) -> None:
    """Print text on standard output, as it is.

    Raises UsageError when it cannot be written, and BrokenPipeError when its reader is gone.
    """
    # A full pipe must not block the display.
    with writing_stdout(), _status_line_away() if sys.stdout.isatty() else nullcontext():
        click.echo(text, nl=False)


@contextmanager
def writing_stdout() -> Iterator[None]:
    """Turn a failure to write standard output, such as a full disk, into a UsageError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(
            f"cannot write standard output: {error.strerror}", hint="free some space, or write somewhere else"
        ) from None


def told_columns() -> int:
    """Return where sentences on stderr are wrapped: at the terminal's edge, but never beyond a readable width."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return COLUMNS_MAX
    # A terminal that nobody gave a size says 0.
    return max(COLUMNS_MIN, min(columns or COLUMNS_MAX, COLUMNS_MAX))


def told_rows() -> int | None:
    """Return how many rows a summary on stderr may take, with the prompt below it; None where it is no terminal."""
    try:
        rows = os.get_terminal_size(sys.stderr.fileno()).lines
    except (OSError, ValueError):
        return None
    return max(1, rows - 1) if rows else None


def styled(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines as they are, or, on a terminal, with the marks and colours that it can show."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield from lines
        return
    from rich.color import ColorSystem  # noqa: PLC0415 - costs start-up time where there is no terminal
    from rich.style import Style  # noqa: PLC0415

    from bulk_upload.report.live.marks import has_unicode  # noqa: PLC0415
    from bulk_upload.report.live.verdict import SummaryLine  # noqa: PLC0415

    unicode = has_unicode(sys.stderr.encoding)
    colours = None if os.environ.get("NO_COLOR") else ColorSystem.EIGHT_BIT
    for line in lines:
        if not isinstance(line, SummaryLine):
            yield line
            continue
        mark = line.mark if unicode else line.ascii_mark
        text = f"{mark} {line}" if mark else str(line)
        yield Style.parse(line.style).render(text, color_system=colours) if line.style and colours else text
