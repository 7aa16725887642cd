"""`bulk-upload undo`: delete a job's files from the server."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import click

from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.ledger import job_ledger_of, person, require_yes
from bulk_upload.cli.options.ledger_name import LEDGER
from bulk_upload.cli.options.sections import ServerCommand
from bulk_upload.cli.options.server import server_options
from bulk_upload.cli.options.units import WORD
from bulk_upload.cli.output.json_output import json_option, put_json
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.core.report.json_shapes import UndoneFile
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.core.text.wording import dropped_words
from bulk_upload.edge.ledger import Deleted, LedgerReader
from bulk_upload.edge.manifest_file import STANDARD_INPUT, is_standard_input
from bulk_upload.edge.signals import staged_signals, status_after
from bulk_upload.engine.after.undo import ADOPTED, UndoScope
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from bulk_upload.core.run.verify import SecondCopy
    from bulk_upload.engine.after.undo import Undoing, Undone
    from bulk_upload.job_ledger import JobLedger

ADOPTED_SHOWN_MAX = 20

_DUPLICATES = "duplicates"


@click.command("undo", cls=ServerCommand)
@click.argument("ledger", type=LEDGER, shell_complete=file_names)
@click.argument("file_ids", metavar="[ID]...", nargs=-1)
@click.option(
    "--only",
    type=click.Choice([UndoScope.SUPERSEDED.value, UndoScope.DROPPED.value, _DUPLICATES]),
    help="superseded: older versions of files that were uploaded again. dropped: files of entries that the manifest of "
    "the last run no longer has. duplicates: second copies left by "
    "lost answers, if their content is what was sent and the file of the receipt is there; with IDs only these, "
    "also where no lost answer explains them.",
)
@click.option(
    "--manifest",
    type=WORD,
    metavar="FILE",
    help="With --only dropped: the manifest that counts, where runs of this ledger had several; it must be that of the "
    "last run.",
)
@click.option(
    "--adopted",
    is_flag=True,
    help="Also delete files whose ID did not come with the answer to their upload: it was found in the server's list, "
    "or named by a person. Without it they are kept.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be deleted; delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option("a JSON object per file")
@server_options
def undo(
    ledger: str,
    file_ids: tuple[str, ...],
    *,
    only: str | None,
    manifest: str | None,
    adopted: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Delete the files of LEDGER's job from the server, and nothing else; asks first.

    Each file is looked up before it is deleted, and kept if it is not what was sent. Each deletion is recorded
    before its request and when it is done: after an interruption, run the same command again to continue. Entries
    whose file was deleted become pending; the next run would upload them again. LEDGER may also be its manifest or folder.

    \b
    Examples:
      bulk-upload undo manifest.ledger.db --dry-run
      bulk-upload undo manifest.ledger.db --adopted
      bulk-upload undo manifest.ledger.db --only superseded
      bulk-upload undo manifest.ledger.db --only dropped
      bulk-upload undo manifest.ledger.db --only duplicates file-1f
    """
    if file_ids and only != _DUPLICATES:
        raise UsageError("an ID says which second copy to delete", hint="add --only duplicates")
    if only == UndoScope.DROPPED:
        _require_one_manifest(ledger, manifest)
    elif manifest is not None:
        raise UsageError("--manifest says what was dropped", hint="add --only dropped")
    if adopted and only == _DUPLICATES:
        raise UsageError("second copies have no receipt that could be adopted", hint="leave --adopted out")
    job = job_ledger_of(ledger, options)
    named = frozenset(file_ids)
    told = UndoTold(as_json=as_json)
    if only == _DUPLICATES:
        return anyio.run(
            partial(_undo_duplicates, job, ledger, told=told, named=named, dry_run=dry_run, yes=yes)
        )
    scope = UndoScope(only or UndoScope.ALL)
    return anyio.run(
        partial(_undo, job, ledger, told=told, scope=scope, adopted=adopted, dry_run=dry_run, yes=yes)
    )


async def _undo(
    job: JobLedger, ledger: str, *, told: UndoTold, scope: UndoScope, adopted: bool, dry_run: bool, yes: bool
) -> int:
    tell(f"server: {printable(job.facts.endpoint)}")
    _warn_of_doubts(ledger)
    if scope is UndoScope.SUPERSEDED:
        _point_at_dropped(ledger)
    async with job.undoing(asked_by=person(), on_undone=told.tell) as undoing:
        count, size = await undoing.total(scope, adopted=False)
        adopted_count, adopted_size = await undoing.total(scope, adopted=True)
        kept_count = 0 if adopted else adopted_count
        if adopted:
            count, size = count + adopted_count, size + adopted_size
        if dry_run:
            for is_adopted in (True, False)[0 if adopted else 1 :]:
                async for one in undoing.preview(scope, adopted=is_adopted):
                    told.preview(one.file_id, one.path)
            tell(f"Would delete {_files(count)}, {human_bytes(size)}.")
            if kept_count:
                tell(f"Would keep {_files(kept_count)} whose ID was adopted; --adopted deletes them, too.")
            return ExitStatus.DONE
        if not count:
            # Those that are kept are named; nothing has to be confirmed.
            await undoing.receipts(scope)
            tell("Nothing to delete.")
            return told.conclude([]) if kept_count else ExitStatus.DONE
        if adopted and adopted_count:
            await _list_adopted(undoing, scope, adopted_count)
        what = f"{_files(count)} ({human_bytes(size)}) from {printable(job.facts.endpoint)}"
        require_yes(f"Delete {what}? This cannot be undone.", yes=yes)
        stopped_by: list[signal.Signals] = []
        with staged_signals((_stop(undoing, stopped_by),), leave=status_after):
            await undoing.finish()
            await undoing.receipts(scope, adopted=adopted)
    return told.conclude(stopped_by)


async def _list_adopted(undoing: Undoing, scope: UndoScope, count: int) -> None:
    """List the files that an answer to an upload did not name, before the question."""
    tell(f"{_files(count)} whose ID was adopted, from the server's list or a person:")
    shown_count = 0
    async for one in undoing.preview(scope, adopted=True):
        if shown_count == ADOPTED_SHOWN_MAX:
            tell(f"  and {count - shown_count:,} more; --dry-run lists all")
            return
        shown_count += 1
        tell(f"  {one.file_id}  {printable(one.path)}")


async def _undo_duplicates(
    job: JobLedger, ledger: str, *, told: UndoTold, named: frozenset[str], dry_run: bool, yes: bool
) -> int:
    tell(f"server: {printable(job.facts.endpoint)}")
    _warn_of_doubts(ledger)
    copies = await _duplicates(job, named)
    # The others are kept whatever the answer is, so the question does not count them.
    eligible = [one for one in copies if one.attempt_ids or named]
    count, size = len(eligible), sum(one.file_bytes for one in eligible)
    async with job.undoing(asked_by=person(), on_undone=told.tell) as undoing:
        if dry_run:
            for copy in eligible:
                told.preview(copy.file.file_id, copy.path)
            tell(f"Would delete {_files(count)}, {human_bytes(size)}.")
            if len(copies) > len(eligible):
                kept = _files(len(copies) - len(eligible))
                tell(f"Would keep {kept}: no lost answer explains them, they may belong to another job.")
            return ExitStatus.DONE
        if not count:
            # What is left is kept: nothing is deleted, and nothing has to be confirmed.
            await undoing.duplicates(copies)
            tell("Nothing to delete.")
            return ExitStatus.SOME_FAILED if copies else ExitStatus.DONE
        what = f"{_files(count)} ({human_bytes(size)}) from {printable(job.facts.endpoint)}"
        require_yes(f"Delete {what}? This cannot be undone.", yes=yes)
        stopped_by: list[signal.Signals] = []
        with staged_signals((_stop(undoing, stopped_by),), leave=status_after):
            await undoing.finish()
            await undoing.duplicates(copies, named=named)
    return told.conclude(stopped_by)


def _require_one_manifest(ledger: str, manifest: str | None) -> None:
    """Raise UsageError where it is not certain which manifest an entry has to be missing from to be dropped."""
    with LedgerReader(ledger) as reader:
        manifests = reader.manifests()
    last = manifests[0] if manifests else None
    if manifest is not None and last is not None:
        name = STANDARD_INPUT if is_standard_input(manifest) else os.path.abspath(manifest)
        if name != last:
            raise UsageError(
                f"the last run of this ledger was for {printable(last)}, not {printable(name)}",
                hint="run the manifest that counts first, so that the ledger knows what it no longer has",
            )
    elif last is not None and len(manifests) > 1:
        others = ", ".join(map(printable, manifests[1:3])) + (", ..." if len(manifests) > 3 else "")
        raise UsageError(
            f"runs of this ledger had other manifests, too ({others}): their entries would count as dropped",
            hint=f"if {printable(last)} alone counts, pass --manifest {printable(shlex.quote(last))}",
        )


def _stop(undoing: Undoing, stopped_by: list[signal.Signals]) -> Callable[[signal.Signals], None]:
    def stop(number: signal.Signals) -> None:
        tell(f"{number.name}: finishing the deletions in progress; a second signal exits")
        stopped_by.append(number)
        undoing.stop()

    return stop


def _warn_of_doubts(ledger: str) -> None:
    with LedgerReader(ledger) as reader:
        count = sum(one.attempt_id is not None for one in reader.doubts())
    if count:
        tell(f"warning: {count:,} in doubt: the server may have their files, without a receipt")
        tell("  hint: run `bulk-upload resolve LEDGER reconcile` first to find out")


def _point_at_dropped(ledger: str) -> None:
    with LedgerReader(ledger) as reader:
        count = reader.dropped_count() if reader.has_dropped_files() else 0
        in_folder = reader.is_of_folder()
    if count:
        tell(f"note: {dropped_words(count, in_folder=in_folder)}; --only dropped deletes their files")


async def _duplicates(job: JobLedger, named: frozenset[str]) -> list[SecondCopy]:
    """Return the second copies at the server, of `named` ones only these."""
    async with job.verifying() as verifier:
        copies = await verifier.duplicates()
    unknown = named - {one.file.file_id for one in copies}
    if unknown:
        raise UsageError(
            f"{printable(min(unknown))} is no second copy of a file of this job",
            hint="`bulk-upload verify LEDGER` shows the IDs of duplicates",
        )
    return [one for one in copies if not named or one.file.file_id in named]


_KEPT_SHOWN_MAX = 5
"""So many of the adopted files that are kept are shown: their reason is the same for all."""


class UndoTold:
    """Prints the result for each file, and a summary at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._counts: Counter[Deleted | None] = Counter()
        self._adopted_count = 0

    def preview(self, file_id: str, path: str) -> None:
        """Print a file that would be deleted."""
        if self._as_json:
            put_json(UndoneFile(file_id=file_id, path=path, outcome="would-delete", reason=None))
        else:
            put(f"{file_id}  {printable(path)}\n")

    def tell(self, one: Undone) -> None:
        """Print one file's result: deletions are data, the others are for people.

        Adopted files that are kept have one reason: of these a few are shown, and the summary counts them.
        """
        self._counts[one.outcome] += 1
        is_adopted = one.outcome is Deleted.KEPT and one.reason == ADOPTED
        self._adopted_count += is_adopted
        if self._as_json:
            outcome = str(one.outcome or "unknown")
            put_json(
                UndoneFile(file_id=one.file_id, path=one.path, outcome=outcome, reason=one.reason or None)
            )
            return
        if is_adopted and self._adopted_count > _KEPT_SHOWN_MAX:
            return
        line = f"{one.outcome or 'unknown':<8}  {one.file_id}  {printable(one.path)}"
        put(f"{line}\n" if not one.reason or is_adopted else f"{line}  {printable(one.reason)}\n")

    def conclude(self, stopped_by: list[signal.Signals]) -> ExitStatus:
        """Print the summary and return the verdict."""
        counts = self._counts
        tell(f"Deleted {_files(counts[Deleted.DELETED])}; already gone: {counts[Deleted.GONE]:,}.")
        if self._adopted_count:
            shown = "" if self._as_json or self._adopted_count <= _KEPT_SHOWN_MAX else "; --json names all"
            tell(
                f"Kept {_files(self._adopted_count)} whose ID did not come with the answer to an upload, but was adopted: "
                f"--adopted deletes them{shown}."
            )
        if others := counts[Deleted.KEPT] - self._adopted_count:
            tell(f"Kept {_files(others)}: see the reasons above.")
        if counts[None]:
            tell(f"No answer about {_files(counts[None])}: run the same command again.")
        if stopped_by:
            tell("Stopped: run the same command again to continue.")
            return status_after(stopped_by[0])
        if counts[None]:
            return ExitStatus.UNFINISHED
        return ExitStatus.SOME_FAILED if counts[Deleted.KEPT] else ExitStatus.DONE


def _files(count: int) -> str:
    return f"{count:,} {'file' if count == 1 else 'files'}"
