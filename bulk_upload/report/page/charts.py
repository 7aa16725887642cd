"""Small charts as inline SVG. They scale to the available width, and their text keeps its size: positions are
percentages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bulk_upload.core.text.printable import human_seconds
from bulk_upload.report.page.markup import inert, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bulk_upload.core.model import EntryState
    from bulk_upload.report.page.distribution import Bin
    from bulk_upload.report.page.timeline import WorkAxis

PLOT_TOP = 22
PLOT_HEIGHT = 140
CHART_HEIGHT = PLOT_TOP + PLOT_HEIGHT + 24
MARK_HEIGHT = 16
SCALE_WIDTH = 68
BORDER_NAME_SHARE_MIN = 0.09
"""Names of runs that are nearer to each other would overlap, on a phone."""

TICKS_MAX = 6
BORDERS_NAMED_MAX = 8
NUMBER_ROWS_MAX = 20

_ROUND = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10, 20)
_STEPS_S = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600,
    7200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000,
)  # fmt: skip


def nice_top(largest: float) -> float:
    """Return the round number at or above `largest` that a scale ends with."""
    if largest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    return next(step * power for step in _ROUND if step * power >= largest * 0.999)


def state_bar(states: Mapping[EntryState, int]) -> str:
    """Return one bar with a part for each state."""
    total = sum(states.values()) or 1
    parts, x = [], 0.0
    for state, count in states.items():
        width = 100 * count / total
        parts.append(
            f'<rect class="state-{state.value}" x="{x:.3f}%" width="{width:.3f}%" height="10"><title>{count:,}'
            f" {state.value.replace('_', ' ')}</title></rect>"
        )
        x += width
    return f'<svg class="state-bar" width="100%" height="10" aria-hidden="true">{"".join(parts)}</svg>\n'


def share_bar(share: float) -> str:
    """Return a small bar that is filled by `share`, for a cell of a table."""
    return (
        '<svg class="share" width="100%" height="8" aria-hidden="true"><rect class="rail" width="100%" height="8" '
        f'rx="2"/><rect class="fill" width="{100 * share:.2f}%" height="8" rx="2"/></svg>'
    )


def timeline_chart(
    name: str,
    title: str,
    summary: str,
    *,
    axis: WorkAxis,
    values: Sequence[float],
    label_of: Callable[[float], str],
    limits: Sequence[int | None] = (),
    marks: Sequence[float] = (),
    run_names: Sequence[str] = (),
) -> str:
    """Return a figure of a value over time at work.

    Args:
        name: unique in the page.
        title: what is drawn.
        summary: the chart in a sentence, also for those who cannot see it.
        axis: the time at work.
        values: one for each bin.
        label_of: formats a value.
        limits: a second, dashed line.
        marks: small bars at the bottom, proportional to the largest.
        run_names: one for each border of the axis.
    """
    top = nice_top(max([*values, *(one for one in limits if one is not None)], default=0.0))
    area = _stepped(values, top)
    lines = [f'<path class="area" d="M0 100 L{area[1:]} V100 Z"/>', f'<path class="line" d="{area}"/>']
    if any(one is not None for one in limits):
        lines.append(f'<path class="limit" d="{_limit_path(limits, top)}"/>')
    bins = axis.bin_count
    width = 100 / bins
    most = max(marks, default=0.0)
    marked = "".join(
        f'<rect class="mark" x="{number * width:.3f}%" width="{width:.3f}%" '
        f'y="{PLOT_TOP + PLOT_HEIGHT - MARK_HEIGHT * one / most:.1f}" height="{MARK_HEIGHT * one / most:.1f}"/>'
        for number, one in enumerate(marks)
        if one > 0
    )
    hits = "".join(
        f'<rect class="hit" x="{number * width:.3f}%" width="{width:.3f}%" y="{PLOT_TOP}" height="{PLOT_HEIGHT}">'
        f"<title>{inert(human_seconds(number * axis.bin_s))}: {inert(label_of(one))}</title></rect>"
        for number, one in enumerate(values)
    )
    drawing = (
        _grid(top, label_of)
        + f'<svg x="0" y="{PLOT_TOP}" width="100%" height="{PLOT_HEIGHT}" viewBox="0 0 {bins} 100" '
        f'preserveAspectRatio="none">{"".join(lines)}</svg>'
        + marked
        + _borders(axis, run_names)
        + _time_ticks(axis)
        + hits
    )
    numbers = _timeline_numbers(title, axis, values, label_of)
    return _figure(name, title, summary, drawing, scale=_scale(top, label_of), numbers=numbers)


def histogram(
    name: str, title: str, summary: str, *, bins: Sequence[Bin], label_of: Callable[[float], str], what: str
) -> str:
    """Return a figure of how many values lie in each bin."""
    top = nice_top(max((one.count for one in bins), default=0))
    width = 100 / max(1, len(bins))
    bars = []
    for number, one in enumerate(bins):
        height = PLOT_HEIGHT * one.count / top
        if one.count:
            height = max(1.5, height)
        said = f"{label_of(one.low)} to {label_of(one.high)}: {one.count:,} {what}"
        bars.append(
            f'<rect class="bar" x="{number * width + width * 0.06:.3f}%" width="{width * 0.88:.3f}%" '
            f'y="{PLOT_TOP + PLOT_HEIGHT - height:.2f}" height="{height:.2f}" rx="1.5"/>'
            f'<rect class="hit" x="{number * width:.3f}%" width="{width:.3f}%" y="{PLOT_TOP}" '
            f'height="{PLOT_HEIGHT}"><title>{inert(said)}</title></rect>'
        )
    every = max(1, math.ceil(len(bins) / 4))
    ticks = "".join(
        _tick(number * width, label_of(one.low)) for number, one in enumerate(bins) if number % every == 0
    )
    drawing = _grid(top, _whole) + "".join(bars) + ticks
    rows = ((inert(label_of(one.low)), inert(label_of(one.high)), f"{one.count:,}") for one in bins)
    numbers = table(title, ("#from", "#to", f"#{what}"), rows)
    return _figure(name, title, summary, drawing, scale=_scale(top, _whole), numbers=numbers)


def _figure(name: str, title: str, summary: str, drawing: str, *, scale: str, numbers: str) -> str:
    return (
        f'<figure aria-labelledby="{name}-title"><figcaption><h3 id="{name}-title">{inert(title)}</h3>'
        f'<p id="{name}-summary">{inert(summary)}</p></figcaption>\n'
        f'<div class="plot">{scale}<svg class="chart" width="100%" height="{CHART_HEIGHT}" role="img" aria-labelledby="{name}-title {name}-summary">'
        f"{drawing}</svg></div>\n<details><summary>Numbers</summary>{numbers}</details></figure>\n"
    )


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _y(value: float, top: float) -> str:
    return f"{100 - 100 * value / top:.2f}".rstrip("0").rstrip(".")


def _stepped(values: Sequence[float], top: float) -> str:
    return "M0 " + "".join(
        f"{_y(one, top)}H{number + 1}" if number == 0 else f"V{_y(one, top)}H{number + 1}"
        for number, one in enumerate(values)
    )


def _limit_path(limits: Sequence[int | None], top: float) -> str:
    path, known = "", False
    for number, one in enumerate(limits):
        if one is None:
            continue
        path += f"V{_y(one, top)}" if known else f"M{number} {_y(one, top)}"
        path += f"H{number + 1}"
        known = True
    return path


def _grid(top: float, label_of: Callable[[float], str]) -> str:
    return "".join(
        f'<line class="grid" x1="0" x2="100%" y1="{PLOT_TOP + PLOT_HEIGHT * (1 - part):.0f}" '
        f'y2="{PLOT_TOP + PLOT_HEIGHT * (1 - part):.0f}"/>'
        for part in _parts(top, label_of)
    )


def _scale(top: float, label_of: Callable[[float], str]) -> str:
    """Return the labels of the scale, beside the plot: in it they would cross what is drawn."""
    labels = "".join(
        f'<text class="end" x="100%" y="{PLOT_TOP + PLOT_HEIGHT * (1 - part) + 4:.0f}">{inert(label_of(top * part))}</text>'
        for part in _parts(top, label_of)
    )
    return f'<svg class="chart scale" width="{SCALE_WIDTH}" height="{CHART_HEIGHT}" aria-hidden="true">{labels}</svg>'


def _parts(top: float, label_of: Callable[[float], str]) -> tuple[float, ...]:
    """A scale that ends with 1 file has no mark at half."""
    return (0.0, 1.0) if label_of is _whole and top < 2 else (0.0, 0.5, 1.0)


def _borders(axis: WorkAxis, run_names: Sequence[str]) -> str:
    drawn = []
    named_s = 0.0
    for border_s, name in list(zip(axis.borders_s, run_names, strict=False))[1:]:
        x = f"{100 * border_s / axis.work_s:.3f}%"
        drawn.append(
            f'<line class="border" x1="{x}" x2="{x}" y1="{PLOT_TOP - 8}" y2="{PLOT_TOP + PLOT_HEIGHT}"/>'
        )
        if len(run_names) <= BORDERS_NAMED_MAX and border_s - named_s >= BORDER_NAME_SHARE_MIN * axis.work_s:
            named_s = border_s
            drawn.append(f'<text class="tick middle" x="{x}" y="{PLOT_TOP - 11}">{inert(name)}</text>')
    return "".join(drawn)


def _time_ticks(axis: WorkAxis) -> str:
    step_s = next((one for one in _STEPS_S if axis.work_s / one <= TICKS_MAX), axis.work_s / TICKS_MAX)
    count = int(axis.work_s / step_s * 0.96)
    return "".join(
        _tick(100 * number * step_s / axis.work_s, _time_words(number * step_s))
        for number in range(count + 1)
    )


def _time_words(seconds: float) -> str:
    if seconds == 0:
        return "0"
    for unit_s, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:g} {unit}"
    return f"{seconds * 1000:g} ms"


def _tick(x: float, words: str) -> str:
    css = "tick" if x == 0 else "tick middle"
    return f'<text class="{css}" x="{x:.3f}%" y="{CHART_HEIGHT - 6}">{inert(words)}</text>'


def _timeline_numbers(
    title: str, axis: WorkAxis, values: Sequence[float], label_of: Callable[[float], str]
) -> str:
    step = math.ceil(len(values) / NUMBER_ROWS_MAX)
    groups = [(number, values[number : number + step]) for number in range(0, len(values), step)]
    rows = (
        (inert(human_seconds(number * axis.bin_s)), inert(label_of(sum(group) / len(group))))
        for number, group in groups
    )
    return table(title, ("#from, at work", "#mean"), rows)
