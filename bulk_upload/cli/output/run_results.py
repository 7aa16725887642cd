"""The results of a run as files: one that grows during the run, and the mapping that is replaced at its end."""

from __future__ import annotations

import os
import shlex
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.cli.output.streams import STANDARD_OUTPUT, tell
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.errors import LedgerUnusable, UsageError
from bulk_upload.report.files.results_stream import ResultStream
from bulk_upload.report.files.rows import RowFormat, save_rows

if TYPE_CHECKING:
    from bulk_upload.job_run import Result

NO_RESULTS = "none"


def open_results(name: str | None, *, private: bool) -> ResultStream | None:
    """Return the stream of results, None where none is requested. Raises UsageError."""
    if name in (None, NO_RESULTS):
        return None
    if name == STANDARD_OUTPUT:
        return ResultStream(sys.stdout.buffer, _utc_now)
    try:
        return ResultStream.append_to(str(name), _utc_now, private=private)
    except OSError as error:
        raise UsageError(
            f"cannot write results to {printable(str(name))}: {error.strerror}",
            hint="choose another file with --results, or - for standard output",
        ) from None


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the result files at the end of a run. `path` is None where no mapping was written."""

    path: str | None
    is_complete: bool


def save_results(name: str | None, stream: ResultStream | None, result: Result, *, private: bool) -> Saved:
    """Write the mapping, and report which result file is stale or incomplete."""
    missing = stream is not None and stream.failure is not None
    if stream is not None and stream.failure is not None:
        tell(f"bulk-upload: results are missing from --results {printable(str(name))}: {stream.failure}")
    path = None if name == NO_RESULTS else f"{stem_of(result.ledger)}.results.csv"
    why = None if path is None else _save_mapping(result.ledger, path, private=private)
    if path is not None and why is not None:
        stale = " and is stale: it is from an earlier run" if os.path.lexists(path) else ""
        tell(f"bulk-upload: {printable(path)} cannot be written{stale}: {why}")
    if missing or why is not None:
        ledger = printable(shlex.quote(result.ledger))
        tell(
            f"  hint: the ledger has all results; `bulk-upload ledger export {ledger} -o FILE` writes them again"
        )
    return Saved(path=path if why is None else None, is_complete=not missing and why is None)


def stem_of(ledger: str) -> str:
    """Return the prefix of the names of all files beside a ledger."""
    return ledger.removesuffix(".ledger.db").removesuffix(".db")


def _save_mapping(ledger: str, path: str, *, private: bool) -> str | None:
    """Write the mapping; return why it could not be."""
    try:
        with LedgerReader(ledger) as reader:
            save_rows(reader.rows(), path, RowFormat.CSV, private=private)
    except OSError as error:
        return printable(error.strerror or str(error))
    except LedgerUnusable as error:
        return printable(str(error))
    return None


def _utc_now() -> str:
    return utc_text(time.time())
