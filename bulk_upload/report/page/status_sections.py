"""The parts of the report page about the state of the job, each from numbers to markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.model import EntryState
from bulk_upload.core.text.printable import human_bytes, human_seconds
from bulk_upload.report.amounts import brief_seconds, byte_rate, file_rate
from bulk_upload.report.page.charts import state_bar
from bulk_upload.report.page.figures import ACCEPTED, IN_DOUBT, OPEN, THROTTLED
from bulk_upload.report.page.markup import inert, prose, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bulk_upload.core.report.data_warnings import RuleWarnings
    from bulk_upload.core.report.tally import Cause
    from bulk_upload.report.page.figures import Figures

_STATE_ORDER = (
    EntryState.ACCEPTED,
    EntryState.REJECTED,
    EntryState.FAILED_LOCAL,
    EntryState.INVALID,
    EntryState.WITHDRAWN,
    EntryState.IN_DOUBT,
    EntryState.PENDING,
)
_STATE_WORDS = {
    EntryState.ACCEPTED: "accepted",
    EntryState.REJECTED: "rejected by the server",
    EntryState.FAILED_LOCAL: "failed on this machine",
    EntryState.INVALID: "invalid, not sent",
    EntryState.WITHDRAWN: "withdrawn, no longer at the server",
    EntryState.IN_DOUBT: "in doubt",
    EntryState.PENDING: "pending",
}
_LOST_WORDS = {
    EntryState.WITHDRAWN: "The server accepted the files of withdrawn entries, and does not have them under the ids it "
    "gave; `bulk-upload run --retry withdrawn` sends them again.",
    EntryState.IN_DOUBT: "The server may have the files of entries in doubt; "
    "the next run looks them up in its list, if that can show them, and `bulk-upload resolve` settles the rest.",
    EntryState.PENDING: "The same `bulk-upload run` command continues with pending entries.",
}
NOT_STARTED = "not started"
_COLUMNS = {"accepted": "path purpose size id when", "others": "path state size tries why"}


def verdict(states: Mapping[EntryState, int]) -> str:
    """Return the state of the job, as a headline."""
    total = sum(states.values())
    accepted = states.get(EntryState.ACCEPTED, 0)
    if not total:
        return "The ledger has no entries yet"
    if accepted == total:
        return "The only entry is accepted" if total == 1 else f"All {total:,} entries are accepted"
    return f"{accepted:,} of {_entries(total)} {'is' if accepted == 1 else 'are'} accepted"


def header(
    *,
    ledger: str,
    facts: Iterable[tuple[str, str]],
    made_utc: str,
    states: Mapping[EntryState, int],
    accepted_bytes: int,
    figures: Figures,
) -> str:
    """Return the verdict, the bar of states and the numbers."""
    ordered = {state: states.get(state, 0) for state in _STATE_ORDER}
    others = [f"{count:,} {_STATE_WORDS[state]}" for state, count in list(ordered.items())[1:] if count]
    lead = f'<p class="lead">{inert(_listed(others))}.</p>\n' if others else ""
    legend = "".join(
        f"<li>{_dot(state)}{_STATE_WORDS[state]} <b>{count:,}</b></li>"
        for state, count in ordered.items()
        if count
    )
    numbers = "".join(
        f"<div><dt>{name}</dt><dd>{inert(value)}{f'<small>{inert(note)}</small>' if note else ''}</dd></div>\n"
        for name, value, note in _numbers(accepted_bytes, figures)
    )
    rows = "".join(
        f"<dt>{inert(name)}</dt><dd>{inert(value)}</dd>" for name, value in (*facts, ("Ledger", ledger))
    )
    return (
        f'<header>\n<p class="eyebrow">Upload report, {inert(made_utc)}</p>\n'
        f"<h1>{inert(verdict(states))}</h1>\n{lead}{state_bar(ordered)}"
        f'<ul class="legend">{legend}</ul>\n<dl class="numbers">{numbers}</dl>\n'
        f"<details><summary>About this job</summary>"
        f'<dl class="facts">{rows}</dl></details>\n</header>\n'
    )


def causes_section(causes: Iterable[Cause]) -> str:
    """Return what needs a person, one line per cause; empty where nothing does. Pending entries do not."""
    found = [one for one in causes if one.state is not EntryState.PENDING]
    if not found:
        return ""
    return f"<section><h2>Needs attention</h2>\n{_advice(found)}{_causes_table('Causes', found)}</section>\n"


def pending_section(causes: Iterable[Cause]) -> str:
    """Return what the next run continues with, and why it is not done yet; empty where nothing is left."""
    found = [one for one in causes if one.state is EntryState.PENDING]
    if not found:
        return ""
    count = sum(one.entry_count for one in found)
    table = _causes_table("Pending", found) if any(one.reason != NOT_STARTED for one in found) else ""
    return (
        f"<section><h2>Still to do</h2>\n<p>{_entries(count)}. {prose(_LOST_WORDS[EntryState.PENDING])}</p>\n"
        f"{table}</section>\n"
    )


def warnings_section(warnings: Sequence[RuleWarnings]) -> str:
    """Return the warnings about the content of files, one line per rule; empty where there are none."""
    if not warnings:
        return ""
    rows = (
        (
            f'<span class="mono">{inert(one.rule)}</span>',
            f"{one.file_count:,}",
            f"{one.count:,}",
            f'<span class="reason">{inert(one.found)}</span>'
            f'<span class="remedy">{inert(one.remedy)}</span>' + _examples(one.examples),
        )
        for one in warnings
    )
    heads = ("Rule", "#Files", "#Warnings", "The first one, what to do, and where")
    return (
        "<section><h2>Data warnings</h2>\n<p>They kept no file from being sent. The ledger has those of files of more "
        f"than 256 KiB, the first hundred findings of each; {prose('`bulk-upload validate` lists all.')}</p>\n"
        f"{table('Data warnings by rule', heads, rows, kind='causes warnings')}</section>\n"
    )


def _advice(causes: Sequence[Cause]) -> str:
    states = {one.state for one in causes}
    said = " ".join(words for state, words in _LOST_WORDS.items() if state in states)
    return f"<p>{prose(said)}</p>\n" if said else ""


def _causes_table(caption: str, causes: Sequence[Cause]) -> str:
    rows = (
        (
            f"{_dot(one.state)}{_STATE_WORDS[one.state]}",
            f"{one.entry_count:,}",
            f'<span class="reason">{inert(one.reason)}{" (and similar)" if one.varies else ""}</span>'
            + _examples(one.examples),
        )
        for one in causes
    )
    return table(caption, ("State", "#Entries", "Reason, and the first of its entries"), rows, kind="causes")


def _examples(paths: Iterable[str]) -> str:
    return "".join(f'<span class="examples mono">{inert(path)}</span>' for path in paths)


def _dot(state: EntryState) -> str:
    return (
        f'<svg class="dot" width="9" height="9" aria-hidden="true"><circle class="state-{state.value}" cx="4.5" '
        'cy="4.5" r="4.5"/></svg>'
    )


def rows_section(
    name: str, title: str, count: int, rows_max: int, states: Mapping[EntryState, int] | None = None
) -> str:
    """Return a searchable table; its rows are in the embedded data. It says how many of all rows it has."""
    if not count and name == "others":
        return ""
    chosen = {state: number for state, number in (states or {}).items() if number}
    chips = "".join(
        f'<button type="button" data-state="{state.value}" aria-pressed="false">{_dot(state)}{_STATE_WORDS[state]} {number:,}</button>'
        for state, number in chosen.items()
    )
    chips = (
        f'<div class="chips" role="group" aria-label="Only one state">{chips}</div>'
        if len(chosen) > 1
        else ""
    )
    cut = (
        f'<p class="note" data-cut><strong>Truncated: the first {rows_max:,} of {count:,} are shown.</strong> '
        "<code>bulk-upload ledger export</code> has all of them.</p>"
        if count > rows_max
        else ""
    )
    return (
        f'<section id="{name}" data-table="{name}" data-columns="{_COLUMNS[name]}" data-label="{inert(title)}">'
        f"<h2>{inert(title)}</h2>\n{cut}"
        f'<div class="find"><label for="{name}-find">Search in {inert(title)}</label>'
        f'<input id="{name}-find" type="search" autocomplete="off" spellcheck="false" '
        f'placeholder="Search path, id, hash or reason"><output aria-live="polite" for="{name}-find"></output>{chips}</div>\n'
        f'<div class="rows"></div><noscript><p class="note">This table needs JavaScript; '
        "<code>bulk-upload ledger export</code> writes its rows.</p></noscript></section>\n"
    )


def _bundled(figures: Figures) -> list[tuple[str, str, str]]:
    """Return the number of requests, where several files went in one."""
    if figures.request_count == figures.attempt_count:
        return []
    return [("Requests", f"{figures.request_count:,}", "several files in one")]


def _numbers(accepted_bytes: int, figures: Figures) -> list[tuple[str, str, str]]:
    work_s, outcomes, latency = figures.axis.work_s, figures.outcomes, figures.latency_s
    numbers = [("Accepted", human_bytes(accepted_bytes), "")]
    if figures.attempt_count:
        runs = len(figures.axis.borders_s)
        numbers += [
            ("Active time", human_seconds(work_s), "in one run" if runs == 1 else f"in {runs:,} runs"),
            (
                "Throughput",
                byte_rate(figures.accepted_bytes / work_s),
                file_rate(outcomes[ACCEPTED] / work_s),
            ),
            ("Attempts", f"{figures.attempt_count:,}", f"{figures.retry_count:,} retries"),
            *_bundled(figures),
            ("Throttled", f"{outcomes[THROTTLED]:,}", _share(outcomes[THROTTLED], figures.attempt_count)),
            ("Lost answers", f"{outcomes[IN_DOUBT]:,}", _share(outcomes[IN_DOUBT], figures.attempt_count)),
        ]
    if latency.count:
        numbers.append(
            (
                "Median time",
                brief_seconds(latency.percentile(50)),
                f"99 % within {brief_seconds(latency.percentile(99))}",
            )
        )
    if outcomes[OPEN]:
        numbers.append(("Open", f"{outcomes[OPEN]:,}", "attempts not ended yet"))
    return numbers


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} % of attempts" if part else ""


def _entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def _listed(parts: Sequence[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
