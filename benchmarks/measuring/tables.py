"""Results as rows in columns that line up, and the medians of processes."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from measuring.processes import Cost

COST_COLUMNS = ("wall s", "CPU s", "peak MiB")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows in columns, the first of them to the left and all others to the right."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def cost_cells(costs: Sequence[Cost]) -> list[str]:
    """Return the medians of several runs of one command, in the order of COST_COLUMNS."""
    return [
        f"{statistics.median(one.wall_s for one in costs):.2f}",
        f"{statistics.median(one.cpu_s for one in costs):.2f}",
        f"{statistics.median(one.peak_rss_bytes for one in costs) / 2**20:.0f}",
    ]
