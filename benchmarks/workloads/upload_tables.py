"""The table of one workload: medians of all rounds, ratios of the same round."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from measuring.file_sets import GIB
from measuring.tables import table
from peers.contenders import OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from measuring.file_sets import FileSet
    from workloads.measurement import Measurement

Rounds = dict[str, list["Measurement"]]
"""The measurements of each contender, one for each round."""


def summaries(
    rounds: Rounds, files: FileSet, *, unit: str, ideal_s: float | None
) -> dict[str, dict[str, float]]:
    """Return the medians of every contender, and what bulk-upload took as a multiple of it in the same round."""
    return {
        name: _summary(runs, files, unit=unit, ideal_s=ideal_s) | _ratios(rounds.get(OURS, []), runs)
        for name, runs in rounds.items()
        if any(one.failure is None for one in runs)
    }


def _summary(
    runs: list[Measurement], files: FileSet, *, unit: str, ideal_s: float | None
) -> dict[str, float]:
    good = [one for one in runs if one.failure is None]
    amount = files.count / 1000 if unit == "files" else files.total_bytes / GIB

    def median(value: Callable[[Measurement], float]) -> float:
        return statistics.median(value(one) for one in good)

    summary = {
        "wall_s": median(lambda one: one.cost.wall_s),
        "first_request_s": median(lambda one: one.counts.first_head_s - one.cost.began_s),
        "span_s": median(lambda one: one.counts.span_s),
        "cpu_s": median(lambda one: one.cost.cpu_s),
        "cpu_s_per_unit": median(lambda one: one.cost.cpu_s / amount),
        "peak_rss_mib": median(lambda one: one.cost.peak_rss_bytes / 2**20),
        "connections": median(lambda one: one.counts.connections),
        "requests": median(lambda one: one.counts.uploads),
        "open_max": median(lambda one: one.counts.open_max),
        "refused": median(lambda one: one.counts.refused),
        "sink_cpu_s": median(lambda one: one.counts.cpu_s),
    }
    if ideal_s is not None:
        summary["span_of_ideal"] = median(lambda one: one.counts.span_s / ideal_s)
    return summary


def _ratios(ours: list[Measurement], runs: list[Measurement]) -> dict[str, float]:
    pairs = [
        (mine, other)
        for mine, other in zip(ours, runs, strict=False)
        if mine.failure is None and other.failure is None
    ]
    if not pairs:
        return {}
    return {
        "our_wall_ratio": statistics.median(mine.cost.wall_s / other.cost.wall_s for mine, other in pairs),
        "our_cpu_ratio": statistics.median(mine.cost.cpu_s / other.cost.cpu_s for mine, other in pairs),
    }


def workload_table(
    summary: Mapping[str, Mapping[str, float]], labels: Mapping[str, str], *, unit: str
) -> str:
    """Return the table of one workload."""
    per = "1,000 files" if unit == "files" else "GiB"
    has_ideal = any("span_of_ideal" in one for one in summary.values())
    has_refused = any(one["refused"] for one in summary.values())
    # Only where several files go in one: elsewhere it is the number of files.
    has_requests = len({one["requests"] for one in summary.values()}) > 1 and not has_ideal
    head = [
        "",
        "wall s",
        "first request s",
        "span s",
        f"CPU s/{per}",
        "peak MiB",
        "connections",
        "our wall ÷ its",
        "our CPU ÷ its",
    ]
    rows = [head + ["span ÷ ideal"] * has_ideal + ["refused"] * has_refused + ["requests"] * has_requests]
    for name, one in summary.items():
        rows.append(
            [
                labels[name],
                f"{one['wall_s']:.2f}",
                f"{one['first_request_s']:.2f}",
                f"{one['span_s']:.2f}",
                f"{one['cpu_s_per_unit']:.2f}",
                f"{one['peak_rss_mib']:.0f}",
                f"{one['connections']:.0f}",
                _ratio(one.get("our_wall_ratio")),
                _ratio(one.get("our_cpu_ratio")),
            ]
            + [f"{one['span_of_ideal']:.2f}" for _ in range(has_ideal)]
            + [f"{one['refused']:.0f}" for _ in range(has_refused)]
            + [f"{one['requests']:.0f}" for _ in range(has_requests)]
        )
    return table(rows)


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
