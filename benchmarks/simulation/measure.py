"""Runs of scenarios, the oracle's search, and what a run is compared by."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from simulation.policies import Oracle
from simulation.world import LASTS_S_MAX, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.limits.controller import Controller
    from simulation.scenarios import Scenario
    from simulation.world import Tally

REMEMBERED = os.path.join(os.path.dirname(__file__), "oracle.json")
ORACLE_LIMITS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 40, 48, 64, 96, 128, 192, 256)
ORACLE_RATES = (0.97, 1.0, 1.02)
ORACLE_REFUSED_MAX = 0.02
REACHED = 0.9
REACH_WINDOW_S = 3.0


def run(scenario: Scenario, seed: int, make: Callable[[], Controller], *, count: int | None = None) -> Tally:
    """Let one client work through a scenario."""
    world = World(scenario.server)
    client = world.add(make(), scenario.sizes(seed, count=count), seed=f"{scenario.name} {seed} chance")
    world.run()
    return client.tally


def run_shared(
    scenario: Scenario, seed: int, make: Callable[[], Controller]
) -> tuple[list[Tally], float, float]:
    """Let several clients share a server; return their tallies, Jain's index, and accepted uploads per second.

    Both count while all of them run. The later ones begin some seconds after the first.
    """
    tallies, shares, lasted_s = _run_together(scenario, seed, [make] * scenario.client_count)
    jain = sum(shares) ** 2 / (len(shares) * sum(one * one for one in shares))
    return tallies, jain, sum(shares) / lasted_s


def run_beside(
    scenario: Scenario, seed: int, make: Callable[[], Controller], neighbour: Callable[[], Controller]
) -> tuple[float, float]:
    """Let a client run beside one of another kind; return its share of the work while both run, and of its requests
    that which was refused."""
    tallies, shares, _ = _run_together(scenario, seed, [make, neighbour])
    return shares[0] / sum(shares), tallies[0].refused_share


def _run_together(
    scenario: Scenario, seed: int, makers: list[Callable[[], Controller]]
) -> tuple[list[Tally], list[float], float]:
    """Return the tallies, each client's work while all run, and for how long that is."""
    world = World(scenario.server)
    clients = [
        world.add(
            make(),
            scenario.sizes(seed, index),
            seed=f"{scenario.name} {seed} {index} chance",
            starts_at=index * 5.0 * seed,
        )
        for index, make in enumerate(makers)
    ]
    world.run()
    tallies = [client.tally for client in clients]
    begins = max(one.started_at for one in tallies)
    ends = min(one.started_at + one.lasted_s for one in tallies)
    shares = [_work_at(one, scenario, ends) - _work_at(one, scenario, begins) for one in tallies]
    return tallies, shares, ends - begins


def _work_at(tally: Tally, scenario: Scenario, when: float) -> float:
    before = [one for one in tally.samples if one[0] <= when]
    return _work(before[-1], scenario) if before else 0.0


def _work(sample: tuple[float, int, float], scenario: Scenario) -> float:
    """Return the seconds that one upload after another would have taken."""
    _, uploads, moved = sample
    return uploads * scenario.server.latency_s + moved / scenario.server.connection_bytes_s


@cache
def oracle(scenario: Scenario, seed: int, count: int | None = None) -> tuple[Tally, str]:
    """Return the run of the best fixed in-flight limit and start rate, and what these are."""
    limit, rate = known_best(scenario, seed, count)
    tally = _run_oracle(scenario, seed, count, limit, rate, LASTS_S_MAX)
    return tally, f"{limit}" if rate is None else f"{limit}, {rate:.3g}/s"


def known_best(scenario: Scenario, seed: int, count: int | None = None) -> tuple[int, float | None]:
    """Return what `best` finds, from the file that remembers it where it does."""
    known = _remembered().get(key_of(scenario, seed, count))
    return (known[0], known[1]) if known is not None else best(scenario, seed, count)


def key_of(scenario: Scenario, seed: int, count: int | None = None) -> str:
    """Return the name of a search, which changes with anything that could change what it finds."""
    what = hashlib.sha256(repr(replace(scenario, what="", floor=0, refused_max=0, waste_max=0)).encode())
    return f"{scenario.name} {seed} {count or scenario.file_count} {what.hexdigest()[:12]}"


@cache
def _remembered() -> dict[str, list[Any]]:
    if not os.path.exists(REMEMBERED):
        return {}
    with open(REMEMBERED, encoding="utf-8") as file:
        found: dict[str, list[Any]] = json.load(file)
    return found


def best(scenario: Scenario, seed: int, count: int | None = None) -> tuple[int, float | None]:
    """Search the best fixed in-flight limit and start rate.

    Of those that refuse at most 2 %, chance aside, the fastest; among equals (1 %) the one with the fewest in flight. It is
    chosen as if there were no outage: a lot in flight is no merit because it lasts through one.
    """
    if scenario.server.outage is not None:
        scenario = replace(scenario, server=replace(scenario.server, outage=None))
    for refused_max in (ORACLE_REFUSED_MAX, 2.5 * ORACLE_REFUSED_MAX, 10 * ORACLE_REFUSED_MAX):
        found = _fastest(scenario, seed, count, refused_max + 1.5 * scenario.server.chance)
        if found is not None:
            return found
    raise LookupError(f"{scenario.name}: no fixed limit is refused rarely enough")


def _fastest(
    scenario: Scenario, seed: int, count: int | None, refused_max: float
) -> tuple[int, float | None] | None:
    spec = scenario.server
    quota = spec.rate_per_s
    if spec.window is not None and not spec.announced:
        quota = spec.window[0] / spec.window[1]
    rates = [None] if quota is None else [quota * one for one in ORACLE_RATES]
    found: tuple[int, float | None] | None = None
    lasts_s_max = LASTS_S_MAX
    for limit in ORACLE_LIMITS:
        for rate in rates:
            tally = _run_oracle(scenario, seed, count, limit, rate, lasts_s_max)
            if tally.finished_at is not None and tally.refused_share <= refused_max:
                found = limit, rate
                lasts_s_max = tally.lasted_s * 0.99
    return found


def _run_oracle(
    scenario: Scenario, seed: int, count: int | None, limit: int, rate: float | None, lasts_s_max: float
) -> Tally:
    world = World(scenario.server, lasts_s_max=lasts_s_max)
    controller = Oracle(limit, rate, world.server)
    client = world.add(controller, scenario.sizes(seed, count=count), seed=f"{scenario.name} {seed} chance")
    world.run()
    return client.tally


@dataclass(frozen=True, slots=True)
class Score:
    """A run beside the oracle's."""

    goodput: float
    refused: float
    waste: float
    p99_ratio: float
    reached_s: float
    attempts_max: int
    requests: int


def score(tally: Tally, scenario: Scenario, best: Tally) -> Score:
    """Compare a run with the oracle's; nobody is praised for being faster than it."""
    return Score(
        goodput=min(1.0, best.lasted_s / tally.lasted_s),
        refused=tally.refused_share,
        waste=tally.waste,
        p99_ratio=tally.p99_s / max(1e-9, best.p99_s),
        reached_s=_reached_s(tally, scenario, best),
        attempts_max=tally.attempts_max,
        requests=tally.accepted + tally.refused + tally.failed,
    )


def _reached_s(tally: Tally, scenario: Scenario, best: Tally) -> float:
    """Return when some seconds first went at 90 % of the oracle's rate; infinite for never."""
    window_s = min(REACH_WINDOW_S, best.lasted_s / 4)
    total = _work((0.0, best.accepted, float(best.accepted_bytes)), scenario) / best.lasted_s
    samples = tally.samples
    first = 0
    for last, sample in enumerate(samples):
        while first + 1 < last and samples[first + 1][0] <= sample[0] - window_s:
            first += 1
        passed_s = sample[0] - samples[first][0]
        done = _work(sample, scenario) - _work(samples[first], scenario)
        if passed_s >= window_s - 1e-6 and done >= REACHED * total * passed_s:
            return sample[0] - tally.started_at
    if tally.lasted_s <= max(window_s, 1.0) or best.lasted_s >= REACHED * tally.lasted_s:
        return tally.lasted_s
    return float("inf")
