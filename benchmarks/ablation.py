"""Simulate the adaptive controller without one of its parts: what each earns, and where.

python benchmarks/ablation.py
"""

from __future__ import annotations

from bulk_upload.core.limits.adaptive import AdaptiveLimit
from simulation.ablation import ABLATIONS
from simulation.report import ABLATION_NUMBERS, HEAD, family_head, family_rows, measure
from simulation.scenarios import SCENARIOS


def main() -> None:
    """Print a line for each part that is left out: in the families, and in the scenarios."""
    makers = {"nothing": AdaptiveLimit, **ABLATIONS}
    print(family_head("without"))
    for name, make in makers.items():
        for line in family_rows(name, make, ABLATION_NUMBERS):
            print(line, flush=True)
    print(f"\n{HEAD.replace('policy', 'without')}")
    for name, make in makers.items():
        print(measure(make, SCENARIOS).row(name), flush=True)


if __name__ == "__main__":
    main()
