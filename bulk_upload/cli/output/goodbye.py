"""The summary at the end of a run, for people. A run imports it when it has begun to send."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from bulk_upload.cli.output.streams import styled, tell, told_columns, told_rows
from bulk_upload.cli.related_commands import data_commands
from bulk_upload.core.model import EntryState
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.errors import LedgerUnusable
from bulk_upload.report.live.run_summary import closing_lines
from bulk_upload.report.live.verdict import NONE_DROPPED, DataCommands, Dropped

if TYPE_CHECKING:
    from bulk_upload.cli.run_request import RunRequest
    from bulk_upload.core.report.tally import Tally
    from bulk_upload.job_run import Result


def say_goodbye(
    request: RunRequest, tally: Tally, result: Result, elapsed_s: float, results_path: str | None
) -> None:
    """Print how a run ended, and what comes next."""
    lines = closing_lines(
        tally,
        result.states,
        stop=result.stop,
        status=result.status,
        elapsed_s=elapsed_s,
        ledger_path=_as_typed(result.ledger, request.named or request.job.manifest),
        results_path=None
        if results_path is None
        else _as_typed(results_path, request.named or request.job.manifest),
        rerun_command=request.command,
        dropped=_dropped(request, result),
        uncompared_count=result.uncompared_count,
        list_decides=request.connection.profile.list_decides,
        data_commands=_data_commands(request, tally, result),
        columns=told_columns(),
        rows=told_rows(),
    )
    for line in styled(lines):
        tell(line)


def _dropped(request: RunRequest, result: Result) -> Dropped:
    """Return what the ledger has besides the entries of the run."""
    if not result.dropped_count:
        return NONE_DROPPED
    has_files = True
    with suppress(LedgerUnusable), LedgerReader(result.ledger) as reader:
        has_files = reader.has_dropped_files()
    listing = request.listing
    return Dropped(
        entry_count=result.dropped_count,
        has_files=has_files,
        in_folder=listing is not None,
        is_selected=listing is not None and listing.tally.unwanted_count > 0,
    )


def _data_commands(request: RunRequest, tally: Tally, result: Result) -> DataCommands:
    """Return what leads on from invalid data; nothing where there is none."""
    invalid_count = result.states.get(EntryState.INVALID, 0)
    if not invalid_count:
        return DataCommands()
    # Of several files `validate` names what each of them needs.
    is_only_one = tally.convertible_count == invalid_count == 1
    return data_commands(
        request.validate_command,
        tally.convertible if is_only_one else None,
        ledger=result.ledger,
        schema_file=request.schema_file,
        is_folder=request.listing is not None,
    )


def _as_typed(path: str, manifest: str) -> str:
    """Return a path relative to the current folder if it lies there and the manifest was given so, else unchanged."""
    here = os.getcwd()
    if os.path.isabs(manifest) or os.path.commonpath([here, os.path.abspath(path)]) != here:
        return path
    return os.path.relpath(path)
