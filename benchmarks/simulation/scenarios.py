"""The servers and the files of the simulation: the list that everybody is measured on, and random ones."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

from simulation.server import ServerSpec

KB, MB, GB = 1e3, 1e6, 1e9
SIGMA = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Files against a server. `floor`, `refused_max` and `waste_max` are what every seed must keep.

    `SHORT_OF` in floors.py says which of them are not kept yet.
    """

    name: str
    what: str
    server: ServerSpec
    file_count: int
    median_bytes: float
    bytes_max: float = 5 * GB
    sigma: float = SIGMA
    then_median_bytes: float | None = None
    client_count: int = 1
    floor: float = 0.78
    refused_max: float = 0.025
    waste_max: float = 0.03

    def sizes(self, seed: int, client: int = 0, count: int | None = None) -> list[int]:
        """Return the files' sizes in the order of the manifest."""
        rng = random.Random(f"{self.name} {seed} {client}")
        number = count or self.file_count
        sizes = []
        for index in range(number):
            median = self.median_bytes
            if self.then_median_bytes is not None and index >= 0.8 * number:
                median = self.then_median_bytes
            sizes.append(int(min(self.bytes_max, max(1.0, rng.lognormvariate(math.log(median), self.sigma)))))
        return sizes


def _one(
    name: str,
    what: str,
    server: ServerSpec,
    file_count: int,
    median_bytes: float,
    floor: float,
    **more: Any,
) -> Scenario:
    return Scenario(
        name=name,
        what=what,
        server=server,
        file_count=file_count,
        median_bytes=median_bytes,
        floor=floor,
        **more,
    )


_STARTS_40 = {"rate_per_s": 40.0, "burst": 80}

SCENARIOS: tuple[Scenario, ...] = (
    _one("a1", "1 Gbit/s", ServerSpec(latency_s=0.04), 4000, MB, 0.93, refused_max=0, waste_max=0),
    _one("a2", "home line, 20 Mbit/s", ServerSpec(link_bytes_s=2.5e6), 900, 200 * KB, 0.97,
         bytes_max=100 * MB, refused_max=0, waste_max=0),
    _one("a3", "far: 150 ms, 400 slots", ServerSpec(latency_s=0.15, cap=400), 12000, 20 * KB, 0.78,
         refused_max=0, waste_max=0),
    _one("a4", "2 Gbit/s, heavy tail", ServerSpec(link_bytes_s=250e6, connection_bytes_s=40e6), 2500, 2 * MB,
         0.93, sigma=2.0, refused_max=0, waste_max=0),
    _one("b1", "24 at once", ServerSpec(cap=24), 5000, 500 * KB, 0.95, refused_max=0.005, waste_max=0.005),
    _one("b2", "8 at once, 503 after the body", ServerSpec(cap=8, late=True, status=503), 1200, 4 * MB, 0.95,
         refused_max=0.025, waste_max=0.03),
    _one("b3", "24 at once, Retry-After 2", ServerSpec(cap=24, retry_after_s=2.0), 5000, 500 * KB, 0.88,
         refused_max=0.005, waste_max=0.005),
    _one("c1", "40 starts/s", ServerSpec(rate_per_s=40.0, burst=80), 6000, 60 * KB, 0.96, refused_max=0.01,
         waste_max=0.01),
    _one("c2", "40 starts/s, exact Retry-After", ServerSpec(rate_per_s=40.0, burst=80, retry_after_s=0.0), 6000,
         60 * KB, 0.96, refused_max=0.01, waste_max=0.01),
    _one("c3", "5 starts/s, refused after the body", ServerSpec(rate_per_s=5.0, burst=5, late=True), 900, MB,
         0.93, refused_max=0.04, waste_max=0.04),
    _one("c4", "1,200 a minute, RateLimit headers", ServerSpec(window=(1200, 60.0), announced=True), 6000,
         60 * KB, 0.96, refused_max=0.001, waste_max=0.01),
    _one("c5", "40 starts/s, refused ones charged", ServerSpec(rate_per_s=40.0, burst=80, charged=True), 5000,
         60 * KB, 0.88, refused_max=0.07, waste_max=0.07),
    _one("c6", "1,200 a minute, mute", ServerSpec(window=(1200, 60.0)), 6000, 60 * KB, 0.85, refused_max=0.11,
         waste_max=0.10),
    _one("c7", "60 a half minute, mute, late", ServerSpec(window=(60, 30.0), late=True), 700, 60 * KB, 0.92,
         refused_max=0.25, waste_max=0.27),
    _one("d1", "32 workers, then a queue", ServerSpec(workers=32), 10000, 30 * KB, 0.95, refused_max=0,
         waste_max=0),
    _one("d2", "collapses beyond 48", ServerSpec(workers=32, collapse_at=48), 8000, 30 * KB, 0.91,
         refused_max=0, waste_max=0),
    _one("e1", "link falls to a third for 60 s", ServerSpec(link_moves=((30.0, 125e6 / 3), (90.0, 125e6))),
         5000, MB, 0.93, refused_max=0, waste_max=0),
    _one("e2", "cap 32, 12, 32", ServerSpec(cap=32, cap_moves=((20.0, 12), (60.0, 32))), 7000, 500 * KB, 0.82,
         refused_max=0.015, waste_max=0.005),
    _one("f1", "outage of 60 s: refused connections", ServerSpec(outage=(30.0, 90.0)), 5000, MB, 0.92,
         refused_max=0.025, waste_max=0.035),
    _one("f2", "outage of 60 s: 503 after the body", ServerSpec(outage=(30.0, 90.0), outage_late=True), 5000,
         MB, 0.9, refused_max=0.015, waste_max=0.04),
    _one("h1", "16 at once, 30 starts/s and the link",
         ServerSpec(cap=16, rate_per_s=30.0, burst=60, link_bytes_s=60e6), 4000, 500 * KB, 0.93, refused_max=0.02,
         waste_max=0.005),
    _one("h2", "small files, then large; 48 at once", ServerSpec(cap=48), 4000, 50 * KB, 0.95,
         then_median_bytes=4 * MB, refused_max=0.01, waste_max=0.005),
)  # fmt: skip
"""One client each."""

SHARED: tuple[Scenario, ...] = (
    Scenario(name="g1", what="two clients, 40 starts/s", server=ServerSpec(rate_per_s=40.0, burst=80),
             file_count=3000, median_bytes=60 * KB, client_count=2),
    Scenario(name="g2", what="two clients, 24 at once", server=ServerSpec(cap=24), file_count=4000,
             median_bytes=500 * KB, client_count=2),
    Scenario(name="g3", what="two clients, one link", server=ServerSpec(), file_count=2500, median_bytes=MB,
             client_count=2),
)  # fmt: skip
"""Two clients that do not know of each other."""

EXTRA: tuple[Scenario, ...] = (
    _one("i1", "100 starts/s, burst 20, Retry-After 1", ServerSpec(rate_per_s=100.0, burst=20, retry_after_s=1.0),
         3000, 20 * KB, 0.68, refused_max=0.02),
    _one("i2", "the same, 600 files", ServerSpec(rate_per_s=100.0, burst=20, retry_after_s=1.0), 600, 20 * KB,
         0.5, refused_max=0.05),
    _one("i3", "12 at once, 50 ms", ServerSpec(cap=12), 2000, 20 * KB, 0.9, refused_max=0.03),
)  # fmt: skip
"""What the sandbox is asked for over real sockets, simulated."""


CHANCE: tuple[Scenario, ...] = (
    _one("j1", "1 % 429, small files", ServerSpec(workers=64, chance=0.01), 12000, 30 * KB, 0.7, refused_max=0.02),
    _one("j2", "3 % 429, small files", ServerSpec(workers=64, chance=0.03), 12000, 30 * KB, 0.7, refused_max=0.045),
    _one("j3", "8 % 503, mixed", ServerSpec(link_bytes_s=60e6, chance=0.08, chance_status=503), 2500, MB, 0.7,
         refused_max=0.11),
    _one("j4", "1 % 429, Retry-After 1, mixed",
         ServerSpec(link_bytes_s=60e6, chance=0.01, chance_retry_after_s=1.0), 2500, MB, 0.8, refused_max=0.02),
    _one("j5", "3 % resets", ServerSpec(workers=64, chance=0.03, chance_status=0), 12000, 30 * KB, 0.88,
         refused_max=0.045),
    _one("j6", "1 % 429, 24 at once", ServerSpec(latency_s=0.25, cap=24, chance=0.01), 6000, 100 * KB, 0.72,
         refused_max=0.03),
    _one("j7", "1 % 429, 40 starts/s", ServerSpec(rate_per_s=40.0, burst=40, chance=0.01), 5000, 60 * KB, 0.88,
         refused_max=0.04),
)  # fmt: skip
"""Refusals that do not depend on the load, alone and with a true limit."""

BURSTS: tuple[Scenario, ...] = (
    _one("k1", "37/s, burst 3, 1.1 s", ServerSpec(rate_per_s=37.0, burst=3, latency_s=1.1), 4400, 30 * KB, 0.9,
         refused_max=0.04),
    _one("k2", "75/s, burst 4, 1 s", ServerSpec(rate_per_s=75.0, burst=4, latency_s=1.0), 6000, 30 * KB, 0.8,
         refused_max=0.015),
    _one("k3", "10/s, burst 2, 0.5 s", ServerSpec(rate_per_s=10.0, burst=2, latency_s=0.5), 1200, 30 * KB, 0.62,
         refused_max=0.035),
    _one("k4", "40/s, burst 5, 0.4 s, refused ones charged",
         ServerSpec(rate_per_s=40.0, burst=5, latency_s=0.4, charged=True), 4800, 30 * KB, 0.7, refused_max=0.14),
    _one("k5", "3/s, burst 1, 1.3 s, refused after the body",
         ServerSpec(rate_per_s=3.0, burst=1, latency_s=1.3, late=True), 400, 200 * KB, 0.95, refused_max=0.06,
         waste_max=0.07),
)  # fmt: skip
"""Quotas whose bucket holds less than what starts within a latency."""


def random_scenario(number: int) -> Scenario:
    """Return a server that nothing was tuned on: a link, a latency, and none to two limits of its own."""
    rng = random.Random(f"random scenario {number}")

    def between(low: float, high: float) -> float:
        return math.exp(rng.uniform(math.log(low), math.log(high)))

    link = between(2e6, 250e6)
    connection = between(1e6, 40e6)
    latency = between(0.01, 0.25)
    median = between(10 * KB, 4 * MB)
    limits = rng.sample(["cap", "rate", "workers", "moves"], rng.choice([0, 1, 1, 1, 2]))
    more: dict[str, Any] = {}
    if "cap" in limits:
        more["cap"] = int(between(4, 200))
    if "rate" in limits:
        more["rate_per_s"] = between(3, 200)
        more["burst"] = int(between(1, 100))
        more["charged"] = rng.random() < 0.2
    if "workers" in limits:
        more["workers"] = int(between(4, 100))
        more["work_s"] = between(0.02, 0.5)
        if rng.random() < 0.5:
            more["collapse_at"] = more["workers"] * 2
    if "moves" in limits:
        more["link_moves"] = ((20.0, link / between(1.5, 4)), (50.0, link))
    more["late"] = rng.random() < 0.3
    more["status"] = rng.choice([429, 503])
    more["retry_after_s"] = rng.choice([None, None, 0.0, 1.0, 5.0])
    server = ServerSpec(
        link_bytes_s=link,
        connection_bytes_s=connection,
        latency_s=latency,
        **more,
    )
    # As many files as keep the best client busy for about a minute and a half.
    mean = median * math.exp(SIGMA**2 / 2)
    per_s = link / mean
    if server.rate_per_s is not None:
        per_s = min(per_s, server.rate_per_s)
    one_s = latency + mean / connection + (server.work_s if server.workers else 0.0)
    per_s = min(per_s, (server.cap or 256) / one_s)
    if server.workers is not None:
        per_s = min(per_s, server.workers / server.work_s)
    return Scenario(
        name=f"r{number}",
        what=" and ".join(limits) or "link",
        server=server,
        file_count=max(200, min(8000, int(90 * per_s))),
        median_bytes=median,
    )
