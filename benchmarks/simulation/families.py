"""Families of servers, each drawn at random: what a controller has to cope with beyond any list.

A family and a number give the same draw every time. Numbers below 1000 were looked at while the controller was made.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simulation.scenarios import KB, MB, SIGMA, Scenario, random_scenario
from simulation.server import ServerSpec

if TYPE_CHECKING:
    from collections.abc import Callable

LASTS_S = (15.0, 90.0)
"""For how long the best client is busy."""

FILES_MAX = 12_000


class Draw:
    """The random values of one scenario."""

    def __init__(self, family: str, number: int) -> None:
        self._random = random.Random(f"family {family} {number}")

    def between(self, low: float, high: float) -> float:
        """Return a value whose logarithm is uniform."""
        return math.exp(self._random.uniform(math.log(low), math.log(high)))

    def one_of(self, *choices: Any) -> Any:
        """Return one of some values."""
        return self._random.choice(choices)

    def happens(self, share: float) -> bool:
        """Return True in that share of draws."""
        return self._random.random() < share


def _scenario(family: str, number: int, draw: Draw, server: ServerSpec, median_bytes: float) -> Scenario:
    """Return the scenario with as many files as keep the best client busy for the time drawn."""
    mean = median_bytes * math.exp(SIGMA**2 / 2)
    one_s = server.latency_s + mean / server.connection_bytes_s + (server.work_s if server.workers else 0.0)
    caps = [value for _, value in server.cap_moves] + ([] if server.cap is None else [server.cap])
    per_s = min(server.link_bytes_s / mean, (sum(caps) / len(caps) if caps else 256) / one_s)
    if server.workers is not None:
        per_s = min(per_s, server.workers / server.work_s)
    if server.rate_per_s is not None:
        per_s = min(per_s, server.rate_per_s)
    return Scenario(
        name=f"{family} {number}",
        what=family,
        server=server,
        file_count=max(200, min(FILES_MAX, int(draw.between(*LASTS_S) * per_s))),
        median_bytes=median_bytes,
    )


def _plain(draw: Draw) -> tuple[dict[str, Any], float]:
    """Return a server without a quota, and the median of its files: small ones and workers, or mixed ones and a link."""
    if draw.happens(0.5):
        return {
            "latency_s": draw.between(0.02, 0.2),
            "workers": int(draw.between(16, 100)),
            "work_s": draw.between(0.02, 0.2),
        }, draw.between(10 * KB, 60 * KB)
    return {"latency_s": draw.between(0.02, 0.2), "link_bytes_s": draw.between(10e6, 125e6)}, draw.between(
        200 * KB, 2 * MB
    )


def _chance(draw: Draw, *statuses: int, high: float = 0.08) -> dict[str, Any]:
    """Return refusals at random."""
    return {
        "chance": draw.between(0.002, high),
        "chance_status": draw.one_of(*statuses),
        "chance_late": draw.happens(0.25),
    }


def chance_bare(number: int) -> Scenario:
    """Refuse 0.2 to 8 % at random with 429, 503 or a reset, and name no wait."""
    draw = Draw("chance bare", number)
    server, median = _plain(draw)
    return _scenario("chance bare", number, draw, ServerSpec(**server, **_chance(draw, 429, 503, 0)), median)


def chance_wait(number: int) -> Scenario:
    """Refuse 0.2 to 8 % at random with 429 or 503 and a Retry-After of one or two seconds."""
    draw = Draw("chance wait", number)
    server, median = _plain(draw)
    chance = _chance(draw, 429, 503)
    wait_s = draw.one_of(1.0, 2.0)
    spec = ServerSpec(**server, **chance, chance_retry_after_s=wait_s)
    return _scenario("chance wait", number, draw, spec, median)


def _quota(draw: Draw) -> dict[str, Any]:
    """Return a quota by rate whose bucket holds from one request to twice what a latency's time allows."""
    rate, latency = draw.between(5, 150), draw.between(0.1, 1.5)
    return {
        "rate_per_s": rate,
        "latency_s": latency,
        "burst": max(1, round(draw.between(1, max(1.5, 2 * rate * latency)))),
        "charged": draw.happens(0.15),
        "late": draw.happens(0.2),
        "retry_after_s": draw.one_of(None, None, 0.0, 1.0),
        "status": draw.one_of(429, 429, 503),
    }


def small_burst(number: int) -> Scenario:
    """Take so many requests a second, and few at once."""
    draw = Draw("small burst", number)
    return _scenario("small burst", number, draw, ServerSpec(**_quota(draw)), draw.between(10 * KB, 200 * KB))


def moving_cap(number: int) -> Scenario:
    """Take so many requests at once, and more or fewer after a while: one to three times."""
    draw = Draw("moving cap", number)
    cap = int(draw.between(8, 64))
    moves, at, now = [], 0.0, cap
    for _ in range(draw.one_of(1, 2, 3)):
        at += draw.between(8, 40)
        factor = draw.between(1.5, 3.5)
        now = max(3, int(now / factor)) if draw.happens(0.6) else min(128, int(now * factor))
        moves.append((at, now))
    spec = ServerSpec(
        cap=cap,
        cap_moves=tuple(moves),
        latency_s=draw.between(0.03, 0.3),
        late=draw.happens(0.3),
        status=draw.one_of(429, 503),
        retry_after_s=draw.one_of(None, None, 1.0),
    )
    return _scenario("moving cap", number, draw, spec, draw.between(30 * KB, 800 * KB))


def mixture(number: int) -> Scenario:
    """A true quota, by rate or by requests at once, with 0.2 to 5 % refused at random on top."""
    draw = Draw("mixture", number)
    chance = _chance(draw, 429, 503, 0, high=0.05)
    server: dict[str, Any]
    if draw.happens(0.5):
        server = {
            "rate_per_s": draw.between(10, 100),
            "burst": int(draw.between(5, 100)),
            "latency_s": draw.between(0.03, 0.3),
        }
    else:
        server = {"cap": int(draw.between(6, 64)), "latency_s": draw.between(0.03, 0.3)}
    if draw.happens(0.3):
        server["retry_after_s"] = 1.0
        chance["chance_retry_after_s"] = 1.0
    return _scenario("mixture", number, draw, ServerSpec(**server, **chance), draw.between(20 * KB, 500 * KB))


def general(number: int) -> Scenario:
    """A link, a latency, and none to two limits."""
    return replace(random_scenario(10_000 + number), name=f"general {number}", what="general")


FAMILIES: dict[str, Callable[[int], Scenario]] = {
    "chance bare": chance_bare,
    "chance wait": chance_wait,
    "small burst": small_burst,
    "moving cap": moving_cap,
    "mixture": mixture,
    "general": general,
}
"""By name: each returns the scenario of a number."""

UNSUITED = frozenset({("small burst", 3003)})
"""Draws of which even the best fixed number and rate has a fifth refused: nothing can be compared with it."""
