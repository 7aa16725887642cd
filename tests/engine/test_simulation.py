"""Whole runs against a hostile server, on virtual time: safety after every run, liveness once faults stop.

A failing seed prints the command that repeats it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bulk_upload.core.limits.pause import Pause
from bulk_upload.edge.ledger import LedgerStore
from bulk_upload.engine.doubt.resolution import Doubts
from bulk_upload.engine.limits.slots import SlotPool
from bulk_upload.engine.limits.twins import TwinGate
from bulk_upload.errors import RunStuck
from tests.engine.story import Story, name_of_seed, name_of_seeds, tell, tell_all
from tests.fakes.virtual_time import Stuck

if TYPE_CHECKING:
    from bulk_upload.core.run.reconcile import Doubt
    from bulk_upload.engine.doubt.resolution import Resolution
    from bulk_upload.engine.limits.twins import TwinKey

SEEDS = range(40)
SOAK_SEEDS = [range(first, first + 50) for first in range(1000, 3000, 50)]
"""Fifty to a test: each test costs time to collect, in every run of the others too."""
SOAK_SIZES = (3, 10, 60, 150)


@pytest.mark.parametrize("seed", SEEDS, ids=name_of_seed)
def test_no_seed_loses_or_doubles_a_file(seed: int) -> None:
    """Whatever the server does and however runs end, nothing is lost or doubled, and all is accepted at last."""
    tell(Story(seed))


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seeds", SOAK_SEEDS, ids=name_of_seeds)
def test_no_seed_of_many_loses_or_doubles_a_file(seeds: range) -> None:
    """The same for many more seeds, with larger jobs among them."""
    tell_all(Story, seeds, sizes=SOAK_SIZES)


def _forget(_self: LedgerStore, _attempt_ids: list[int], **_: object) -> None:
    """Withdraw nothing."""


async def _send_again_unasked(self: Doubts, doubt: Doubt, **_: object) -> Resolution:
    return await self.release(doubt, "a guess")


async def _let_through(_self: TwinGate, _key: TwinKey) -> bool:
    return True


def _start_at_once(_self: Pause, _now: float, _started_count: int = 0) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("owner", "name", "wrong", "noticed"),
    [
        (Doubts, "resolve", _send_again_unasked, "orphans of|two copies"),
        (TwinGate, "hold", _let_through, "a twin is"),
        (Pause, "wait_s", _start_at_once, "the server asked to wait"),
        (SlotPool, "recorded", lambda _: None, "no task of the run waits"),
        (LedgerStore, "mark_not_sent", _forget, "open_intents"),
    ],
    ids=["guessing", "twins", "pauses", "slots", "intents"],
)
def test_a_broken_engine_is_noticed(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, wrong: object, noticed: str
) -> None:
    """With one rule of the engine taken away, some seed fails for just that reason."""
    monkeypatch.setattr(owner, name, wrong)
    complaints = []
    for seed in SEEDS:
        try:
            Story(seed).tell()
        except (AssertionError, KeyError, RunStuck, Stuck) as error:
            complaints.append(str(error))
            if re.search(noticed, str(error)):
                return
    pytest.fail(f"not noticed, only: {complaints[:3]}")
