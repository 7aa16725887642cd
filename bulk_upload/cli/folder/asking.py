"""The questions before a folder is uploaded: on a terminal only."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bulk_upload.cli.folder.left_out import answer_options, group_words
from bulk_upload.cli.folder.screen import files
from bulk_upload.cli.output.questions import answer_to, is_agreed
from bulk_upload.cli.output.streams import tell
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.core.text.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.engine.folder.listing import FolderListing

_NONE_OF_THESE = "none"


def can_ask() -> bool:
    """Whether there is a person to answer: both the question and the answer go through a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask_purposes(listing: FolderListing, purposes: Sequence[str]) -> None:
    """Ask for the purpose of each group of files whose purpose cannot be told. Raises click.Abort at Ctrl-C or Ctrl-D."""
    groups = sorted(
        (listing.tally.undecided.groups[number] for number in listing.open_groups), key=lambda one: -one.count
    )
    if not groups:
        return
    tell(f"Purposes: {', '.join(map(printable, purposes))}.")
    tell(f"Enter leaves files out; {_NONE_OF_THESE} leaves out all that are left.")
    answer = ""
    for group in groups:
        if answer != _NONE_OF_THESE:
            tell(f"  {group_words(group)}")
            guess = f", perhaps {group.guess}" if group.guess is not None else ""
            answer = _answer(f"  purpose of {files(group.count)}{guess}", purposes)
        listing.decide(group.number, answer if answer in purposes else None)
    options = [
        option
        for group in groups
        for option in answer_options(listing.tally.undecided, group, listing.purpose_of_group(group.number))
    ]
    if options:
        tell(f"To be asked nothing next time, add: {' '.join(options)}")


def _answer(question: str, purposes: Sequence[str]) -> str:
    while True:
        text = answer_to(question)
        if text in ("", _NONE_OF_THESE, *purposes):
            return text
        meant = did_you_mean(text, tuple(purposes)) or f"Type one of those above, {_NONE_OF_THESE}, or Enter."
        tell(f"  {printable(text)} is not a known purpose. {meant}".rstrip())


def confirm(count: int, size: int, endpoint: str) -> bool:
    """Ask whether to upload so many files with so many bytes. Raises click.Abort at Ctrl-C or Ctrl-D."""
    question = f"Upload {files(count)} ({human_bytes(size)}) to {printable(endpoint)}?"
    return is_agreed(question)
