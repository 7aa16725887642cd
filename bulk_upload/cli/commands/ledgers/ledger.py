"""`bulk-upload ledger`: show and export, the mapping from path to file id."""

from __future__ import annotations

import io
import sys
from itertools import islice
from typing import TYPE_CHECKING

import click

from bulk_upload.cli.commands.ledgers.rebuild import rebuild
from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.ledger_name import LEDGER
from bulk_upload.cli.options.private import private_option
from bulk_upload.cli.options.suggestions import SuggestingGroup
from bulk_upload.cli.options.units import WORD
from bulk_upload.cli.output.json_output import json_option
from bulk_upload.cli.output.streams import put, tell, writing_stdout
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.export import ExportRow
from bulk_upload.core.report.member_rows import MemberRow, member_rows, rows_by_path
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.wording import dropped_words
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.edge.pack import read_member_list
from bulk_upload.errors import UsageError
from bulk_upload.report.files.rows import RowFormat, json_line, save_rows, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from rich.table import Table

_SPARED_COLUMNS = ("purpose", "size")
"""Columns that are hidden on a narrow terminal, in this order."""

_PATH_COLUMNS_MIN = 28
"""Longer paths wrap before a column is hidden."""

_ALL_HELP = "Include entries that the manifest of the last run no longer has."


@click.group("ledger", cls=SuggestingGroup)
def ledger() -> None:
    """Show or export the contents of a ledger, or rebuild a lost one."""


ledger.add_command(rebuild)


@ledger.command("show", short_help="Show a table of path and file id.")
@click.argument("ledger_path", type=LEDGER, metavar="LEDGER", shell_complete=file_names)
@click.option(
    "--limit",
    type=click.IntRange(0),
    metavar="N",
    default=100,
    show_default=True,
    help="Maximum number of rows.",
)
@click.option(
    "--status",
    "states",
    multiple=True,
    type=click.Choice([one.value for one in EntryState]),
    help="Only entries in this state; repeatable.",
)
@click.option("--all", "all_entries", is_flag=True, help=_ALL_HELP)
@json_option("a JSON object per entry, as `ledger export` does")
def show(ledger_path: str, *, limit: int, states: tuple[str, ...], all_entries: bool, as_json: bool) -> None:
    """Show path, purpose, status, file id and size of every entry of the manifest as a table.

    Purpose and size are hidden on a narrow terminal; file ids are never cut, so you can copy them. LEDGER may also be its manifest or folder.

    \b
    Examples:
      bulk-upload ledger show manifest.ledger.db --status rejected --limit 20
    """
    chosen = frozenset(map(EntryState, states)) or frozenset(EntryState)
    if as_json:
        with LedgerReader(ledger_path) as reader:
            for row in islice(reader.rows(states=chosen, all_entries=all_entries), limit):
                put(json_line(row).decode("ascii"))
        return
    show_mapping(ledger_path, limit=limit, states=chosen, all_entries=all_entries)


def show_mapping(
    ledger_path: str, *, limit: int, states: frozenset[EntryState], all_entries: bool = False
) -> None:
    """Print the first `limit` entries that are in one of `states`, as a table that fits its output."""
    from rich.console import Console  # noqa: PLC0415 - only a table needs it

    from bulk_upload.report.files.mapping_table import mapping_table  # noqa: PLC0415

    with LedgerReader(ledger_path) as reader:
        found = reader.states(all_entries=all_entries)
        count = sum(count for state, count in found.items() if state in states)
        in_folder = reader.is_of_folder()
        table = mapping_table(reader.rows(states=states, all_entries=all_entries), limit, count)
        left_out = 0 if all_entries else reader.dropped_count()
    if left_out:
        tell(f"{dropped_words(left_out, in_folder=in_folder)}: see --all")
    if not count:
        tell("No entry is in this state." if states < frozenset(EntryState) else "The ledger has no entries.")
        return
    screen = Console()
    paper = io.TextIOWrapper(io.BytesIO(), sys.stdout.encoding, "backslashreplace", write_through=True)
    console = Console(file=paper, width=screen.width, force_terminal=screen.is_terminal)
    _fit(table, console)
    console.print(table)
    paper.seek(0)
    put("".join(f"{line.rstrip()}\n" for line in paper))


def _fit(table: Table, console: Console) -> None:
    """Keep ids whole: widen output that is not a terminal, and on a terminal hide less important columns."""
    from rich.measure import Measurement  # noqa: PLC0415 - only a table needs it

    table.show_edge = False
    columns = {str(column.header): column for column in table.columns}
    for name, column in columns.items():
        column.no_wrap = name != "path"

    def needed() -> int:
        return Measurement.get(console, console.options.update(width=sys.maxsize), table).maximum

    if not console.is_terminal:
        console.width = needed()
        return
    columns["path"].max_width = _PATH_COLUMNS_MIN
    for name in _SPARED_COLUMNS:
        if needed() > console.width:
            table.columns.remove(columns[name])
    columns["path"].max_width = None
    statuses = {str(cell) for cell in columns["status"].cells}
    if needed() > console.width and len(statuses) == 1:
        table.columns.remove(columns["status"])
        columns["file id"].header = f"file id ({statuses.pop()})"


@ledger.command("export", short_help="Export one row per entry as CSV, JSON Lines or Parquet.")
@click.argument("ledger_path", type=LEDGER, metavar="LEDGER", shell_complete=file_names)
@click.option(
    "--format",
    "row_format",
    type=click.Choice([one.value for one in RowFormat]),
    default="csv",
    show_default=True,
    help="Output format.",
)
@click.option(
    "-o",
    "--output",
    default="-",
    show_default=True,
    metavar="FILE",
    help="Output file; - is standard output.",
)
@click.option("--all", "all_entries", is_flag=True, help=_ALL_HELP)
@click.option(
    "--all-receipts",
    is_flag=True,
    help="As --all, and include receipts superseded by a newer version of the file.",
)
@click.option(
    "--members",
    "member_list",
    type=WORD,
    metavar="FILE",
    help="Export one row per file in the packs of this ledger instead, by the members.jsonl that `pack` wrote.",
)
@json_option("a JSON object per row (--format jsonl)")
@private_option
def export(
    ledger_path: str,
    *,
    row_format: str,
    as_json: bool,
    output: str,
    all_entries: bool,
    all_receipts: bool,
    member_list: str | None,
    private: bool,
) -> None:
    """Export one row per entry of the manifest, including failed entries and those in doubt.

    LEDGER may also be its manifest or folder.

    \b
    Examples:
      bulk-upload ledger export manifest.ledger.db -o mapping.csv
      bulk-upload ledger export manifest.ledger.db --format jsonl | jq -r .file_id
      bulk-upload ledger export packed/manifest.jsonl --members packed/members.jsonl
    """
    form = RowFormat.JSONL if as_json else RowFormat(row_format)
    if member_list is not None and (all_entries or all_receipts):
        raise UsageError("--members is about the packs of the last manifest", hint="leave --all out")
    with LedgerReader(ledger_path) as reader:
        rows: Iterable[ExportRow | MemberRow] = reader.rows(
            all_entries=all_entries, all_receipts=all_receipts
        )
        kind: type[ExportRow | MemberRow] = ExportRow
        if member_list is not None:
            rows, kind = member_rows(read_member_list(member_list), rows_by_path(reader.rows())), MemberRow
        left_out = 0 if all_entries or all_receipts or member_list else reader.dropped_count()
        if left_out:
            tell(f"{dropped_words(left_out, in_folder=reader.is_of_folder())}: see --all")
        if output == "-" and form is RowFormat.PARQUET and sys.stdout.isatty():
            raise UsageError("Parquet cannot be written to a terminal", hint="name a file with -o FILE")
        if output == "-":
            with writing_stdout():
                write_rows(rows, sys.stdout.buffer, form, kind)
                sys.stdout.buffer.flush()
            return
        try:
            count = save_rows(rows, output, form, kind, private=private)
        except OSError as error:
            raise UsageError(
                f"cannot write {printable(output)}: {error.strerror}", hint="choose another file with -o"
            ) from None
    tell(f"{count:,} {'row' if count == 1 else 'rows'} written to {printable(output)}")
