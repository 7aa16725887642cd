"""Simulate the adaptive controller beside others and print the tables of docs/explanation/concurrency.md.

python benchmarks/concurrency.py [--search]
"""

from __future__ import annotations

import argparse

from simulation.report import remember, tables


def main() -> None:
    """Print the report, or search anew what the oracle would do."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--search", action="store_true", help="search the best fixed values anew (minutes) and remember them"
    )
    if parser.parse_args().search:
        print(f"{remember()} searches remembered")
        return
    for line in tables():
        print(line, flush=True)


if __name__ == "__main__":
    main()
