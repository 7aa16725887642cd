"""`bulk-upload report`: a ledger as one page for a browser."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from bulk_upload.cli.options.ledger_name import LEDGER
from bulk_upload.cli.options.private import private_option
from bulk_upload.cli.output.streams import tell, writing_stdout
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.data_warnings import warnings_by_rule
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.edge.output import replaced
from bulk_upload.errors import UsageError
from bulk_upload.report.page.figures import figures_of
from bulk_upload.report.page.page import OTHER_STATES, ROWS_MAX, JobHeading, causes_of, write_page
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from bulk_upload.core.report.export import ExportRow


@click.command("report", short_help="Write an HTML report about a ledger.")
@click.argument("ledger_path", type=LEDGER, metavar="LEDGER")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Output file (default: <ledger stem>.report.html beside the ledger); - is standard output.",
)
@click.option(
    "--rows-max",
    type=click.IntRange(0),
    metavar="N",
    default=ROWS_MAX,
    show_default=True,
    help="Maximum rows per table; the page says if rows are left out.",
)
@private_option
def report(ledger_path: str, *, output: str | None, rows_max: int, private: bool) -> None:
    """Write an HTML report about LEDGER: the state of the job, its history, and every receipt, searchable.

    The report is one file that loads nothing from the network. You can write it during a run, too. LEDGER may also be its manifest or folder.

    \b
      bulk-upload report datasets/manifest.ledger.db -o report.html
    """
    with LedgerReader(ledger_path) as reader:
        if output == "-":
            with writing_stdout():
                _write(sys.stdout.buffer, reader, ledger_path, rows_max)
                sys.stdout.buffer.flush()
            return
        path = output or ledger_path.removesuffix(".ledger.db").removesuffix(".db") + ".report.html"
        try:
            with replaced(path, private=private) as stream:
                _write(stream, reader, ledger_path, rows_max)
        except OSError as error:
            raise UsageError(
                f"cannot write {printable(path)}: {error.strerror}", hint="choose another file with -o"
            ) from None
    tell(f"Report: {printable(path)}")


def _write(stream: BinaryIO, reader: LedgerReader, ledger_path: str, rows_max: int) -> None:
    job = reader.job()
    facts = []
    if job is not None:
        facts = [
            ("Endpoint", job.endpoint),
            ("Team", job.team or ""),
            ("Profile", job.profile),
            ("Root", job.root),
        ]
        facts += [("Job started", job.created_utc), ("Last active", job.last_alive_utc)]
    if dropped_count := reader.dropped_count():
        facts.append(("Dropped entries", f"{dropped_count:,}, not in the manifest of the last run"))
    write_page(
        stream,
        heading=JobHeading(
            ledger=ledger_path,
            facts=tuple((name, value) for name, value in facts if value),
            made_utc=utc_text(time.time())[:19].replace("T", " ") + " UTC",
            version=__version__,
        ),
        states=reader.states(),
        accepted_bytes=reader.accepted_bytes(),
        figures=figures_of(reader.runs(), reader.attempts(), reader.limit_changes(), reader.clock_steps()),
        causes=causes_of(_others(reader)),
        accepted=reader.rows(states=frozenset({EntryState.ACCEPTED})),
        others=_others(reader),
        warnings=warnings_by_rule(reader.data_warnings()),
        rows_max=rows_max,
    )


def _others(reader: LedgerReader) -> Iterator[ExportRow]:
    for state in OTHER_STATES:
        yield from reader.rows(states=frozenset({state}))
