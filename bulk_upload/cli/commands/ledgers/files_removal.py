"""`bulk-upload files rm` at work: what is shown, asked, deleted and said at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.cli.output.file_lines import text_line
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bulk_upload.engine.files.removed import Removed
    from bulk_upload.job_files import ServerFiles

_NAMED_MAX = 20
"""Files that are shown before the question."""


async def remove(
    server: ServerFiles,
    wanted: Sequence[str],
    *,
    ledger: str | None,
    yes: bool,
    dry_run: bool,
    line: Callable[[Removed], str],
) -> ExitStatus:
    """Look the files up, show them, ask, and delete them; return how that ended.

    Args:
        ledger: where deletions are recorded.
        yes: do not ask.
        dry_run: show all of the files, and delete nothing.
        line: returns the line that is printed about a file.
    """
    from bulk_upload.cli.options.ledger import person, require_yes  # noqa: PLC0415

    async with server.inquiring() as inquiry:
        there = [file for one in wanted if (file := await inquiry.look_up(one)) is not None]
        absent_count = len(wanted) - len(there)
        if absent_count:
            tell(f"Not on the server: {absent_count:,} of {_files(len(wanted))}.")
        shown = there if dry_run else there[:_NAMED_MAX]
        for one in shown:
            (put if dry_run else _tell_line)(text_line(one))
        if len(there) > len(shown):
            tell(f"  and {len(there) - len(shown):,} more; --dry-run lists all")
        if dry_run:
            tell(f"Would delete {_files(len(there))}.")
            return ExitStatus.DONE
        if there:
            require_yes(f"Delete {_files(len(there))}? This cannot be undone.", yes=yes)
        removed = []
        # Of files that are gone already, too: a ledger may still have receipts for them.
        async with server.removing(inquiry, asked_by=person(), ledger_path=ledger) as removing:
            for file_id in wanted:
                removed.append(await removing.remove(file_id))
                put(line(removed[-1]))
    return _verdict(removed)


def _verdict(removed: Sequence[Removed]) -> ExitStatus:
    from bulk_upload.edge.ledger import Deleted  # noqa: PLC0415

    kept_count = sum(one.outcome is Deleted.KEPT for one in removed)
    open_count = sum(one.outcome is None for one in removed)
    gone_count = sum(one.outcome is Deleted.GONE for one in removed)
    deleted_count = len(removed) - kept_count - open_count - gone_count
    tell(
        f"Deleted: {deleted_count:,}."
        + (f" Already gone: {gone_count:,}." if gone_count else "")
        + (f" Kept: {kept_count:,}." if kept_count else "")
        + (f" Without an answer: {open_count:,}; run the same command again." if open_count else "")
    )
    if open_count:
        return ExitStatus.UNFINISHED
    return ExitStatus.SOME_FAILED if kept_count else ExitStatus.DONE


def _tell_line(line: str) -> None:
    tell(f"  {line.rstrip()}")


def _files(count: int) -> str:
    return f"{count:,} {'file' if count == 1 else 'files'}"
