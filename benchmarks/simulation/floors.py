"""What is demanded of the controller in each family of servers, and the table of what still falls short.

The floors of the single scenarios are beside them, in scenarios.py.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from simulation.scenarios import BURSTS, CHANCE, EXTRA, SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator

BY_NAME = {one.name: one for one in [*SCENARIOS, *EXTRA, *CHANCE, *BURSTS]}


@dataclass(frozen=True, slots=True)
class FamilyFloor:
    """The least mean goodput of the draws of a family's sets, and that of the worst draw."""

    mean: float
    worst: float


FAMILY_FLOORS = {
    "chance bare": FamilyFloor(0.88, 0.6),
    "chance wait": FamilyFloor(0.6, 0.2),
    "small burst": FamilyFloor(0.85, 0.55),
    "moving cap": FamilyFloor(0.85, 0.3),
    "mixture": FamilyFloor(0.7, 0.2),
    "general": FamilyFloor(0.935, 0.4),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """What is reached instead of a bound; None where the bound is kept.

    `goodput`, `refused` and `waste` are the worst of a scenario's seeds, `mean` and `worst` goodputs of a family.
    """

    goodput: float | None = None
    refused: float | None = None
    waste: float | None = None
    mean: float | None = None
    worst: float | None = None


SHORT_OF: dict[str, Short] = {
    "a3": Short(goodput=0.779),
    "c2": Short(refused=0.011),
    "i3": Short(refused=0.034),
    "k5": Short(refused=0.075, waste=0.129),
}
"""By scenario or family. An entry that reaches its bound after all fails a test: the table can only shrink."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A value that is demanded, and the one that is `reached` instead, if it falls short."""

    what: str
    demanded: float
    reached: float | None
    is_most: bool
    """Whether it is the most that is allowed, as of refusals, not the least."""

    def keeps(self, value: float) -> bool:
        """Return whether a measured value is as good as is demanded, or as the table says."""
        return self._as_good(value, self.demanded if self.reached is None else self.reached)

    def falls_short(self, value: float) -> bool:
        """Return whether a measured value misses what is demanded."""
        return not self._as_good(value, self.demanded)

    def _as_good(self, value: float, bound: float) -> bool:
        return value <= bound if self.is_most else value >= bound


def bounds(name: str) -> dict[str, Bound]:
    """Return the bounds of a scenario or a family, by the name of what is measured."""
    if name in BY_NAME:
        scenario = BY_NAME[name]
        demanded = {"goodput": scenario.floor, "refused": scenario.refused_max, "waste": scenario.waste_max}
    else:
        floor = FAMILY_FLOORS[name]
        demanded = {"mean": floor.mean, "worst": floor.worst}
    short = SHORT_OF.get(name, Short())
    return {
        what: Bound(what, value, getattr(short, what), what in ("refused", "waste"))
        for what, value in demanded.items()
    }


def shortfalls(name: str) -> list[Bound]:
    """Return the bounds that the table says are missed."""
    return [one for one in bounds(name).values() if one.reached is not None]


def shortfall_rows() -> Iterator[str]:
    """Return the table of shortfalls as docs/explanation/concurrency.md shows it, line by line."""
    yield "| where | what | demanded | reached |"
    yield "|---|---|---|---|"
    for name in SHORT_OF:
        for one in shortfalls(name):
            share = one.is_most
            demanded, reached = (
                f"{100 * v:.3g} %" if share else f"{v:.3g}" for v in (one.demanded, one.reached or 0)
            )
            yield f"| {name} | {one.what} | {demanded} | {reached} |"


def misspelt() -> list[str]:
    """Return what the table names and nothing demands."""
    return [
        f"{name}: {field.name}"
        for name, short in SHORT_OF.items()
        for field in fields(short)
        if getattr(short, field.name) is not None and field.name not in bounds(name)
    ]
