"""`bulk-upload ledger show` and `ledger export`: the mapping from path to file id."""

from __future__ import annotations

import sys
from contextlib import suppress

import click

from bulk_upload.core.display import printable
from bulk_upload.core.model import EntryState
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.errors import UsageError
from bulk_upload.report.rows import RowFormat, save_rows, write_rows


@click.group("ledger")
def ledger() -> None:
    """Show or export what a ledger knows."""


@ledger.command("show")
@click.argument("ledger_path", metavar="LEDGER")
@click.option("--limit", type=click.IntRange(0), default=100, show_default=True, help="Rows to show.")
@click.option(
    "--status",
    "states",
    multiple=True,
    type=click.Choice([one.value for one in EntryState]),
    help="Only entries in this state; may be repeated.",
)
def show(ledger_path: str, *, limit: int, states: tuple[str, ...]) -> None:
    """Show path, purpose, status, file id and size of every entry as a table."""
    from rich.console import Console  # noqa: PLC0415 - only this command draws

    from bulk_upload.report.mapping import mapping_table  # noqa: PLC0415

    wanted = frozenset(map(EntryState, states)) or frozenset(EntryState)
    with LedgerReader(ledger_path) as reader:
        count = sum(count for state, count in reader.states().items() if state in wanted)
        table = mapping_table(reader.rows(states=wanted), limit, count)
    Console().print(table)


@ledger.command("export")
@click.argument("ledger_path", metavar="LEDGER")
@click.option(
    "--format",
    "row_format",
    type=click.Choice([one.value for one in RowFormat]),
    default="csv",
    show_default=True,
    help="Form of the rows.",
)
@click.option(
    "-o", "--output", default="-", metavar="FILE", help="Where to; - is standard output.  [default: -]"
)
@click.option(
    "--all-receipts", is_flag=True, help="Also receipts that a newer version of the file superseded."
)
def export(ledger_path: str, *, row_format: str, output: str, all_receipts: bool) -> None:
    """Export one row for every entry, failed and doubtful ones included."""
    form = RowFormat(row_format)
    with LedgerReader(ledger_path) as reader:
        rows = reader.rows(all_receipts=all_receipts)
        if output == "-":
            write_rows(rows, sys.stdout.buffer, form)
            with suppress(BrokenPipeError):
                sys.stdout.buffer.flush()
            return
        try:
            count = save_rows(rows, output, form)
        except OSError as error:
            raise UsageError(
                f"cannot write {printable(output)}: {error.strerror}", hint="choose another file with -o"
            ) from None
    click.echo(f"{count:,} rows written to {printable(output)}", err=True)
