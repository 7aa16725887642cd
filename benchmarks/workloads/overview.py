"""All workloads in one table, as README.md shows it: what a job takes with each, in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from measuring.tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMNS = {
    "ours": "bulk-upload",
    "ours-blake3": "`--hash blake3`",
    "ours-no-hash": "`--hash off`",
    "F": "aiohttp script",
    "S": "SDK, loop",
    "C": "curl --parallel",
}
"""By a contender's short name. Ours is the run that does what the others do, and the ledger and hashes besides."""


class Row(NamedTuple):
    workload: str
    in_flight: int
    title: str


ROWS = (
    Row("latency", 64, "1,000 x 4 KiB, answered after 50 ms, 64 in flight"),
    Row("latency", 16, "the same, 16 in flight"),
    Row("small", 16, "10,000 x 4 KiB, answered at once"),
    Row("medium", 16, "1,000 x 1 MiB"),
    Row("mixed", 16, "3,000 files, 2.4 GB, log-normal sizes"),
    Row("large", 16, "2 x 1 GiB"),
    Row("tls", 16, "1,000 x 1 MiB over TLS"),
    Row("tls-large", 16, "2 x 1 GiB over TLS"),
)


def overview(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str | None:
    """Return the table of the workloads that were measured; None where there is none of them."""
    rows = [["wall s (CPU s)", *COLUMNS.values()]]
    for row in ROWS:
        measured = results.get(row.workload, ())
        for one in measured:
            if one["in_flight"] == row.in_flight and "ours" in one["medians"]:
                # The loop, which has one in flight whatever is asked, is measured once.
                medians = {"S": measured[0]["medians"].get("S"), **one["medians"]}
                rows.append([row.title, *(_cell(medians.get(name)) for name in COLUMNS)])
    return table(rows) if len(rows) > 1 else None


def _cell(medians: Mapping[str, float] | None) -> str:
    return "" if medians is None else f"{medians['wall_s']:.1f} ({medians['cpu_s']:.1f})"
