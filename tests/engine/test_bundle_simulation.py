"""Whole runs with bundles against a hostile server, on virtual time: what holds for single files holds for these.

A failing seed prints the command that repeats it.
"""

from __future__ import annotations

import dataclasses
import random

import pytest
from msgspec.structs import replace

from bulk_upload.core.run.settings import RunSettings
from bulk_upload.engine.doubt.resolution import Doubts
from tests.engine.story import Story, name_of_seed, name_of_seeds, tell, tell_all
from tests.fakes.bundle_rules import BundleFate
from tests.fakes.server_settings import ServerSettings

SEEDS = range(30)
SOAK_SEEDS = [range(first, first + 50) for first in range(1000, 2000, 50)]

_HOSTILE = tuple(
    one for one in BundleFate if one not in (BundleFate.ACCEPT, BundleFate.RENAMED, BundleFate.DENY)
)
"""A renamed file stays in doubt until a person decides, and a refused key ends the run: neither ends a story well."""


class BundleStory(Story):
    """A story whose small files go in bundles, which meet every fate of their own."""

    def __init__(
        self, seed: int, *, sizes: tuple[int, ...] = (10, 40, 80), may_leave_doubts: bool = False
    ) -> None:
        super().__init__(seed, sizes=sizes, may_leave_doubts=may_leave_doubts)
        self._bundles = random.Random(f"bundles {seed}")
        share = self._bundles.choice([0.1, 0.3, 0.6])
        fates = self._bundles.sample(_HOSTILE, self._bundles.choice([1, 3, len(_HOSTILE)]))
        rules = self.world.server.bundles
        rules.chances = dict.fromkeys(fates, share / len(fates))
        rules.files_max = self._bundles.choice([1_000, 1_000, 3])
        rules.serves = self._bundles.random() < 0.9

    def _server(self) -> ServerSettings:
        # A run in which no file is accepted does not learn the server's time, and leaves to a person what was lost then.
        return dataclasses.replace(super()._server(), clock_ahead_s=0.0)

    def _settings(self) -> RunSettings:
        return replace(super()._settings(), bundle=self._bundles.choice([2, 5, 64]))


@pytest.mark.parametrize("seed", SEEDS, ids=name_of_seed)
def test_no_seed_loses_or_doubles_a_file(seed: int) -> None:
    """Whatever becomes of bundles and however runs end, nothing is lost or doubled, and all is accepted at last."""
    tell(BundleStory(seed))


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seeds", SOAK_SEEDS, ids=name_of_seeds)
def test_no_seed_of_many_loses_or_doubles_a_file(seeds: range) -> None:
    """The same for many more seeds, with larger jobs among them."""
    tell_all(BundleStory, seeds, sizes=(10, 60, 200))


def test_an_engine_that_guesses_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With doubts released on a guess, some seed has two copies of a file."""

    async def guess(self: Doubts, doubt: object, *_: object, **__: object) -> object:
        return await self.release(doubt, "a guess")  # type: ignore[arg-type]

    monkeypatch.setattr(Doubts, "resolve", guess)
    with pytest.raises(AssertionError, match=r"orphans of|two copies"):
        _tell_all()


def _tell_all() -> None:
    for seed in SEEDS:
        BundleStory(seed).tell()
