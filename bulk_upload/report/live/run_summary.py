"""The summary at the end of a run: what happened, what is left, and what to do next."""

from __future__ import annotations

import shlex
import textwrap
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.finding import Severity
from bulk_upload.core.limits.controller import chance_words
from bulk_upload.core.model import AlteredField, EntryState
from bulk_upload.core.report.tally import EXAMPLES_MAX
from bulk_upload.core.text.printable import COLUMNS_MAX, human_bytes, human_seconds, printable
from bulk_upload.core.validation.rules import PURPOSE_MISMATCH
from bulk_upload.report.agents import summary_lines
from bulk_upload.report.live.verdict import (
    NO_DATA_COMMANDS,
    NONE_DROPPED,
    DataCommands,
    Dropped,
    SummaryLine,
    dropped_lines,
    file_lines,
    next_step,
    state_line,
    stopped_lines,
    uncompared_lines,
    verdict_line,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.core.report.tally import Cause, Tally
    from bulk_upload.core.run.fault_scope import Stop
    from bulk_upload.exit_status import ExitStatus

CAUSES_SHOWN_MAX = 5
HELD_S_MIN = 1.0

_NO_RATE_UNDER_S = 0.05
_FAILED = (
    (
        EntryState.REJECTED,
        "rejected by the server",
        "The next run sends changed files; with --retry rejected the others too.",
    ),
    (
        EntryState.INVALID,
        "invalid, not sent",
        "The next run validates changed files; with --retry invalid all of them.",
    ),
    (
        EntryState.FAILED_LOCAL,
        "failed on this machine",
        "The next run looks again at missing and unreadable files; with --retry failed at the others too.",
    ),
    (
        EntryState.WITHDRAWN,
        "withdrawn: accepted, and then not at the server",
        "The server does not have them under the ids that it gave; --retry withdrawn sends them again.",
    ),
)


class _Detail(msgspec.Struct, frozen=True):
    """How much is said about causes."""

    causes_max: int
    examples_max: int
    is_spaced: bool = True


_DETAILS = (
    _Detail(CAUSES_SHOWN_MAX, EXAMPLES_MAX),
    _Detail(CAUSES_SHOWN_MAX, 1),
    _Detail(3, 1),
    _Detail(2, 1),
    _Detail(1, 1),
    _Detail(1, 1, is_spaced=False),
    _Detail(1, 0, is_spaced=False),
)
"""From all to as little as is of use, for a terminal of few rows."""


def closing_lines(
    tally: Tally,
    states: Mapping[EntryState, int],
    *,
    stop: Stop | None,
    status: ExitStatus,
    elapsed_s: float,
    ledger_path: str,
    results_path: str | None,
    rerun_command: str,
    dropped: Dropped = NONE_DROPPED,
    uncompared_count: int = 0,
    list_decides: bool = True,
    data_commands: DataCommands = NO_DATA_COMMANDS,
    columns: int = COLUMNS_MAX,
    rows: int | None = None,
) -> list[str]:
    """Return the summary of a run; its lines may be `SummaryLine`, with a style and a mark.

    Args:
        tally: the numbers of this run.
        states: how many entries of the manifest are in each state, by the ledger.
        stop: why the run ended early, if it did.
        status: the verdict.
        elapsed_s: how long the run took.
        ledger_path: the ledger.
        results_path: the mapping written at the end, None when there is none.
        rerun_command: the command that resumes the job, quoted for a shell.
        dropped: which entries of the ledger the manifest does not have.
        uncompared_count: how many touched files were not compared before the run ended.
        list_decides: whether the server's list can settle doubts: the server has one, and keeps names.
        data_commands: what leads on from invalid data.
        columns: where sentences are wrapped; paths and commands are not wrapped.
        rows: where the summary should end; None for no limit. Examples and causes are left out first.
    """
    lines: list[str] = []
    for detail in _DETAILS:
        blocks = _blocks(
            tally, states, detail, stop=stop, status=status, elapsed_s=elapsed_s, ledger_path=ledger_path,
            results_path=results_path, rerun_command=rerun_command, dropped=dropped,
            uncompared_count=uncompared_count, list_decides=list_decides, data_commands=data_commands,
        )  # fmt: skip
        lines = []
        for block in filter(None, blocks):
            lines += ["", *block] if lines and detail.is_spaced else block
        lines = [wrapped for line in lines for wrapped in _wrapped(line, columns, may_part=rows is not None)]
        if rows is None or _rows(lines, columns) <= rows:
            break
    return lines


def _rows(lines: list[str], columns: int) -> int:
    """Return how many rows lines take: paths and commands may take more than one."""
    return sum(max(1, -(-len(line) // columns)) for line in lines)


def _blocks(
    tally: Tally,
    states: Mapping[EntryState, int],
    detail: _Detail,
    *,
    stop: Stop | None,
    status: ExitStatus,
    elapsed_s: float,
    ledger_path: str,
    results_path: str | None,
    rerun_command: str,
    dropped: Dropped,
    uncompared_count: int,
    list_decides: bool,
    data_commands: DataCommands,
) -> list[list[str]]:
    step = next_step(
        states,
        status=status,
        rerun_command=rerun_command,
        ledger_path=ledger_path,
        uncompared_count=uncompared_count,
        list_decides=list_decides,
        data_commands=data_commands,
    )
    return [
        _mixed_up(tally),
        _happened(tally, states, elapsed_s, uncompared_count),
        stopped_lines(stop, states, status, is_resumed_below=bool(step)),
        *(
            _group(tally, states, state, title, advice=[f"  {advice}"], detail=detail)
            for state, title, advice in _FAILED
        ),
        _group(
            tally,
            states,
            EntryState.IN_DOUBT,
            "in doubt",
            advice=_doubt_advice(ledger_path, list_decides=list_decides),
            detail=detail,
        ),
        _warnings(tally),
        _group(tally, states, EntryState.PENDING, "not finished", advice=[], detail=detail),
        altered_lines(tally),
        uncompared_lines(uncompared_count),
        dropped_lines(dropped, ledger_path),
        [*file_lines(ledger_path, results_path, status), *([] if step else [verdict_line(status)])],
        [*step, verdict_line(status)] if step else [],
    ]


def _mixed_up(tally: Tally) -> list[str]:
    """Return, before all else, how many files were of another purpose than their entries say."""
    totals = tally.findings.get(PURPOSE_MISMATCH)
    if totals is None:
        return []
    files = _count(totals.file_count, "file is", "files are")
    return [
        f"{files} of another purpose than the manifest says ({PURPOSE_MISMATCH}), first {printable(totals.first_path)}."
    ]


def _warnings(tally: Tally) -> list[str]:
    """Return the warnings about data, by rule."""
    totals = tally.findings.totals(Severity.WARNING)
    if not totals:
        return []
    count = sum(one.finding_count for one in totals)
    lines = [f"{_count(count, 'warning', 'warnings')} about the data:"]
    return [*lines, *(f"  {one}" for one in totals)]


def _happened(
    tally: Tally, states: Mapping[EntryState, int], elapsed_s: float, uncompared_count: int
) -> list[str]:
    total = sum(states.values())
    accepted = tally.count(EntryState.ACCEPTED)
    unchanged = tally.unchanged_count
    before = max(0, states.get(EntryState.ACCEPTED, 0) - accepted - unchanged)
    if total == 0:
        return ["Nothing to do: the manifest has no entries."]
    if before == total and not uncompared_count:
        return [f"Nothing to do: {_all(total)} accepted before."]
    if not tally.attempt_count and not accepted and unchanged:
        lines = [f"{unchanged:,} unchanged, nothing was sent."]
        return [*lines, f"Accepted before: {_entries(before)}."] if before else lines
    if not tally.attempt_count and not accepted:
        was = "was" if total == 1 else "were"
        return [f"Nothing was sent. {before:,} of {_entries(total)} {was} accepted before."]
    line = f"Accepted {accepted:,} of {_entries(total)} in {human_seconds(elapsed_s)}"
    if accepted:
        line += f": {human_bytes(tally.accepted_bytes)}"
        if elapsed_s >= _NO_RATE_UNDER_S:
            line += f", {human_bytes(tally.accepted_bytes / elapsed_s)}/s on average"
    lines = [f"{line}."]
    if unchanged:
        lines.append(f"Unchanged, not sent: {_entries(unchanged)}.")
    if before:
        lines.append(f"Accepted before: {_entries(before)}.")
    senders = summary_lines(tally.agents.all(), own_count=tally.own_count, own_bytes=tally.own_bytes)
    return [*lines, *_effort(tally), *senders, *_limited(tally)]


def _limited(tally: Tally) -> list[str]:
    """Return what held the run back, the longest first; less than a second is left out."""
    held = sorted(tally.held_s.items(), key=lambda one: -one[1])
    said = [
        f"{bottleneck.words} ({human_seconds(seconds)})"
        for bottleneck, seconds in held
        if seconds >= HELD_S_MIN
    ]
    lines = [f"What limited the run: {', '.join(said)}."] if said else []
    if tally.chance_share is not None:
        lines.append(f"{chance_words(tally.chance_share)}.")
    return lines


def _effort(tally: Tally) -> list[str]:
    said = []
    if tally.request_count < tally.attempt_count:
        requests = _count(tally.request_count, "request", "requests")
        said.append(f"{requests} with {tally.attempt_count:,} files.")
    if tally.retry_count:
        said.append(f"{_count(tally.retry_count, 'retry', 'retries')}.")
    if tally.throttled_count:
        said.append(f"The server throttled {_count(tally.throttled_count, 'attempt', 'attempts')}.")
    if tally.reconciled_count:
        said.append(f"{_entries(tally.reconciled_count)} accepted through the server's list.")
    if tally.absent_count:
        was = "was" if tally.absent_count == 1 else "were"
        said.append(f"{_entries(tally.absent_count)} in doubt {was} not on the server: sent again.")
    if tally.compared_count:
        files = _count(tally.compared_count, "file", "files")
        said.append(
            f"Compared {files} at the server by content, {human_bytes(tally.compared_bytes)} read back."
        )
    if tally.unconfirmed_count:
        said.append(f"{_entries(tally.unconfirmed_count)} accepted without the server confirming the size.")
    return [*([" ".join(said)] if said else []), *_checked(tally)]


def _checked(tally: Tally) -> list[str]:
    """Return what the closing check did not compare; nothing where it compared all."""
    checked = tally.checked
    if checked is None or checked.reason is None:
        return []
    counts = f"{checked.checked_count:,} of {_count(checked.receipt_count, 'receipt', 'receipts')}"
    return [f"Checked {counts} against the server's list: {printable(checked.reason)}."]


def altered_lines(tally: Tally) -> list[str]:
    """Return what the server stores otherwise than it was sent, whether it was believed or not."""
    return [
        f"{_entries(one.entry_count)}: the server has {'it' if one.entry_count == 1 else 'them'} {_ALTERED[field]}: "
        f"{printable(one.first.stored)!r} for {printable(one.first.sent)!r}"
        + (" and the like." if one.entry_count > 1 and field is AlteredField.NAME else ".")
        for field, one in sorted(tally.altered.items())
    ]


_ALTERED = {AlteredField.NAME: "under another name", AlteredField.PURPOSE: "for another purpose"}


def _group(
    tally: Tally,
    states: Mapping[EntryState, int],
    state: EntryState,
    title: str,
    *,
    advice: list[str],
    detail: _Detail,
) -> list[str]:
    """The ledger's count is authoritative; this run's causes explain part of it."""
    count = states.get(state, 0)
    if not count:
        return []
    causes = sorted(
        (one for one in tally.causes.values() if one.state is state), key=lambda one: -one.entry_count
    )
    lines: list[str] = [state_line(f"{_entries(count)} {title}{':' if causes else '.'}", state)]
    shown_max = detail.causes_max
    for cause in causes[:shown_max]:
        lines += _cause(cause, detail.examples_max)
    if len(causes) > shown_max:
        rest = sum(one.entry_count for one in causes[shown_max:])
        lines.append(f"  {rest:,} for {_count(len(causes) - shown_max, 'other reason', 'other reasons')}")
    earlier = count - sum(one.entry_count for one in causes)
    if causes and earlier > 0:
        lines.append(f"  {earlier:,} {_LEFT_OVER[state]}")
    return lines + advice


_LEFT_OVER = {
    EntryState.PENDING: "not started, or started in earlier runs",
    EntryState.IN_DOUBT: "from earlier runs",
    EntryState.REJECTED: "in earlier runs",
    EntryState.INVALID: "in earlier runs",
    EntryState.FAILED_LOCAL: "in earlier runs",
    EntryState.WITHDRAWN: "in earlier runs",
}


def _cause(cause: Cause, examples_max: int) -> list[str]:
    reason = printable(cause.reason) + (" (and similar)" if cause.varies else "")
    lines = [f"  {cause.entry_count:,} x {reason}"]
    examples = cause.examples[:examples_max]
    lines += [whole(f"      {printable(path)}") for path in examples]
    rest = cause.entry_count - len(examples)
    return [*lines, f"      and {rest:,} more"] if examples and rest > 0 else lines


def _doubt_advice(ledger_path: str, *, list_decides: bool) -> list[str]:
    why = "  The server may have these files: they were sent, and no credible answer came back."
    if not list_decides:
        return [f"{why} No list of this server can tell, so they stay in doubt until you settle them."]
    return [
        f"{why} The next run looks them up in the server's list before it sends them again.",
        "  What the list cannot decide stays in doubt until you settle it:",
        whole(f"    bulk-upload resolve {printable(shlex.quote(ledger_path))}"),
    ]


def _wrapped(line: str, columns: int, *, may_part: bool) -> list[str]:
    styled = line if isinstance(line, SummaryLine) else SummaryLine(line)
    if styled.is_whole and may_part and len(line) > columns:
        # A terminal would tear what is to be copied at any letter.
        label, colon, copied = line.partition(": ")
        if copied and not label.startswith(" "):
            return [f"{label}{colon.rstrip()}", whole(f"  {copied}", styled.style)]
    if styled.is_whole or not line:
        return [styled]
    words = line.lstrip(" ")
    indent = " " * (len(line) - len(words))
    # A cause begins with its count; continuation lines are indented to the text after it.
    hanging = "    " if indent and words[0].isdigit() else ""
    pieces = textwrap.wrap(
        line,
        # The mark stands in front.
        columns - (len(styled.ascii_mark) + 1 if styled.mark else 0),
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [styled.with_text(piece, keeps_mark=not number) for number, piece in enumerate(pieces)]


def _all(count: int) -> str:
    return "the only entry was" if count == 1 else f"all {count:,} entries were"


def _entries(count: int) -> str:
    return _count(count, "entry", "entries")


def _count(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
