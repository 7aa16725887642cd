"""What shows whether another machine can read a plan: one file, and one object of each store."""

from __future__ import annotations

from contextlib import closing

from bulk_upload.core.run.plan import Step
from bulk_upload.edge.ledger import Staging, first_of_each_home
from bulk_upload.edge.ledger.reading.first_paths import HOMES_MAX
from tests.edge.ledger.stage import PRINT, entry, planned


def firsts(*paths: str, settled: str | None = None) -> list[str]:
    with closing(Staging(None)) as staging:
        staging.add(
            [planned(entry(one), step=Step.SETTLED if one == settled else Step.SEND) for one in paths]
        )
        found = first_of_each_home(staging)
    assert all(fingerprint == PRINT for _, fingerprint in found)
    return [path for path, _ in found]


def test_the_first_of_each_home_that_is_to_be_sent() -> None:
    """Stores and hosts by their names, with and without a port; all files of disks are of one home."""
    assert firsts(
        "s3://b/0", "s3://b/x/1", "a/b.txt", "s3://c/1", "s3://b/2", "caf\udce9/c", "https://h:1/a/b", "https://h/c",
        "gs://b/1", settled="s3://b/0",
    ) == ["s3://b/x/1", "a/b.txt", "s3://c/1", "https://h:1/a/b", "https://h/c", "gs://b/1"]  # fmt: skip


def test_few_of_many_homes() -> None:
    """Each of them is asked, so a plan of many web servers names the first few."""
    assert firsts() == []
    assert firsts(*(f"https://h{number:02}/x" for number in range(30))) == [
        f"https://h{number:02}/x" for number in range(HOMES_MAX)
    ]
