"""The tables of the simulation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from bulk_upload.core.limits.adaptive import AdaptiveLimit
from simulation.families import FAMILIES, UNSUITED
from simulation.measure import REMEMBERED, best, key_of, oracle, run, run_beside, run_shared, score
from simulation.policies import Aimd, Gradient, Peer
from simulation.scenarios import BURSTS, CHANCE, EXTRA, SCENARIOS, SHARED, random_scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bulk_upload.core.limits.controller import Controller
    from simulation.measure import Score
    from simulation.scenarios import Scenario

SEEDS = (0, 1, 2)
RANDOM_NUMBERS = range(100, 130)
"""Those from 0 to 29 were looked at while the controller was made."""

FAMILY_NUMBERS = range(1000, 1012)
"""The draws of the policies' table: none of them was looked at while the controller was made."""

FAMILY_SETS = tuple(range(first, first + 12) for first in (1000, 2000, 3000, 4000))
"""The draws that the floors of families are of."""

LIMITED = ("small burst", "moving cap", "mixture", "general")
"""The families with a limit."""

ABLATION_NUMBERS = range(1000, 1006)
MUTE = ("c6", "c7")
POLICIES: dict[str, Callable[[], Controller]] = {
    "fixed-16": lambda: Peer(16),
    "fixed-64": lambda: Peer(64),
    "AIMD": Aimd,
    "Gradient2": Gradient,
    "**adaptive**": AdaptiveLimit,
}


@dataclass(frozen=True, slots=True)
class Totals:
    """Runs of one policy, taken together."""

    scores: dict[tuple[str, int], Score]

    def mean(self, *, but: tuple[str, ...] = ()) -> tuple[float, float]:
        """Return mean goodput and mean share of refused and failed requests."""
        chosen = [one for (name, _), one in self.scores.items() if name not in but]
        return sum(one.goodput for one in chosen) / len(chosen), sum(one.refused for one in chosen) / len(
            chosen
        )

    def worst(self) -> tuple[float, str]:
        """Return the lowest goodput and its scenario."""
        return min((one.goodput, name) for (name, _), one in self.scores.items())

    def row(self, name: str) -> str:
        """Return a line of the table."""
        goodput, refused = self.mean()
        worst, where = self.worst()
        ones = list(self.scores.values())
        waste = sum(one.waste for one in ones) / len(ones)
        late = sum(one.reached_s > 15.0 for one in ones)
        return (
            f"| {name} | {goodput:.3f} | {worst:.2f} ({where}) | {100 * refused:.1f} % | {100 * waste:.1f} % "
            f"| {median(one.p99_ratio for one in ones):.1f} | {late}/{len(ones)} "
            f"| {max(one.attempts_max for one in ones)} |"
        )


HEAD = (
    "| policy | goodput | worst | refused + failed | wasted bytes | p99 x oracle's | 90 % later than 15 s | attempts |\n"
    "|---|---|---|---|---|---|---|---|"
)


def measure(
    make: Callable[[], Controller], scenarios: Iterable[Scenario], seeds: tuple[int, ...] = SEEDS
) -> Totals:
    """Run a policy through scenarios."""
    scores = {}
    for scenario in scenarios:
        for seed in seeds:
            scores[scenario.name, seed] = score(
                run(scenario, seed, make), scenario, oracle(scenario, seed)[0]
            )
    return Totals(scores)


def random_scenarios() -> list[Scenario]:
    """Return those that nothing was tuned on."""
    return [random_scenario(number) for number in RANDOM_NUMBERS]


def family_scenarios(family: str, numbers: Iterable[int] = FAMILY_NUMBERS) -> list[Scenario]:
    """Return draws of a family."""
    return [FAMILIES[family](number) for number in numbers if (family, number) not in UNSUITED]


def set_scenarios(family: str) -> list[Scenario]:
    """Return the draws of all sets."""
    return [one for numbers in FAMILY_SETS for one in family_scenarios(family, numbers)]


def family_rows(
    name: str, make: Callable[[], Controller], numbers: Iterable[int] = FAMILY_NUMBERS
) -> Iterable[str]:
    """Return a line: what a policy comes to in each family."""
    yield _family_row(name, _family_runs(make, list(numbers)))


def family_head(first: str = "policy") -> str:
    """Return the head of the families' table."""
    return f"| {first} | {' | '.join(FAMILIES)} |\n|---|{'---|' * len(FAMILIES)}"


def family_table() -> Iterable[str]:
    """Return the families' table, line by line."""
    yield family_head()
    for name, make in POLICIES.items():
        yield from family_rows(name, make)


def set_rows(make: Callable[[], Controller]) -> Iterable[str]:
    """Return a line for each set of draws, one for all, and one with what was refused of all requests."""
    yield family_head("draws")
    runs: dict[str, list[Score]] = {family: [] for family in FAMILIES}
    for numbers in FAMILY_SETS:
        fresh = _family_runs(make, numbers)
        yield _family_row(f"{numbers[0]} to {numbers[-1]}", fresh)
        for family, ones in fresh.items():
            runs[family] += ones
    yield _family_row("all", runs)
    shares = " | ".join(f"{100 * refused_of_all(ones):.1f} %" for ones in runs.values())
    yield f"| of all requests | {shares} |"


def _family_runs(make: Callable[[], Controller], numbers: Iterable[int]) -> dict[str, list[Score]]:
    return {
        family: list(measure(make, family_scenarios(family, numbers), (0,)).scores.values())
        for family in FAMILIES
    }


def _family_row(name: str, runs: dict[str, list[Score]]) -> str:
    cells = []
    for ones in runs.values():
        goodputs = [one.goodput for one in ones]
        refused = sum(one.refused for one in ones) / len(ones)
        cells.append(f"{sum(goodputs) / len(goodputs):.2f} ({min(goodputs):.2f}) {100 * refused:.1f} %")
    return f"| {name} | {' | '.join(cells)} |"


def refused_of_all(ones: Iterable[Score]) -> float:
    """Return the share refused of all requests of these runs together."""
    ones = list(ones)
    return sum(one.refused * one.requests for one in ones) / sum(one.requests for one in ones)


def scenario_rows(totals: Totals, scenarios: Iterable[Scenario]) -> Iterable[str]:
    """Return a line for each scenario: the worst seed."""
    for scenario in scenarios:
        ones = [totals.scores[scenario.name, seed] for seed in SEEDS]
        how = oracle(scenario, 0)[1]
        yield (
            f"| {scenario.name} | {scenario.what} | {how} | {min(one.goodput for one in ones):.3f} "
            f"| {100 * max(one.refused for one in ones):.1f} % | {100 * max(one.waste for one in ones):.1f} % "
            f"| {max(one.reached_s for one in ones):.1f} s |"
        )


def shared_rows(make: Callable[[], Controller], name: str) -> Iterable[str]:
    """Return a line for each shared server."""
    for scenario in SHARED:
        indices = [run_shared(scenario, seed, make)[1] for seed in range(5)]
        yield f"| {name} | {scenario.what} | {sum(indices) / len(indices):.2f} | {min(indices):.2f} |"


def neighbour_rows(make: Callable[[], Controller], name: str) -> Iterable[str]:
    """Return a line for each shared server: a client beside one that always has 64 in flight and never waits for all."""
    for scenario in SHARED:
        ones = [run_beside(scenario, seed, make, POLICIES["fixed-64"]) for seed in range(5)]
        share = sum(one[0] for one in ones) / len(ones)
        refused = sum(one[1] for one in ones) / len(ones)
        least = min(one[0] for one in ones)
        yield f"| {name} | {scenario.what} | {share:.2f} | {least:.2f} | {100 * refused:.1f} % |"


def remember() -> int:
    """Search what the oracle would do in every scenario, and write it down; return how many there are."""
    found = {}
    for scenario in [*SCENARIOS, *EXTRA, *CHANCE, *BURSTS]:
        for seed in SEEDS:
            found[key_of(scenario, seed)] = best(scenario, seed)
    drawn = [one for family in FAMILIES for one in set_scenarios(family)]
    for scenario in [*random_scenarios(), *drawn]:
        found[key_of(scenario, 0)] = best(scenario, 0)
    with open(REMEMBERED, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=0)
        file.write("\n")
    return len(found)


def tables() -> Iterable[str]:
    """Return the whole report, line by line."""
    yield f"{len(SCENARIOS)} scenarios, {len(SEEDS)} seeds:\n"
    yield HEAD
    for name, make in POLICIES.items():
        if make is not AdaptiveLimit:
            yield measure(make, SCENARIOS).row(name)
    totals = measure(AdaptiveLimit, SCENARIOS)
    yield totals.row("**adaptive**")
    goodput, refused = totals.mean(but=MUTE)
    yield f"\nWithout the mute windows: {goodput:.3f}, {100 * refused:.1f} % refused.\n"
    yield "| | server | oracle (seed 0) | goodput, worst seed | refused | wasted | 90 % reached |"
    yield "|---|---|---|---|---|---|---|"
    yield from scenario_rows(totals, SCENARIOS)
    further = [*EXTRA, *CHANCE, *BURSTS]
    yield from scenario_rows(measure(AdaptiveLimit, further), further)
    yield f"\n{len(RANDOM_NUMBERS)} random scenarios:\n"
    yield HEAD
    for name, make in POLICIES.items():
        yield measure(make, random_scenarios(), (0,)).row(name)
    yield f"\n{len(FAMILY_NUMBERS)} draws of each family, mean (worst) and refused:\n"
    yield from family_table()
    yield f"\n{len(FAMILY_SETS)} sets of draws, mean (worst) and refused:\n"
    yield from set_rows(AdaptiveLimit)
    yield "\n| two clients | sharing | Jain, mean | worst of 5 seeds |\n|---|---|---|---|"
    for name in ("AIMD", "**adaptive**"):
        yield from shared_rows(POLICIES[name], name)
    yield "\n| beside fixed-64 | sharing | its share, mean | least of 5 seeds | refused |\n|---|---|---|---|---|"
    for name in ("fixed-64", "AIMD", "**adaptive**"):
        yield from neighbour_rows(POLICIES[name], name)
