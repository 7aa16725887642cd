"""`bulk-upload resolve`: shows what is in doubt, and the four ways to settle it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import click

from bulk_upload.cli.config.file import current_configuration
from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.ledger import job_ledger_of, person, require_yes
from bulk_upload.cli.options.ledger_name import LEDGER
from bulk_upload.cli.options.limit_units import SIZE
from bulk_upload.cli.options.sections import ServerCommand
from bulk_upload.cli.options.server import server_options
from bulk_upload.cli.options.suggestions import SuggestingGroup
from bulk_upload.cli.options.units import DURATION, WORD
from bulk_upload.cli.output.json_output import json_option, put_json
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.core.doubt.content import ComparedBy
from bulk_upload.core.events import ContentCompared, Reconciling
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.json_shapes import InDoubtEntry, ResolvedEntry
from bulk_upload.core.run.resolve import Decision
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.job_ledger import JobLedger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.events import Event
    from bulk_upload.core.run.resolve import OpenDoubt, Resolved
    from bulk_upload.engine.after.resolve import Resolving

_YES = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would be decided; record nothing.")
_PURPOSE = click.option(
    "--purpose", type=WORD, metavar="P", help="Purpose of the entry, if several have this path."
)
_HOW = {ComparedBy.WHOLE: "whole", ComparedBy.RANGES: "by ranges"}
_COMPARE_MAX = click.option(
    "--compare-max",
    type=SIZE,
    default="64MiB",
    show_default=True,
    help="Compare files up to this size whole, larger ones by ranges of this size in all.",
)
_AS_JSON = "bulk_upload.resolve.json"
_WAYS_OUT = """
To settle them:
  bulk-upload resolve LEDGER reconcile          search the server's list, if that can show them
  bulk-upload resolve LEDGER adopt PATH ID      record this file of the server as the receipt
  bulk-upload resolve LEDGER resend PATH...     send it again; may create a second copy
  bulk-upload resolve LEDGER abandon PATH...    give it up: rejected
"""


class _Resolve(SuggestingGroup):
    """The group whose `--json` may stand anywhere, as it may with other commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the option before the ledger and the command."""
        options = args[: args.index("--")] if "--" in args else args
        if "--json" in options:
            args = ["--json", *(one for one in options if one != "--json"), *args[len(options) :]]
        return super().parse_args(ctx, args)


@click.group("resolve", cls=_Resolve, invoke_without_command=True)
@click.argument("ledger", type=LEDGER, shell_complete=file_names)
@json_option("a JSON object per entry in doubt, or per entry that a command settles")
@click.pass_context
def resolve(ctx: click.Context, ledger: str, *, as_json: bool) -> int:
    """Show the entries of LEDGER that are in doubt, and settle them.

    The server may have these files: they were sent, and no credible answer came back. Without a command they are
    listed, and the exit code is 4 if there are any. Each command asks for confirmation (unless --yes), and records
    in the ledger who decided what. LEDGER may also be its manifest or folder.

    \b
    Examples:
      bulk-upload resolve manifest.ledger.db
      bulk-upload resolve manifest.ledger.db reconcile --yes
      bulk-upload resolve manifest.ledger.db adopt a.jsonl file-1f
      bulk-upload resolve manifest.ledger.db resend a.jsonl
    """
    ctx.obj = ledger
    ctx.meta[_AS_JSON] = as_json
    if ctx.invoked_subcommand is not None:
        return ExitStatus.DONE
    with LedgerReader(ledger) as reader:
        doubts = reader.doubts()
    for one in doubts:
        if as_json:
            put_json(_in_doubt(one))
        else:
            put("".join(f"{line}\n" for line in _doubt_lines(one)))
    tell(f"{_entries(len(doubts))} in doubt.{_WAYS_OUT if doubts else ''}".rstrip())
    return ExitStatus.IN_DOUBT if doubts else ExitStatus.DONE


@resolve.command(
    "reconcile", cls=ServerCommand, short_help="Search the server's list for every entry in doubt."
)
@click.option(
    "--settle",
    type=DURATION,
    default="30s",
    show_default=True,
    help="How long after its upload a file must be missing from the server's list to count as absent.",
)
@_COMPARE_MAX
@_DRY_RUN
@_YES
@server_options
@click.pass_obj
def reconcile(
    ledger: str, /, *, settle: float, compare_max: int, dry_run: bool, yes: bool, **options: Any
) -> int:
    """Search the server's list for every entry in doubt, as `run` does, without sending anything."""
    if dry_run:
        return _preview(ledger, "look up")
    return anyio.run(
        partial(
            _reconcile,
            job_ledger_of(ledger, options),
            settle_s=settle,
            compare_max_bytes=compare_max,
            yes=yes,
        )
    )


@resolve.command("adopt", cls=ServerCommand, short_help="Record the server's file ID as PATH's receipt.")
@click.argument("path")
@click.argument("file_id", metavar="ID")
@_PURPOSE
@_COMPARE_MAX
@_DRY_RUN
@_YES
@server_options
@click.pass_obj
def adopt(
    ledger: str,
    /,
    path: str,
    file_id: str,
    *,
    purpose: str | None,
    compare_max: int,
    dry_run: bool,
    yes: bool,
    **options: Any,
) -> int:
    """Record the server's file ID as PATH's receipt, after a look-up: name, size, purpose and content must match.

    The content is read back and compared if possible; the command says how, or why not. If the server has another name
    or purpose, the question shows it.
    """
    job = job_ledger_of(ledger, options)
    return anyio.run(
        partial(
            _adopt,
            job,
            path,
            file_id,
            purpose=purpose,
            compare_max_bytes=compare_max,
            dry_run=dry_run,
            yes=yes,
        )
    )


def _deciding(decision: Decision, words: str) -> click.Command:
    @click.argument("paths", metavar="[PATH]...", nargs=-1)
    @click.option("--all", "every", is_flag=True, help="All entries in doubt.")
    @_PURPOSE
    @_DRY_RUN
    @_YES
    @click.pass_obj
    def command(
        ledger: str,
        paths: tuple[str, ...],
        *,
        every: bool,
        purpose: str | None,
        dry_run: bool,
        yes: bool,
    ) -> int:
        if bool(paths) == every:
            raise UsageError(f"{decision} needs at least one PATH, or --all", hint="not both")
        if dry_run:
            return _preview(ledger, _VERBS[decision], paths=paths, purpose=purpose)
        # Nothing is requested or sent: no key is needed.
        job = JobLedger(
            ledger,
            api_key="unused",
            allow_plain_http=True,
            profiles=current_configuration().profiles,
        )
        return anyio.run(_decide, job, decision, paths, purpose, yes)

    command.__doc__ = words
    return click.command(decision.value, cls=ServerCommand)(command)


resolve.add_command(
    _deciding(
        Decision.RESEND,
        """Let the next run send PATH again. If the server has the file, this creates a second copy.""",
    )
)
resolve.add_command(
    _deciding(
        Decision.ABANDON, """Settle PATH as rejected: no run sends it again, except with --retry rejected."""
    )
)


_VERBS = {Decision.RESEND: "send again", Decision.ABANDON: "give up"}


def _preview(ledger: str, verb: str, *, paths: tuple[str, ...] = (), purpose: str | None = None) -> int:
    """Print which entries a command would settle, and settle none."""
    with LedgerReader(ledger) as reader:
        doubts = reader.doubts()
    chosen = _chosen(doubts, paths, purpose) if paths else doubts
    for one in chosen:
        put(f"{printable(one.path)}  {printable(one.purpose)}\n")
    tell(f"Would {verb} {_entries(len(chosen))}.")
    return ExitStatus.DONE


async def _reconcile(job: JobLedger, *, settle_s: float, compare_max_bytes: int, yes: bool) -> int:
    async with job.resolving(
        decided_by=person(), settle_s=settle_s, compare_max_bytes=compare_max_bytes, on_event=_tell_event
    ) as resolving:
        doubts = await resolving.open_doubts()
        if doubts:
            server = printable(job.facts.endpoint)
            require_yes(f"Search the list of {server} for {_entries(len(doubts))} in doubt?", yes=yes)
        _show(await resolving.reconcile())
        return await _verdict(resolving)


async def _adopt(
    job: JobLedger,
    path: str,
    file_id: str,
    *,
    purpose: str | None,
    compare_max_bytes: int,
    dry_run: bool,
    yes: bool,
) -> int:
    async with job.resolving(decided_by=person(), compare_max_bytes=compare_max_bytes) as resolving:
        (one,) = _chosen(await resolving.open_doubts(), (path,), purpose)
        adopted = await resolving.confirmed(one, file_id)
        file = adopted.file
        made = "" if file.created_at is None else f", created {printable(file.created_at)}"
        purpose_shown = "" if file.purpose in (None, one.purpose) else f", for {printable(file.purpose)}"
        what = f"{file_id} ({printable(file.filename or 'no name')}{purpose_shown}{made})"
        tell(f"{file_id}: {printable(adopted.detail)}")
        if dry_run:
            tell(f"Would adopt {what} for {printable(one.path)}, sent {one.sent_utc}.")
            return ExitStatus.DONE
        require_yes(f"Adopt {what} for {printable(one.path)}, sent {one.sent_utc}?", yes=yes)
        _show([await resolving.adopt(one, adopted)])
        return await _verdict(resolving)


async def _decide(
    job: JobLedger,
    decision: Decision,
    paths: tuple[str, ...],
    purpose: str | None,
    yes: bool,
) -> int:
    async with job.resolving(decided_by=person()) as resolving:
        doubts = await resolving.open_doubts()
        chosen = _chosen(doubts, paths, purpose) if paths else doubts
        if chosen:
            named = printable(chosen[0].path) if len(chosen) == 1 else _entries(len(chosen))
            question = {
                Decision.RESEND: f"Send {named} again, although the server may already have it?",
                Decision.ABANDON: f"Give up {named}, although the server may have it?",
            }
            require_yes(question[decision], yes=yes)
        _show(await resolving.decide(decision, chosen))
        return await _verdict(resolving)


def _chosen(doubts: Sequence[OpenDoubt], paths: tuple[str, ...], purpose: str | None) -> list[OpenDoubt]:
    """Return the entries in doubt that a person names, each by one path."""
    chosen = []
    for path in paths:
        found = [one for one in doubts if one.path == path and purpose in (None, one.purpose)]
        if not found:
            raise UsageError(
                f"{printable(path)} is not in doubt",
                hint="`bulk-upload resolve LEDGER` lists the entries in doubt by path",
            )
        if len(found) > 1:
            purposes = ", ".join(sorted({one.purpose for one in found}))
            raise UsageError(
                f"{len(found)} entries in doubt have the path {printable(path)}",
                hint=f"select one with --purpose: {printable(purposes)}",
            )
        chosen += found
    return chosen


async def _verdict(resolving: Resolving) -> int:
    left = len(await resolving.open_doubts())
    tell(f"{_entries(left)} in doubt." if left else "Nothing is in doubt any more.")
    return ExitStatus.IN_DOUBT if left else ExitStatus.DONE


def _show(resolved: Sequence[Resolved]) -> None:
    as_json = click.get_current_context().meta.get(_AS_JSON)
    for one in resolved:
        if as_json:
            put_json(ResolvedEntry(path=one.path, state=one.state, words=one.words))
            continue
        put(f"{one.state:<8}  {printable(one.path)}  {printable(one.words)}\n")
    if any(one.state is EntryState.PENDING for one in resolved):
        tell("The next `bulk-upload run` of the job sends what is pending.")


def _tell_event(event: Event) -> None:
    match event:
        case Reconciling():
            tell(f"searching the server's list for {_entries(event.waiting_count)}")
        case ContentCompared(same=None):
            tell(f"{event.file_id} cannot be read back to compare it with {printable(event.path)}")
        case ContentCompared():
            verdict = "has the content of" if event.same else "has other content than"
            how = f"compared {_HOW[event.by]}, {human_bytes(event.read_bytes)} read back"
            tell(f"{event.file_id} {verdict} {printable(event.path)} ({how})")


def _in_doubt(one: OpenDoubt) -> InDoubtEntry:
    return InDoubtEntry(
        path=one.path,
        purpose=one.purpose,
        sent_name=one.sent_name,
        file_bytes=one.file_bytes,
        sent_utc=one.sent_utc,
        reason=one.reason,
        candidate_id=one.candidate_id,
    )


def _doubt_lines(one: OpenDoubt) -> list[str]:
    lines = [
        f"{printable(one.path)}",
        f"    {one.purpose}, sent as {printable(one.sent_name)}, {human_bytes(one.file_bytes)}, at {one.sent_utc}",
        f"    {printable(one.reason)}",
    ]
    return lines if one.candidate_id is None else [*lines, f"    the answer had the id {one.candidate_id}"]


def _entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"
