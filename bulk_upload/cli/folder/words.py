"""Tells paths from commands: what is or resembles a command is never a path, unless it is spelled as one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.wording import nearest, quoted
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_ALWAYS_PATHS = (".", "..")


def is_path(word: str, commands: Collection[str], meant: Collection[str]) -> bool:
    """Whether the first word of a command line is a path.

    Args:
        word: the word.
        commands: the names of commands.
        meant: words that people type for one of these.

    Raises:
        UsageError: it resembles a command, and something has this name.
    """
    if word in commands or word.startswith("-"):
        return False
    if "/" in word or word in _ALWAYS_PATHS:
        return True
    exists = _exists(word)
    known = (*commands, *meant)
    if word in meant or nearest(word, known) is not None:
        if exists:
            raise _misspelt(word, commands)
        return False
    return exists


def names_paths_only(arguments: Sequence[str], commands: Collection[str]) -> bool:
    """Whether a command line that begins with an option has no command, but a path."""
    words = [one for one in arguments if not one.startswith("-")]
    return not any(one in commands for one in words) and any(
        "/" in one or one in _ALWAYS_PATHS or _exists(one) for one in words
    )


def _misspelt(word: str, commands: Collection[str]) -> UsageError:
    near = nearest(word, tuple(commands))
    suggestion = "" if near is None else f". Did you mean {quoted(near)}?"
    what = "folder" if os.path.isdir(word) else "file"
    return UsageError(
        f"there is no command {quoted(printable(word))}{suggestion}",
        hint=f"to upload the {what} of this name, write ./{printable(word)}",
    )


def _exists(word: str) -> bool:
    try:
        return os.path.lexists(word)
    except ValueError:
        return False
