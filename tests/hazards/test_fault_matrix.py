"""Every kind of fault on the wire, against the real uploader: each entry ends as it should, and recovers.

The long version has three sizes for each kind, and one for each kind in the dialect of each built-in profile; it ends with
tables: pytest -n 0 -s -m soak tests/hazards/test_fault_matrix.py
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.hazards.fault_dialects import DIALECTS, FLOW_DIALECT, Dialect
from tests.hazards.fault_kinds import FAMILIES, KINDS, kinds_in
from tests.hazards.fault_server import serving
from tests.hazards.hazard_jobs import VICTIM, HazardJob, meet_all

KB, MB = 1_000, 1_000_000
SIZES = (1 * KB, 300 * KB, 9 * MB)


SHARES = 2
AT_ONCE = 40
"""The short version mostly waits: a few tests that wait for many kinds at once are soonest over."""


def jobs_of(
    folder: Path, names: list[str], sizes: tuple[int, ...], dialect: Dialect = FLOW_DIALECT
) -> list[HazardJob]:
    """Make a job for each kind and each size."""
    return [
        HazardJob(folder / f"{name}-{size}", name, KINDS[name], size, dialect)
        for name in names
        for size in sizes
    ]


def test_there_are_enough_kinds() -> None:
    """The matrix is as wide as it claims to be."""
    assert len(KINDS) >= 150


@pytest.mark.timeout(600)
@pytest.mark.parametrize("share", range(SHARES))
async def test_each_kind_of_fault_ends_as_it_should(quick_path: Path, share: int) -> None:
    """Each kind strikes one small file among others: it ends as the table says, is never doubled, and recovers."""
    names = [name for name, kind in KINDS.items() if not kind.slow][share::SHARES]
    jobs = jobs_of(quick_path, names, (1 * KB,))
    with serving(*(job.server for job in jobs)) as elsewhere:
        await meet_all(jobs, at_once=AT_ONCE)
        assert elsewhere.connection_count == 0


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("family", FAMILIES)
async def test_each_kind_of_fault_in_three_sizes(tmp_path: Path, family: str) -> None:
    """The same for files that fit into one read, into the system's buffers, and into neither."""
    began = time.monotonic()
    jobs = jobs_of(tmp_path, [name for name, kind in KINDS.items() if kind.family == family], SIZES)
    with serving(*(job.server for job in jobs)) as elsewhere:
        await meet_all(jobs, at_once=12)
        assert elsewhere.connection_count == 0
    uploads = sum(len(job.server.uploads) for job in jobs)
    print(f"\n{family}: {len(jobs)} jobs, {uploads} uploads, {time.monotonic() - began:.1f} s")


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", DIALECTS)
async def test_each_kind_of_fault_in_each_dialect(quick_path: Path, name: str) -> None:
    """The same in the dialect of each built-in profile: nothing is doubled, no receipt is wrong, and nothing hangs."""
    began = time.monotonic()
    dialect = DIALECTS[name]
    jobs = jobs_of(quick_path, kinds_in(dialect), (1 * KB,), dialect)
    with serving(*(job.server for job in jobs)) as elsewhere:
        jobs = await meet_all(jobs, at_once=AT_ONCE)
        assert elsewhere.connection_count == 0
    ends = Counter(job.rows()[VICTIM].state for job in jobs)
    uploads = sum(len(job.server.uploads) for job in jobs)
    print(
        f"\n{name}: {len(jobs)} kinds, {uploads} uploads, 0 doubled, 0 wrong receipts, 0 hangs; in the end "
        f"{', '.join(f'{count} {state}' for state, count in ends.most_common())}; {time.monotonic() - began:.1f} s"
    )
