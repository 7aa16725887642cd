"""The adaptive controller against simulated servers, compared with the best fixed values in hindsight.

All of it, some minutes: pytest -n 2 -m soak tests/core/limits/test_concurrency_simulation.py
The tables of docs/explanation/concurrency.md: python benchmarks/concurrency.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bulk_upload.core.limits.adaptive import AdaptiveLimit
from bulk_upload.core.limits.controller import LearnedLimits
from bulk_upload.core.run.retry import RetryPolicy
from simulation.families import FAMILIES
from simulation.floors import BY_NAME, SHORT_OF, bounds, misspelt, shortfall_rows, shortfalls
from simulation.measure import best, known_best, oracle, run, run_shared, score
from simulation.report import (
    FAMILY_NUMBERS,
    LIMITED,
    MUTE,
    SEEDS,
    family_scenarios,
    measure,
    random_scenarios,
    refused_of_all,
    set_scenarios,
)
from simulation.scenarios import SCENARIOS, SHARED, Scenario
from simulation.world import ATTEMPTS_BY_CHANCE, THROTTLED_S

QUICK = (
    *("a1", "a2", "b2", "b3", "c2", "c3", "c4", "c7", "d2", "e2", "f1", "f2", "h1", "h2"),
    *("j1", "j3", "j4", "k1", "k4"),
)

CHEAP = ("b2", "c3", "i2", "i3", "k3", "k5")
"""Of the shortfalls, those that take a moment to simulate."""

CONCURRENCY_PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "concurrency.md"


def misses(scenario: Scenario, seed: int) -> list[str]:
    """Return in what a run of the controller misses the scenario's bounds, or what is known to be reached instead."""
    one = score(run(scenario, seed, AdaptiveLimit), scenario, oracle(scenario, seed)[0])
    missed = [
        f"{bound.what} {value:.4f}, not {bound}"
        for bound in bounds(scenario.name).values()
        if not bound.keeps(value := getattr(one, bound.what))
    ]
    if one.attempts_max > 10:
        missed.append(f"{one.attempts_max} attempts")
    return missed


@pytest.mark.parametrize("name", QUICK)
def test_one_seed(name: str) -> None:
    """Each kind of server is met once: fast enough, and hardly a request refused."""
    assert misses(BY_NAME[name], 0) == []


def test_two_clients_share_a_quota() -> None:
    """Two that do not know of each other end up with about as much."""
    assert run_shared(SHARED[0], 1, AdaptiveLimit)[1] >= 0.8


def test_a_ruined_rate_is_outgrown_at_once() -> None:
    """A ledger that remembers 0.1 starts/s costs less than five seconds, by chance or without it."""
    for scenario in (BY_NAME["a1"], BY_NAME["j1"]):
        ruined = run(
            scenario,
            0,
            lambda: AdaptiveLimit(learned=LearnedLimits(limit=8, rate_per_s=0.1)),
            count=2000,
        )
        assert ruined.lasted_s <= run(scenario, 0, AdaptiveLimit, count=2000).lasted_s + 5.0


def test_a_warm_start_costs_no_more_than_a_cold_one() -> None:
    """What was learned at a quota is good for the next run there."""
    scenario = BY_NAME["c1"]
    learned = LearnedLimits(limit=8, rate_per_s=40.0)
    warm = run(scenario, 0, lambda: AdaptiveLimit(learned=learned), count=1500)
    cold = run(scenario, 0, AdaptiveLimit, count=1500)
    assert warm.lasted_s <= 1.05 * cold.lasted_s
    assert warm.refused_share <= cold.refused_share + 0.01


def test_what_the_oracle_would_do_is_searched_and_not_made_up() -> None:
    """The remembered best values are what a search finds."""
    assert tuple(known_best(BY_NAME["b2"], 0)) == best(BY_NAME["b2"], 0)


def test_a_throttled_file_waits_as_in_the_product() -> None:
    """The simulation's constant is the policy's."""
    assert RetryPolicy().throttled_s == THROTTLED_S


def test_a_file_that_failed_by_chance_waits_as_in_the_product() -> None:
    """The simulation's constant says what the policy does of itself."""
    policy = RetryPolicy(attempts_max=100)
    waits = [
        policy.again("", attempts_used=used, budget_empty=False, jitter=0.5, by_chance=by_chance)
        for used, by_chance in ((20, True), (ATTEMPTS_BY_CHANCE, False))
    ]
    assert waits[0] == waits[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_one_draw_of_each_family(family: str) -> None:
    """The first two draws keep the floor of the worst."""
    worst = bounds(family)["worst"]
    for scenario in family_scenarios(family, FAMILY_NUMBERS[:2]):
        one = score(run(scenario, 0, AdaptiveLimit), scenario, oracle(scenario, 0)[0])
        assert worst.keeps(one.goodput), scenario


@pytest.mark.soak
@pytest.mark.parametrize("family", FAMILIES)
def test_families(family: str) -> None:
    """Four sets of draws keep the family's mean and its worst."""
    totals = measure(AdaptiveLimit, set_scenarios(family), (0,))
    measured = {"mean": totals.mean()[0], "worst": totals.worst()[0]}
    for bound in bounds(family).values():
        assert bound.keeps(measured[bound.what]), bound
    for bound in shortfalls(family):
        assert bound.falls_short(measured[bound.what]), f"take it out of SHORT_OF: {bound}"


@pytest.mark.soak
def test_little_is_refused_where_limits_are_real() -> None:
    """Of all requests of these jobs, what mixtures refuse by chance included."""
    drawn = [one for family in LIMITED for one in set_scenarios(family)]
    assert refused_of_all(measure(AdaptiveLimit, drawn, (0,)).scores.values()) <= 0.025


def test_the_table_of_shortfalls_is_sound() -> None:
    """Each entry is of something that is demanded, and worse than that."""
    assert misspelt() == []
    for name in SHORT_OF:
        assert shortfalls(name)
        assert all(bound.falls_short(bound.reached or 0.0) for bound in shortfalls(name)), name


def test_the_page_names_the_shortfalls() -> None:
    """The documentation shows the table as it is."""
    assert "\n".join(shortfall_rows()) in CONCURRENCY_PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in CHEAP else [pytest.mark.soak])
        for name in SHORT_OF
        if name in BY_NAME
    ],
)
def test_a_shortfall_is_one(name: str) -> None:
    """What keeps its bound in every seed after all leaves the table."""
    scenario = BY_NAME[name]
    ones = [score(run(scenario, seed, AdaptiveLimit), scenario, oracle(scenario, seed)[0]) for seed in SEEDS]
    for bound in shortfalls(name):
        values = [getattr(one, bound.what) for one in ones]
        assert any(bound.falls_short(value) for value in values), f"take it out of SHORT_OF: {bound}"


@pytest.mark.soak
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", BY_NAME)
def test_every_scenario(name: str, seed: int) -> None:
    """Every scenario and seed keeps its own bounds."""
    assert misses(BY_NAME[name], seed) == []


@pytest.mark.soak
def test_all_together() -> None:
    """The means over the whole list, and how soon the best rate is reached."""
    totals = measure(AdaptiveLimit, SCENARIOS)
    goodput, refused = totals.mean()
    ones = list(totals.scores.values())
    assert goodput >= 0.95
    worst, name = totals.worst()
    assert worst >= 0.78 or bounds(name)["goodput"].reached is not None, name
    assert refused <= 0.025
    assert totals.mean(but=MUTE)[1] <= 0.01
    assert sum(one.reached_s <= 15.0 for one in ones) >= 0.9 * len(ones)
    assert max(one.reached_s for one in ones) < float("inf")
    assert sorted(one.p99_ratio for one in ones)[len(ones) // 2] <= 1.5
    assert max(one.attempts_max for one in ones) <= 10


@pytest.mark.soak
def test_two_clients() -> None:
    """Jain's index over the shared servers: 0.9 on average, 0.7 in any seed."""
    indices = [run_shared(one, seed, AdaptiveLimit)[1] for one in SHARED for seed in range(5)]
    assert sum(indices) / len(indices) >= 0.9
    assert min(indices) >= 0.7


@pytest.mark.soak
def test_servers_that_nothing_was_tuned_on() -> None:
    """Random servers: refusals stay rare, and the mean is not far below the list's."""
    goodput, refused = measure(AdaptiveLimit, random_scenarios(), (0,)).mean()
    assert goodput >= 0.89
    assert refused <= 0.02
