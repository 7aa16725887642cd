"""Simulate the adaptive controller beside others and print the tables of docs/explanation/concurrency.md.

python benchmarks/concurrency.py [--search | --families | --revision REVISION]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

from bulk_upload.core.limits.adaptive import AdaptiveLimit
from simulation.report import SEEDS, family_rows, family_table, measure, remember, set_rows, tables
from simulation.scenarios import SCENARIOS


def main() -> None:
    """Print the report, or search anew what the oracle would do."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--search", action="store_true", help="search the best fixed values anew (minutes) and remember them"
    )
    parser.add_argument("--families", action="store_true", help="print the tables of the families only")
    parser.add_argument("--revision", help="print the row of the controller of an earlier git revision")
    parser.add_argument("--row", help="print the row of this package's controller under this name")
    given = parser.parse_args()
    if given.search:
        print(f"{remember()} searches remembered")
    elif given.revision:
        of_revision(given.revision)
    elif given.row:
        print(measure(AdaptiveLimit, SCENARIOS, SEEDS).row(given.row))
        for line in family_rows(given.row, AdaptiveLimit):
            print(line, flush=True)
    else:
        for line in [*family_table(), "", *set_rows(AdaptiveLimit)] if given.families else tables():
            print(line, flush=True)


def of_revision(revision: str) -> None:
    """Simulate the package as it was at a revision, in these scenarios."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with tempfile.TemporaryDirectory() as former:
        archive = subprocess.run(
            ["git", "archive", revision, "bulk_upload"], cwd=root, check=True, stdout=subprocess.PIPE
        )
        subprocess.run(["tar", "-x"], cwd=former, check=True, input=archive.stdout)
        subprocess.run(
            [sys.executable, os.path.abspath(__file__), "--row", revision],
            check=True,
            env={**os.environ, "PYTHONPATH": former},
        )


if __name__ == "__main__":
    main()
