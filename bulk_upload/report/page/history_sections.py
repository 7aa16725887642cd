"""The parts of the report page about the job's history: charts, attempts, runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.text.printable import human_bytes, human_seconds, printable
from bulk_upload.core.text.wording import clock_step_words
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.amounts import brief_seconds, byte_rate, file_rate, rounded
from bulk_upload.report.page.charts import histogram, share_bar, timeline_chart
from bulk_upload.report.page.figures import ACCEPTED, THROTTLED
from bulk_upload.report.page.markup import inert, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bulk_upload.core.report.history import RunFacts
    from bulk_upload.report.page.distribution import Bin, Distribution
    from bulk_upload.report.page.figures import Figures

RUNS_SHOWN_MAX = 200
AGENTS_SHOWN_MAX = 200
BARS_MAX = 32
CHANCE_RUNS_SHOWN_MAX = 5


def over_time_section(figures: Figures) -> str:
    """Return throughput and attempts over the time at work."""
    if not figures.attempt_count:
        return ""
    axis = figures.axis
    names = [f"run {one.facts.run_id}" for one in figures.runs.values() if one.facts.began_utc is not None]
    bytes_s, files_s = figures.bytes_accepted.per_second(), figures.files_accepted.per_second()
    open_count = figures.seconds_open.per_second()
    limits = figures.limits()
    charts = [
        timeline_chart(
            "bytes", "Bytes accepted per second",
            f"{byte_rate(figures.accepted_bytes / axis.work_s)} on average, {byte_rate(max(bytes_s))} at best.",
            axis=axis, values=bytes_s, label_of=byte_rate, run_names=names,
        ),
        timeline_chart(
            "files", "Files accepted per second",
            f"{file_rate(figures.outcomes[ACCEPTED] / axis.work_s)} on average, {file_rate(max(files_s))} at best.",
            axis=axis, values=files_s, label_of=file_rate, run_names=names,
        ),
        timeline_chart(
            "open", "Attempts in flight",
            _open_words(max(open_count), limits), axis=axis, values=open_count, label_of=rounded, limits=limits,
            marks=figures.throttled.totals(), run_names=names,
        ),
    ]  # fmt: skip
    keys = ['<span><span class="key"></span>attempts</span>']
    if any(one is not None for one in limits):
        keys.append('<span><span class="key dashed"></span>in-flight limit</span>')
    if figures.outcomes[THROTTLED]:
        keys.append('<span><span class="key short"></span>the server asked to wait</span>')
    several = " Gaps between runs are left out." if len(axis.borders_s) > 1 else ""
    return (
        f"<section><h2>Over time</h2>\n<p>{inert(human_seconds(axis.work_s))} of active time.{several}</p>\n"
        f'{"".join(charts)}<p class="keys">{"".join(keys)}</p>{_chance_lines(figures)}</section>\n'
    )


def _chance_lines(figures: Figures) -> str:
    """Return what runs said of refusals that did not depend on their load; of many runs only the newest."""
    said = [(run, words) for run, words in figures.chance_words.items() if words is not None]
    return "".join(
        f"<p>Run {run}: {inert(words)}.</p>\n" for run, words in sorted(said)[-CHANCE_RUNS_SHOWN_MAX:]
    )


def distributions_section(figures: Figures) -> str:
    """Return how long accepted uploads took and how large they were."""
    latency, sizes = figures.latency_s, figures.sizes
    if not latency.count:
        return ""
    return (
        '<section><h2>Accepted uploads</h2>\n<div class="pair">'
        + histogram(
            "latency", "Time to answer", _spread_words(latency, brief_seconds), bins=_few_bins(latency),
            label_of=brief_seconds, what="uploads",
        )
        + histogram("sizes", "Size", _spread_words(sizes, human_bytes), bins=_few_bins(sizes), label_of=human_bytes, what="files")
        + "</div></section>\n"
    )  # fmt: skip


def attempts_section(figures: Figures) -> str:
    """Return the attempts that were not accepted, by cause: the reasons for retries."""
    causes = sorted(figures.causes.values(), key=lambda one: -one.count)
    if not causes:
        return ""
    most = causes[0].count
    rows = (
        (
            inert(one.outcome.replace("_", " ")),
            "" if one.http_status is None else str(one.http_status),
            f"{one.count:,}",
            share_bar(one.count / most),
            f'<span class="reason">{inert(one.reason)}</span>',
        )
        for one in causes
    )
    heads = ("Outcome", "#HTTP", "#Attempts", "", "Reason")
    said = f"{figures.retry_count:,} of {figures.attempt_count:,} attempts were retries."
    return (
        f"<section><h2>Attempts that were not accepted</h2>\n<p>{said}</p>\n"
        f"{table('Attempts by cause', heads, rows, kind='causes attempts')}</section>\n"
    )


def limits_section(figures: Figures) -> str:
    """Return the changes of the in-flight limit, as far as the ledger recorded them."""
    limit = figures.limit
    if not limit.change_count:
        return ""
    rows = (
        (
            f'<span class="time">{inert(_short_utc(one.at_utc))}</span>',
            f"{one.in_flight_limit:,}",
            inert(one.reason),
        )
        for one in limit.kept
    )
    cut = (
        f"<p>The first {len(limit.kept):,} of {limit.change_count:,}; the ledger has all of them.</p>\n"
        if limit.change_count > len(limit.kept)
        else ""
    )
    return (
        f"<section><h2>The in-flight limit</h2>\n{cut}<details><summary>{limit.change_count:,} changes</summary>"
        f"{table('Changes of the limit', ('UTC', '#Limit', 'Why'), rows)}</details></section>\n"
    )


def runs_section(figures: Figures) -> str:
    """Return one line per run, the latest first."""
    runs = list(figures.runs.values())[::-1]
    rows = (
        (
            f"{one.facts.run_id:,}",
            f'<span class="time">{inert(_short_utc(one.facts.started_utc))}</span>',
            f"{one.attempt_count:,}",
            f"{one.accepted_count:,}",
            inert(human_bytes(one.accepted_bytes)),
            f"{one.retry_count:,}",
            inert(_checked(one.facts)),
            inert(_ending(one.facts.exit_status)),
        )
        for one in runs[:RUNS_SHOWN_MAX]
    )
    heads = ("#Run", "Started, UTC", "#Attempts", "#Accepted", "#Bytes", "#Retries", "#Checked", "Ended")
    cut = f"<p>The latest {RUNS_SHOWN_MAX:,} of {len(runs):,}.</p>\n" if len(runs) > RUNS_SHOWN_MAX else ""
    steps = "".join(
        f"<p>Run {one.run_id:,}, {inert(_short_utc(one.at_utc))} UTC: {inert(clock_step_words(one.step_s))}. Times before and "
        "after do not compare.</p>\n"
        for one in figures.clock_steps
    )
    return f"<section><h2>Runs</h2>\n{cut}{table('Runs', heads, rows, kind='runs')}{steps}</section>\n"


def agents_section(figures: Figures) -> str:
    """Return one line per agent, those that sent most first; empty where the process of each run sent by itself."""
    agents = sorted(figures.agents.values(), key=lambda one: -one.accepted_bytes)
    if not agents:
        return ""
    most = max(1, agents[0].accepted_bytes)
    rows = (
        (
            f'<span class="mono">{inert(one.agent)}</span>',
            f"{one.first_run_id:,}"
            + ("" if one.first_run_id == one.last_run_id else f" to {one.last_run_id:,}"),
            f"{one.attempt_count:,}",
            f"{one.accepted_count:,}",
            inert(human_bytes(one.accepted_bytes)),
            share_bar(one.accepted_bytes / most),
            f"{one.in_doubt_count:,}",
        )
        for one in agents[:AGENTS_SHOWN_MAX]
    )
    heads = ("Agent", "#Run", "#Attempts", "#Accepted", "#Bytes", "", "#Answers lost")
    cut = (
        f"<p>The first {AGENTS_SHOWN_MAX:,} of {len(agents):,}.</p>\n"
        if len(agents) > AGENTS_SHOWN_MAX
        else ""
    )
    files, file_bytes = figures.itself()
    size = inert(human_bytes(file_bytes))
    own = f"<p>These runs themselves sent {files:,} files ({size}).</p>\n" if files > 0 else ""
    return f"<section><h2>Agents</h2>\n{own}{cut}{table('Agents', heads, rows, kind='agents')}</section>\n"


def _few_bins(spread: Distribution) -> Sequence[Bin]:
    bins: Sequence[Bin] = ()
    for joined in (1, 2, 5, 10):
        bins = spread.bins(joined)
        if len(bins) <= BARS_MAX:
            break
    return bins


def _spread_words(spread: Distribution, label_of: Callable[[float], str]) -> str:
    middle, high, highest = (spread.percentile(one) for one in (50, 90, 99))
    return f"Half within {label_of(middle)}, 90 % within {label_of(high)}, 99 % within {label_of(highest)}; {label_of(spread.largest)} at most."


def _open_words(most: float, limits: Sequence[int | None]) -> str:
    known = [one for one in limits if one is not None]
    limit = f" The in-flight limit was {min(known):,} to {max(known):,}." if known else ""
    return f"At most {rounded(most)}, averaged per bar.{limit}"


def _checked(facts: RunFacts) -> str:
    """Return how many receipts of a run were compared with the server's list, of how many if not of all."""
    if facts.checked_count is None or facts.receipt_count is None:
        return ""
    all_of_them = facts.checked_count == facts.receipt_count
    return f"{facts.checked_count:,}" + ("" if all_of_them else f" of {facts.receipt_count:,}")


def _ending(exit_status: int | None) -> str:
    if exit_status is None:
        return "active, or died"
    meaning = next((one.meaning for one in ExitStatus if one == exit_status), None)
    return str(exit_status) if meaning is None else f"{exit_status}: {meaning}"


def _short_utc(text: str) -> str:
    return printable(text)[:19].replace("T", " ")
