"""Words for people go to stderr and may get lost; data goes to stdout and may not."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

import click

from bulk_upload.core.redaction import without_logins
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk_upload.errors import BulkUploadError

COLUMNS_MAX = 100
COLUMNS_MIN = 40
SHOWN_AFTER_S = 1.0
SHOWN_EVERY_S = 0.25


HIDDEN_CHARS_MIN = 8
"""A shorter key, such as one made up for a rehearsal, may be part of a word."""

_hidden: set[str] = set()


def hide(key: str) -> None:
    """Let no line for people show this key from now on: the exception of a bug may carry anything."""
    if len(key) >= HIDDEN_CHARS_MIN:
        _hidden.add(key)


class Voice(Protocol):
    """Says otherwise what would be lines for people: a program reads them."""

    def say(self, text: str) -> None:
        """Say what would be a line."""

    def fail(self, error: BulkUploadError) -> None:
        """Say why the command ends."""


_voices: list[Voice] = []


def speak_with(voice: Voice | None) -> None:
    """Let a voice say everything from now on; None speaks to people again."""
    _voices[:] = [] if voice is None else [voice]


def failed(error: BulkUploadError) -> bool:
    """Let the voice say why the command ends; return False where people are to be told."""
    for voice in _voices:
        voice.fail(error)
    return bool(_voices)


def tell(text: str = "") -> None:
    """Print a line for people. A log that cannot be written to must not end a job: then the line is dropped."""
    for key in _hidden:
        text = text.replace(key, "[key]")
    text = without_logins(text)
    for voice in _voices:
        voice.say(text)
        return
    with suppress(OSError):
        click.echo(text, err=True)


def put(text: str) -> None:
    """Print text on standard output, as it is.

    Raises UsageError when it cannot be written, and BrokenPipeError when nobody reads it any more.
    """
    with writing_stdout():
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


@contextmanager
def reading_shown(now: Callable[[], float] = time.monotonic) -> Iterator[Callable[[int], None] | None]:
    """Give what hears how many entries were read, and show that on a terminal; None where there is none.

    The line is there after a second only, and gone at the end: a short manifest leaves nothing to be seen.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    began_at = shown_at = now()
    shown = False

    def show(entry_count: int) -> None:
        nonlocal shown, shown_at
        at = now()
        if at - began_at >= SHOWN_AFTER_S and at - shown_at >= SHOWN_EVERY_S:
            shown, shown_at = True, at
            _draw(f"\rreading the manifest: {entry_count:,} entries so far")

    try:
        yield show
    finally:
        if shown:
            _draw("\r\x1b[2K")


def _draw(text: str) -> None:
    with suppress(OSError):
        click.echo(text, err=True, nl=False)


def told_columns() -> int:
    """Return where sentences on stderr are wrapped: at the terminal's edge, but never beyond a readable width."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return COLUMNS_MAX
    return max(COLUMNS_MIN, min(columns, COLUMNS_MAX))
