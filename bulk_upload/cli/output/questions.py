"""Questions to a person at a terminal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from bulk_upload.cli.output.streams import tell
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

_YES, _NO = ("y", "yes"), ("", "n", "no")


def answer_to(question: str) -> str:
    """Return what a person types, without white space around it. Raises click.Abort at Ctrl-C or Ctrl-D."""
    return str(click.prompt(question, default="", show_default=False, err=True)).strip()


def is_agreed(question: str) -> bool:
    """Ask until the answer is yes or no; Enter is no. Raises click.Abort at Ctrl-C or Ctrl-D."""
    while True:
        answer = answer_to(f"{question} [y/N]").lower()
        if answer in (*_YES, *_NO):
            return answer in _YES
        tell("  Type y for yes; n or Enter for no.")


@contextmanager
def ended_by_abort(words: str) -> Iterator[None]:
    """End the command with these words and exit code 130 where a question is left by Ctrl-C or Ctrl-D."""
    try:
        yield
    except click.Abort:
        tell(f"\n{words}")
        raise click.exceptions.Exit(ExitStatus.INTERRUPTED) from None
