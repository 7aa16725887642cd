"""The last lines of a run, as a test reads them."""

from __future__ import annotations

from bulk_upload.core.events import Event
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.tally import Tally, exit_status
from bulk_upload.core.run.fault_scope import Stop
from bulk_upload.core.text.printable import COLUMNS_MAX
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.live.run_summary import closing_lines
from bulk_upload.report.live.verdict import NO_DATA_COMMANDS, NONE_DROPPED, DataCommands, Dropped

COMMAND = "bulk-upload run m.jsonl"
INTERRUPT = Stop(status=ExitStatus.INTERRUPTED, reason="Ctrl-C", hint="nothing was lost")


def tally_of(*events: Event) -> Tally:
    tally = Tally()
    for event in events:
        tally.add(event)
    return tally


def closing(
    tally: Tally,
    states: dict[EntryState, int],
    *,
    stop: Stop | None = None,
    elapsed_s: float = 10.0,
    ledger_path: str = "m.ledger.db",
    results_path: str | None = "m.results.csv",
    dropped: Dropped = NONE_DROPPED,
    list_decides: bool = True,
    data_commands: DataCommands = NO_DATA_COMMANDS,
    columns: int = COLUMNS_MAX,
    rows: int | None = None,
) -> list[str]:
    return closing_lines(
        tally,
        states,
        stop=stop,
        status=exit_status(states, stop),
        elapsed_s=elapsed_s,
        ledger_path=ledger_path,
        results_path=results_path,
        rerun_command=COMMAND,
        dropped=dropped,
        list_decides=list_decides,
        data_commands=data_commands,
        columns=columns,
        rows=rows,
    )
