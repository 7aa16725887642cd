"""`bulk-upload status`: show the state of a job."""

from __future__ import annotations

import shlex
import time
from itertools import islice
from typing import TYPE_CHECKING

import click

from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.ledger_name import LEDGER
from bulk_upload.cli.output.json_output import json_option, put_json
from bulk_upload.cli.output.streams import put
from bulk_upload.core.model import EntryState
from bulk_upload.core.objects.address import is_address
from bulk_upload.core.report.json_shapes import AgentTotal, JobStatus
from bulk_upload.core.text.printable import human_bytes, human_seconds, printable
from bulk_upload.core.text.timestamps import utc_seconds
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.agents import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulk_upload.core.report.history import AgentFacts
    from bulk_upload.edge.ledger import JobFacts

_EXAMPLES_MAX = 5
_AGENTS_MAX = 8
_ORDER = (
    EntryState.ACCEPTED,
    EntryState.PENDING,
    EntryState.IN_DOUBT,
    EntryState.REJECTED,
    EntryState.FAILED_LOCAL,
    EntryState.INVALID,
    EntryState.WITHDRAWN,
)
_TROUBLED = _ORDER[2:]
_ADVICE = {
    EntryState.PENDING: "pending: the same command, run again, continues with them",
    EntryState.IN_DOUBT: "in_doubt: the next run looks them up in the server's list first, if that can show them; `bulk-upload resolve` settles the rest",
    EntryState.REJECTED: "rejected: changed files are sent by the next run, the others with --retry rejected",
    EntryState.FAILED_LOCAL: "failed_local: the next run sends files that it can read again, and changed ones, the others with --retry failed",
    EntryState.INVALID: "invalid: changed files are checked by the next run, the others with --retry invalid",
    EntryState.WITHDRAWN: "withdrawn: the server does not have them under the id it gave; changed files are sent by the next run, the others with --retry withdrawn",
}


@click.command("status")
@click.argument("ledger", type=LEDGER, shell_complete=file_names)
@json_option("one JSON object")
def status(ledger: str, *, as_json: bool) -> None:
    """Show the state of the job of LEDGER; works during a run, too.

    LEDGER may also be its manifest or folder. The exit code is 0 whatever the state of the job.

    \b
    Examples:
      bulk-upload status manifest.ledger.db
    """
    with LedgerReader(ledger) as reader:
        if as_json:
            put_json(_status(reader))
            return
        for line in _lines(reader):
            put(f"{line}\n")
        if reader.run_at_work:
            put(
                f"A run is active: `bulk-upload watch {printable(shlex.quote(ledger))}` shows its progress.\n"
            )


def _status(reader: LedgerReader) -> JobStatus:
    job, states = reader.job(), reader.states()
    request_count, sent_count = reader.upload_counts()
    return JobStatus(
        profile=None if job is None else job.profile,
        endpoint=None if job is None else job.endpoint,
        team=None if job is None else job.team,
        root=None if job is None else job.root,
        last_active_utc=None if job is None else job.last_alive_utc,
        states={state: states.get(state, 0) for state in _ORDER},
        entry_count=sum(states.values()),
        accepted_bytes=reader.accepted_bytes(),
        dropped_count=reader.dropped_count(),
        missing_count=reader.missing_count(),
        agents=tuple(AgentTotal(**one._asdict()) for one in _agents(reader)),
        request_count=request_count,
        sent_count=sent_count,
    )


def _lines(reader: LedgerReader) -> Iterator[str]:
    job = reader.job()
    states = reader.states()
    if job is not None:
        yield from _job_lines(job, time.time())
    yield from _state_lines(states, reader.accepted_bytes())
    request_count, sent_count = reader.upload_counts()
    if request_count < sent_count:
        yield f"{'requests':<14}{request_count:,}, with {sent_count:,} files in them"
    if dropped_count := reader.dropped_count():
        of_what = "among the files" if reader.is_of_folder() else "in the manifest"
        yield f"{'dropped':<14}{dropped_count:,}, not {of_what} of the last run"
    yield from _agent_lines(_agents(reader), reader)
    for state in _TROUBLED:
        if states.get(state):
            yield ""
            yield from _example_lines(reader, state, states[state])
    yield ""
    yield from _advice_lines(states, run_at_work=reader.run_at_work)
    run = reader.last_run()
    if (
        job is not None
        and run is not None
        and run.exit_status == ExitStatus.SOME_FAILED
        and not _has_trouble(states)
    ):
        last = next(iter(reader.manifests()), "")
        # Objects under a prefix have no root of their own.
        place = last if is_address(last) else job.root
        command = f"bulk-upload plan {printable(shlex.quote(place))}"
        yield f"The last run left files out, or could not read them: `{command}` names them."
    if missing_count := reader.missing_count():
        files = "file is" if missing_count == 1 else "files are"
        yield f"{missing_count:,} accepted {files} gone from the server, as `verify` found: --retry missing sends them again."


def _has_trouble(states: Mapping[EntryState, int]) -> bool:
    return any(states.get(state) for state in _TROUBLED)


def _job_lines(job: JobFacts, now_utc_s: float) -> Iterator[str]:
    yield f"{'endpoint':<14}{printable(job.endpoint)}"
    if job.team is not None:
        yield f"{'team':<14}{printable(job.team)}"
    yield f"{'root':<14}{printable(job.root)}"
    at_s = utc_seconds(job.last_alive_utc)
    age = "" if at_s is None else f" ({human_seconds(max(0.0, now_utc_s - at_s))} ago)"
    yield f"{'last active':<14}{job.last_alive_utc}{age}"
    yield ""


def _state_lines(states: Mapping[EntryState, int], accepted_bytes: int) -> Iterator[str]:
    total = sum(states.values())
    width = len(f"{total:,}")
    for state in _ORDER:
        yield f"{state.value:<14}{states.get(state, 0):>{width},}"
    yield f"{'entries':<14}{total:,}"
    yield f"{'uploaded':<14}{human_bytes(accepted_bytes)}"


def _agents(reader: LedgerReader) -> list[AgentFacts]:
    run = reader.last_run()
    return [] if run is None else reader.agents(run.run_id)


def _agent_lines(agents: list[AgentFacts], reader: LedgerReader) -> Iterator[str]:
    """Yield what each agent of the last run sent, those that sent most first, and the run itself; nothing without agents."""
    run = reader.last_run()
    if not agents or run is None:
        return
    yield ""
    yield f"Agents of the last run: {len(agents):,}"
    for one in sorted(agents, key=lambda one: -one.accepted_bytes)[:_AGENTS_MAX]:
        lost = f", {counted(one.in_doubt_count, 'answer')} lost" if one.in_doubt_count else ""
        accepted = f"{counted(one.accepted_count, 'file')} accepted ({human_bytes(one.accepted_bytes)})"
        yield f"  {printable(one.agent)}: {accepted}{lost}"
    if len(agents) > _AGENTS_MAX:
        yield f"  ... and {len(agents) - _AGENTS_MAX:,} more"
    own = reader.itself(run.run_id)
    if own.accepted_count:
        yield f"The run itself: {counted(own.accepted_count, 'file')} accepted ({human_bytes(own.accepted_bytes)})"


def _example_lines(reader: LedgerReader, state: EntryState, count: int) -> Iterator[str]:
    yield f"{state.value}:"
    for row in islice(reader.rows(states=frozenset({state})), _EXAMPLES_MAX):
        yield f"  {printable(row.path)}: {printable(row.reason or 'no reason recorded')}"
    if count > _EXAMPLES_MAX:
        yield f"  ... and {count - _EXAMPLES_MAX:,} more"


def _advice_lines(states: Mapping[EntryState, int], *, run_at_work: bool) -> Iterator[str]:
    if not sum(states.values()):
        yield "The ledger has no entries yet."
    elif {state for state, count in states.items() if count} == {EntryState.ACCEPTED}:
        yield "Every entry is accepted."
    for state, advice in _ADVICE.items():
        # An active run is at work on what is pending.
        if states.get(state) and not (state is EntryState.PENDING and run_at_work):
            yield f"{advice}."
