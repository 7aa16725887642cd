"""`bulk-upload control`: change an active run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec
from click.core import ParameterSource

from bulk_upload.cli.options.ledger_name import LEDGER
from bulk_upload.cli.options.limit_units import BANDWIDTH, CONCURRENCY, CONCURRENCY_CAP, START_RATE
from bulk_upload.cli.output.json_output import json_option
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.core.limits.bottleneck import Bottleneck
from bulk_upload.core.limits.timetable import bandwidth_text, rate_text
from bulk_upload.core.run.control import ControlRequest
from bulk_upload.core.text.printable import human_bytes, human_seconds, printable
from bulk_upload.edge.control import ask
from bulk_upload.edge.ledger import require_ledger, run_is_at_work
from bulk_upload.errors import LedgerUnusable, NoRunAtWork, UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.agents import agents_words, counted, doing_words, gone_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.run.control import ControlAnswer, ControlStatus

_CHANGES = ("concurrency", "concurrency_max", "starts_per_s", "bandwidth", "paused")


@click.command("control")
@click.argument("ledger", type=LEDGER)
@click.option(
    "--concurrency", type=CONCURRENCY, metavar="auto|N", help="Uploads in flight; auto tunes the number."
)
@click.option(
    "--max-concurrency",
    "concurrency_max",
    type=CONCURRENCY_CAP,
    metavar="N|off",
    help="Maximum uploads in flight.",
)
@click.option(
    "--rate",
    "starts_per_s",
    type=START_RATE,
    metavar="N/s|off",
    help="Maximum rate of upload starts, such as 5/s or 20/min.",
)
@click.option(
    "--bandwidth",
    type=BANDWIDTH,
    metavar="SIZE/s|off",
    help="Maximum bytes per second, such as 2MB/s, or a timetable: '08:00,2MB/s 19:00,off'.",
)
@click.option("--pause/--resume", "paused", default=None, help="Start no new uploads; or resume.")
@click.option("--status", is_flag=True, help="Show the state of the run, after any change.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: one object with the full status.",
)
@json_option("one JSON object with the full status (--format json)")
@click.pass_context
def control(
    ctx: click.Context, /, ledger: str, *, status: bool, form: str, as_json: bool, **options: Any
) -> None:
    """Change the limits of the run in progress on LEDGER, pause or resume it, or show its state.

    Without options the state of the run is shown. Uploads in flight continue during a pause. A change applies at
    once, and the ledger records it with who made it. The exit code is 7 if no run is active.
    LEDGER may also be its manifest or folder.

    \b
    Examples:
      bulk-upload control manifest.ledger.db
      bulk-upload control manifest.ledger.db --concurrency 8 --bandwidth 5MB/s
      bulk-upload control manifest.ledger.db --pause
      bulk-upload control manifest.ledger.db --resume
    """
    given = {
        name: options[name]
        for name in _CHANGES
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    require_ledger(ledger, may_be_new=False)
    answer = _ask(ledger, _request(given))
    if as_json or form == "json":
        put(msgspec.json.format(msgspec.json.encode(_data(answer)), indent=2).decode() + "\n")
        return
    for line in answer.changes:
        put(f"{printable(line)}\n")
    if given and not answer.changes:
        tell("Nothing changed: these values were set already.")
    if answer.status is not None and (status or not given):
        put("".join(f"{printable(line)}\n" for line in _lines(answer.status)))


def _request(given: dict[str, Any]) -> ControlRequest:
    timetable = given.get("bandwidth")
    if timetable is not None:
        given = {
            **given,
            "bandwidth": tuple((one.from_minute, one.bytes_per_s) for one in timetable.spans),
        }
    return ControlRequest(**given)


def _ask(ledger: str, request: ControlRequest) -> ControlAnswer:
    try:
        answer = ask(ledger, request)
    except NoRunAtWork as error:
        if run_is_at_work(ledger):
            raise NoRunAtWork(
                f"a run is active on {printable(ledger)}, but accepts no requests: {error}",
                hint="it is still reading its manifest, or about to end; try again in a moment",
            ) from None
        raise
    if answer.error is not None:
        kind = LedgerUnusable if answer.exit_code == ExitStatus.LEDGER_UNUSABLE else UsageError
        raise kind(answer.error, hint=answer.hint)
    return answer


def _data(answer: ControlAnswer) -> dict[str, Any]:
    status = {} if answer.status is None else msgspec.structs.asdict(answer.status)
    if answer.status is not None:
        status["agents"] = [msgspec.structs.asdict(one) for one in answer.status.agents]
    return {"changes": list(answer.changes), **status}


def _lines(status: ControlStatus) -> Iterator[str]:
    yield f"{'in flight':<14}{status.in_flight} of {status.limit}"
    yield f"{'limit':<14}{status.reason}"
    yield f"{'concurrency':<14}{_concurrency(status)}"
    yield f"{'rate':<14}{_rate(status)}"
    yield f"{'bandwidth':<14}{_bandwidth(status)}"
    yield f"{'pause':<14}{_pause(status)}"
    if status.parked:
        yield f"{'parked':<14}{status.parked:,} entries wait without a slot"
    yield f"{'bottleneck':<14}{_hold(status.held_by) if status.held_by else 'none'}"
    for name, seconds in sorted(status.held_s.items(), key=lambda one: -one[1]):
        yield f"{'':<14}{human_seconds(seconds)} so far: {_hold(name)}"
    if status.agents:
        yield f"{'agents':<14}{agents_words(status.agents, status.agents_left_out)}"
    for one in status.agents:
        sent = f"{human_bytes(one.wire_bytes)} sent, {counted(one.accepted_count, 'file')} accepted"
        yield f"{'':<14}{one.agent}: {doing_words(one)}, {sent}" + (
            f": {gone_words(one)}" if one.is_gone else ""
        )
    if status.draining:
        yield "The run is draining: it starts nothing more."


def _concurrency(status: ControlStatus) -> str:
    found = "auto" if status.concurrency is None else str(status.concurrency)
    return found if status.concurrency_max is None else f"{found}, at most {status.concurrency_max}"


def _rate(status: ControlStatus) -> str:
    text = rate_text(status.starts_per_s)
    server = status.server_starts_per_s
    return text if server is None else f"{text}; the server was found to accept {rate_text(server)}"


def _bandwidth(status: ControlStatus) -> str:
    if status.bandwidth is None:
        return "off"
    now = bandwidth_text(status.bytes_per_s)
    return now if now == status.bandwidth else f"{now} now, of {status.bandwidth}"


def _pause(status: ControlStatus) -> str:
    if status.paused:
        return "by hand: nothing starts until `--resume`"
    return f"by the server, for {human_seconds(status.server_pause_s)}" if status.server_pause_s else "none"


def _hold(name: str) -> str:
    try:
        return Bottleneck(name).words
    except ValueError:
        # Of a run of another version.
        return name
