"""The screen that shows what a folder holds, before anything is sent."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from bulk_upload.cli.folder.left_out import group_words
from bulk_upload.core.run.plan import MAY_SEND, Step
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.engine.folder.known_jobs import other_ledgers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.engine.folder.listing import FolderListing
    from bulk_upload.engine.folder.tally import Examples
    from bulk_upload.engine.plan import Plan

_NAMES_SHOWN = 3
_GROUPS_SHOWN = 6
_PATHS_SHOWN = 3


def folder_lines(listing: FolderListing, paths: Sequence[str], *, doing: str = "") -> Iterator[str]:
    """Yield what was found: files by purpose, those left out, and what is no data. A screen at most.

    How many of them are sent is for the plan to say. `doing` says what is done with all of them.
    """
    tally = listing.tally
    purposes = listing.totals()
    count = sum(one for one, _ in purposes.values())
    size = sum(one for _, one in purposes.values())
    shown = ", ".join(printable(one) for one in paths[:_PATHS_SHOWN])
    more = f" and {len(paths) - _PATHS_SHOWN:,} more" if len(paths) > _PATHS_SHOWN else ""
    yield f"{shown}{more}: {files(count)}{doing}, {human_bytes(size)}"
    if not listing.place.is_whole:
        yield f"  as a part of {printable(listing.place.root)}: other files of that folder are left alone"
    width = max(map(len, purposes), default=0)
    for purpose, (purpose_count, purpose_bytes) in sorted(purposes.items()):
        yield f"  {printable(purpose):<{width}}  {files(purpose_count)}, {human_bytes(purpose_bytes)}"
    groups = [tally.undecided.groups[number] for number in listing.left_out]
    for group in sorted(groups, key=lambda one: -one.count)[:_GROUPS_SHOWN]:
        yield f"  left out: {group_words(group)}"
    if len(groups) > _GROUPS_SHOWN:
        rest = sum(one.count for one in groups) - sum(
            one.count for one in sorted(groups, key=lambda one: -one.count)[:_GROUPS_SHOWN]
        )
        yield f"  left out: {files(rest)} for other reasons"
    if tally.unreadable.count:
        yield f"  not readable: {_with_reasons(tally.unreadable)}"
    if tally.skipped.count:
        yield f"  skipped: {_with_reasons(tally.skipped)}"
    if tally.own.count:
        yield f"  not data, of bulk-upload itself: {_with_reasons(tally.own)}"
    others = ((tally.hidden.count, "hidden"), (tally.unwanted_count, "not selected by options"))
    passed = ", ".join(f"{count:,} {words}" for count, words in others if count)
    if passed:
        yield f"  passed over: {passed}"


def to_upload_line(plan: Plan) -> str:
    """Return how many files of a folder a run would still send."""
    to_send = [plan.total(step) for step in MAY_SEND]
    count = sum(one.entry_count for one in to_send)
    accepted = plan.total(Step.SETTLED).entry_count
    if not count and accepted == plan.entry_count:
        return f"To upload: nothing; {_all_of(accepted)} accepted already"
    before = f"; {accepted:,} accepted already" if accepted else ""
    if not count:
        return f"To upload: nothing{before}; the others cannot be sent, or are not tried again, as above"
    size = sum(one.file_bytes for one in to_send)
    of_all = f"{count:,} of {files(plan.entry_count)}" if count < plan.entry_count else files(count)
    return f"To upload: {of_all}, {human_bytes(size)}{before}"


def _all_of(count: int) -> str:
    return "the only file is" if count == 1 else f"all {count:,} are"


def other_job_lines(listing: FolderListing, connection: Connection, *, ledger: str) -> Iterator[str]:
    """Yield a warning for each ledger in the folder whose job may have sent the same files: this one does not know."""
    found = (os.path.join(listing.place.root, path) for path in listing.tally.ledgers)
    for one in other_ledgers(found, listing.place.root, connection, ours=ledger):
        path = printable(one.path)
        yield f"bulk-upload: {path} is the ledger of another job, which may have sent files of this folder"
        if one.root == listing.place.root:
            yield f"  hint: to go on with that job, and send nothing twice, add --ledger {shlex.quote(path)}"
        else:
            yield f"  hint: to send nothing twice, leave its files out: --exclude {shlex.quote(_beneath(one.root, listing))}"


def _beneath(root: str, listing: FolderListing) -> str:
    return printable(f"/{os.path.relpath(root, listing.place.root)}/")


def files(count: int) -> str:
    """Return a number of files in words."""
    return "1 file" if count == 1 else f"{count:,} files"


def _with_reasons(examples: Examples) -> str:
    shown = ", ".join(
        f"{printable(path)} ({printable(reason)})" for path, reason in examples.shown[:_NAMES_SHOWN]
    )
    more = ", …" if examples.count > _NAMES_SHOWN else ""
    return f"{examples.count:,}: {shown}{more}"
