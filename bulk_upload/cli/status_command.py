"""`bulk-upload status`: where a job stands."""

from __future__ import annotations

from itertools import islice

import click

from bulk_upload.core.display import human_bytes, printable
from bulk_upload.core.model import EntryState
from bulk_upload.edge.ledger import LedgerReader

_EXAMPLES_MAX = 5
_TROUBLED = (EntryState.IN_DOUBT, EntryState.REJECTED, EntryState.FAILED_LOCAL, EntryState.INVALID)


@click.command("status")
@click.argument("ledger")
def status(ledger: str) -> None:
    """Show where the job of LEDGER stands; works while a run is going on."""
    with LedgerReader(ledger) as reader:
        job = reader.job()
        if job is not None:
            click.echo(f"{'endpoint':<14}{printable(job.endpoint)}")
            if job.team is not None:
                click.echo(f"{'team':<14}{printable(job.team)}")
            click.echo(f"{'root':<14}{printable(job.root)}")
            click.echo(f"{'last at work':<14}{job.last_alive_utc}")
        states = reader.states()
        for state in EntryState:
            click.echo(f"{state.value:<14}{states.get(state, 0):,}")
        click.echo(f"{'uploaded':<14}{human_bytes(reader.accepted_bytes())}")
        for state in _TROUBLED:
            if states.get(state):
                _show_examples(reader, state, states[state])


def _show_examples(reader: LedgerReader, state: EntryState, count: int) -> None:
    click.echo(f"\n{state.value}:")
    for row in islice(reader.rows(states=frozenset({state})), _EXAMPLES_MAX):
        click.echo(f"  {printable(row.path)}: {printable(row.reason or 'no reason recorded')}")
    if count > _EXAMPLES_MAX:
        click.echo(f"  … and {count - _EXAMPLES_MAX:,} more")
