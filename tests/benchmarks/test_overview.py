"""The table that README.md shows is the one that the benchmark prints."""

from __future__ import annotations

import re
from pathlib import Path

from workloads.overview import COLUMNS, ROWS, overview

ROOT = Path(__file__).parents[2]


def _results() -> dict[str, list[dict[str, object]]]:
    medians = {name: {"wall_s": 1.26, "cpu_s": 0.5} for name in COLUMNS}
    without_loop = {name: one for name, one in medians.items() if name != "S"}
    return {
        "latency": [
            {"in_flight": 16, "medians": medians},
            {"in_flight": 64, "medians": without_loop},
        ],
        **{
            row.workload: [{"in_flight": row.in_flight, "medians": medians}]
            for row in ROWS
            if row.workload != "latency"
        },
    }


def test_every_workload_has_a_row_with_everybody() -> None:
    """Each cell has wall and processor time; the loop's time holds for any number in flight."""
    lines = str(overview(_results())).splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert all(line.count("1.3 (0.5)") == len(COLUMNS) for line in lines[2:])


def test_what_was_not_measured_is_left_out() -> None:
    """A part of the workloads makes a part of the table; none of them, none."""
    only_large = {"large": _results()["large"]}
    assert len(str(overview(only_large)).splitlines()) == 3
    assert overview({"start-up": []}) is None


def test_the_readme_has_the_table_of_the_benchmark() -> None:
    """The rows and columns in README.md are those that `benchmarks/run.py` prints, in their order, each with figures."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shape = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in str(overview(_results())).splitlines()
    ]
    lines = [line for line in readme.splitlines() if line.startswith("|")]
    start = next(index for index, line in enumerate(lines) if line.startswith("| wall s (CPU s)"))
    table = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines[start : start + len(shape)]
    ]
    assert table[0] == shape[0]
    assert [row[0] for row in table[2:]] == [row[0] for row in shape[2:]]
    figures = [cell for row in table[2:] for cell in row[1:]]
    assert all(cell == "" or re.fullmatch(r"[0-9]+\.[0-9] \([0-9]+\.[0-9]\)", cell) for cell in figures)
