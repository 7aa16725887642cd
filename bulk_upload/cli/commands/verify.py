"""`bulk-upload verify`: does every receipt still hold at the server?"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import anyio
import click

from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.ledger import job_ledger_of, person, require_yes
from bulk_upload.cli.options.ledger_name import LEDGER
from bulk_upload.cli.options.sections import ServerCommand
from bulk_upload.cli.options.server import server_options
from bulk_upload.cli.output.json_output import json_option
from bulk_upload.cli.output.status_line import command_progress_shown
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.core.run.verify import DifferenceKind, Standing
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.errors import BulkUploadError, LedgerUnusable
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.live.command_progress import CommandProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.core.run.verify import Difference
    from bulk_upload.engine.after.verify import Verified
    from bulk_upload.job_ledger import JobLedger

_MAY_BE_ANOTHER_JOBS = (
    "duplicate: {count:,} may belong to another job that sent the same files, no lost answer explains them; `undo` keeps "
    "these unless their IDs are given"
)
_MISSING = {
    Standing.CURRENT: "missing: {count:,} that someone deleted; the ledger still says accepted, until `verify LEDGER "
    "--withdraw` or `run --retry missing`",
    Standing.DROPPED: "missing: {count:,} of entries that the manifest no longer has; the ledger still says accepted, until "
    "`verify LEDGER --withdraw`",
    Standing.SUPERSEDED: "missing: {count:,} of older versions of files that were uploaded again: nothing is left to do",
    Standing.OPEN: "missing: {count:,} of entries that are not accepted now: `bulk-upload status LEDGER` says what to do",
}
_REMEDIES = {
    DifferenceKind.DUPLICATE: "duplicate: `bulk-upload undo LEDGER --only duplicates` deletes what lost answers left, if "
    "the content is the same",
    DifferenceKind.ORPHAN: "orphan: `bulk-upload resolve LEDGER` can adopt one for an entry in doubt",
}


@click.command("verify", cls=ServerCommand)
@click.argument("ledger", type=LEDGER, shell_complete=file_names)
@click.option("--content", is_flag=True, help="Also download every file and compare its hash.")
@click.option(
    "--withdraw",
    is_flag=True,
    help="Withdraw the receipts of files that the server no longer has; `run --retry withdrawn` then sends them again. "
    "Asks first.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option("a JSON object per difference")
@click.option("--quiet", is_flag=True, help="Print nothing unless something goes wrong.")
@server_options
def verify(
    ledger: str, *, content: bool, withdraw: bool, yes: bool, as_json: bool, quiet: bool, **options: Any
) -> int:
    """Compare every receipt of LEDGER with the server; changes nothing at the server.

    Files that the server no longer has are recorded, for `run --retry missing`. LEDGER may also be its manifest or folder.

    Each difference is a line on standard output: a file that is missing, renamed, resized, has another purpose or
    (--content) other content; and files on the server that match this job but have no receipt: duplicates and
    orphans. The exit code is 6 if there is any difference, otherwise 0.

    \b
    Examples:
      bulk-upload verify manifest.ledger.db
      bulk-upload verify manifest.ledger.db --json > differences.jsonl
      bulk-upload verify manifest.ledger.db --content
      bulk-upload verify manifest.ledger.db --withdraw
    """
    job = job_ledger_of(ledger, options)
    missing: list[Difference] = []
    verified = partial(_verify, job, ledger, missing, content=content, as_json=as_json, quiet=quiet)
    status, others_found = anyio.run(verified)
    if others_found:
        _note_missing(job, missing, quiet=quiet)
    if missing and withdraw:
        _withdraw(job, missing, others_found=others_found, yes=yes)
    return status


def _note_missing(job: JobLedger, missing: list[Difference], *, quiet: bool) -> None:
    """Record which files are missing; a ledger that cannot be written to keeps nobody from verifying it."""
    chosen = [one.file_id for one in missing if one.standing is Standing.CURRENT]
    try:
        count = job.note_missing(chosen, settle_s=RunSettings().settle_s)
    except LedgerUnusable as error:
        tell(f"Not recorded for `run --retry missing`: {error}")
        return
    if count and not quiet:
        tell(f"Recorded: {count:,} missing. `bulk-upload run --retry missing` sends these files again.")


def _withdraw(job: JobLedger, missing: list[Difference], *, others_found: bool, yes: bool) -> None:
    """Withdraw the receipts of missing files, unless the server shows no file of this job at all."""
    if not others_found:
        tell("Nothing was withdrawn: the server has no file of this job, so it may be another server.")
        tell("  hint: `bulk-upload undo LEDGER` makes entries pending whose files are gone")
        return
    chosen = [one for one in missing if one.standing is not None and one.standing.withdrawable]
    dropped_ids = [one.file_id for one in chosen if one.standing is Standing.DROPPED]
    current_ids = [one.file_id for one in chosen if one.standing is Standing.CURRENT]
    if chosen:
        require_yes(f"Withdraw {len(chosen):,} {'receipt' if len(chosen) == 1 else 'receipts'}?", yes=yes)

    async def withdraw() -> tuple[int, int]:
        settle_s = RunSettings().settle_s
        async with job.withdrawing(decided_by=person()) as withdrawals:
            return (
                await withdrawals.all_gone(current_ids, settle_s=settle_s),
                await withdrawals.all_gone(dropped_ids, settle_s=settle_s),
            )

    current_count, dropped_count = anyio.run(withdraw) if chosen else (0, 0)
    for line in _withdrawn(current_count, dropped_count, missing_count=len(missing)):
        tell(line)


def _withdrawn(current_count: int, dropped_count: int, *, missing_count: int) -> list[str]:
    lines = []
    count = current_count + dropped_count
    if dropped_count:
        lines.append(
            f"Withdrawn: {dropped_count:,} of entries that the manifest no longer has; no run sends these."
        )
    if current_count:
        again = "`bulk-upload run --retry withdrawn` sends these files again."
        lines.append(f"Withdrawn: {current_count:,}. {again}")
    elif not dropped_count:
        lines.append("Withdrawn: 0.")
    if count < missing_count:
        lines.append(
            f"Kept: {missing_count - count:,} of older versions, of entries that are not accepted now, or too new to count "
            "as gone."
        )
    return lines


async def _verify(
    job: JobLedger,
    ledger: str,
    missing: list[Difference],
    *,
    content: bool,
    as_json: bool,
    quiet: bool,
) -> tuple[ExitStatus, bool]:
    """Return the verdict, and whether the server has any file of a receipt; add those that it lacks to a list."""
    if not quiet:
        tell(f"server: {printable(job.facts.endpoint)}")
    counts: Counter[DifferenceKind] = Counter()
    standings: Counter[Standing | None] = Counter()
    unexplained_count = 0
    accepted = cache(partial(_accepted_in, ledger))
    async with job.verifying() as verifier:

        def progress() -> CommandProgress:
            return _progress(verifier.verified, accepted, content=content)

        with command_progress_shown(progress, quiet=quiet):
            async for difference in verifier.verify(content=content):
                counts[difference.kind] += 1
                unexplained_count += not difference.of_this_job
                if difference.kind is DifferenceKind.MISSING:
                    standings[difference.standing] += 1
                    missing.append(difference)
                put(_line(difference, as_json=as_json))
    if counts or not quiet:
        doubt_count = _in_doubt_in(ledger)
        for line in _summary(
            verifier.verified, counts, unexplained_count, doubt_count, standings, content=content
        ):
            tell(line)
    others_found = verifier.verified.receipt_count > counts[DifferenceKind.MISSING]
    return (ExitStatus.DIFFERENCES if counts else ExitStatus.DONE), others_found


def _line(one: Difference, *, as_json: bool) -> str:
    if as_json:
        fields = {"kind": one.kind, "file_id": one.file_id, "path": one.path, "detail": one.detail}
        return json.dumps(fields) + "\n"
    return f"{one.kind:<10}  {one.file_id}  {printable(one.path)}  {printable(one.detail)}\n"


def _progress(
    verified: Verified, accepted: Callable[[], tuple[int, int]], *, content: bool
) -> CommandProgress:
    if not verified.receipt_count and verified.has_list:
        return CommandProgress(doing="reading the server's list", count=verified.listed_count)
    entry_count, entry_bytes = accepted()
    # The total lacks receipts of earlier versions, whose number is unknown.
    more = verified.receipt_count > entry_count
    return CommandProgress(
        doing="verifying",
        count=verified.receipt_count,
        things="receipts",
        total=None if more else entry_count,
        byte_count=verified.content_bytes if content else None,
        byte_total=None if more or not content else entry_bytes,
    )


def _accepted_in(ledger: str) -> tuple[int, int]:
    """Return how many entries are accepted, and their bytes; zeros where the ledger cannot be read."""
    with suppress(BulkUploadError), LedgerReader(ledger) as reader:
        return reader.states(all_entries=True).get(EntryState.ACCEPTED, 0), reader.accepted_bytes(
            all_entries=True
        )
    return 0, 0


def _in_doubt_in(ledger: str) -> int:
    """Return how many entries are in doubt; zero where the ledger cannot be read."""
    with suppress(BulkUploadError), LedgerReader(ledger) as reader:
        return reader.states(all_entries=True).get(EntryState.IN_DOUBT, 0)
    return 0


def _summary(
    verified: Verified,
    counts: Counter[DifferenceKind],
    unexplained_count: int,
    doubt_count: int,
    standings: Mapping[Standing | None, int],
    *,
    content: bool,
) -> list[str]:
    lines = [
        f"Receipts: {verified.receipt_count:,}. "
        + (
            f"Files in the server's list: {verified.listed_count:,}."
            if verified.has_list
            else "Each was looked up: this server has no list, so other files of this job cannot be seen."
        )
        + (f" Downloaded and compared: {verified.content_count:,}." if content else "")
    ]
    if verified.no_hash_count:
        lines.append(f"Not compared, because no hash was recorded: {verified.no_hash_count:,}.")
    if verified.refused_count:
        lines.append(
            f"Not compared, because the server does not return their content: {verified.refused_count:,}. The first: "
            f"{printable(verified.refused_reason)}"
        )
    if not verified.has_names:
        lines.append("Names were not compared: the profile says that the server does not keep them.")
    if doubt_count:
        entries = "entry is" if doubt_count == 1 else "entries are"
        lines.append(
            f"{doubt_count:,} {entries} in doubt: the server may have their files, also under other names; "
            "`bulk-upload resolve LEDGER` shows them."
        )
    if not counts:
        others = "" if doubt_count or not verified.has_list else ", which has no other file of this job"
        return [*lines, f"Every receipt matches the server{others}."]
    lines.append(
        "Differences: " + ", ".join(f"{counts[kind]:,} {kind}" for kind in DifferenceKind if counts[kind])
    )
    remedied = counts - Counter({DifferenceKind.DUPLICATE: unexplained_count})
    lines += [
        f"  {words.format(count=standings[one])}" for one, words in _MISSING.items() if standings.get(one)
    ]
    lines += [f"  {words}" for kind, words in _REMEDIES.items() if remedied[kind]]
    if unexplained_count:
        lines.append(f"  {_MAY_BE_ANOTHER_JOBS.format(count=unexplained_count)}")
    return lines
