"""The job a ledger belongs to: its endpoint, team and folder."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from bulk_upload.core.model import EntryState, InDoubt, Outcome, Rejected, Unavailable
from bulk_upload.edge.ledger import JobIdentity, LedgerReader, open_ledger
from bulk_upload.errors import LedgerMismatch
from tests.edge.ledger.stage import (
    JOB,
    START_S,
    accepted,
    entry,
    files,
    opened,
    query,
    stored,
)


def _sent_one(path: Path) -> None:
    with stored(path) as store:
        (one,) = store.known(entry("a"))
        store.tried(one, accepted("file-1"))


@pytest.mark.parametrize(
    "outcome",
    [accepted("file-1"), InDoubt(reason="lost", answered=False), None],
    ids=["receipt", "doubt", "open"],
)
async def test_a_ledger_stays_with_an_endpoint_that_may_have_files(
    tmp_path: Path, outcome: Outcome | None
) -> None:
    """A receipt, a doubt or an attempt that was left open keeps the ledger where it is."""
    with stored(tmp_path / "a") as store:
        (one,) = store.known(entry("a"))
        if outcome is None:
            store.intended(one)
        else:
            store.tried(one, outcome)
    with LedgerReader(os.fspath(tmp_path / "a")) as reader:
        assert reader.may_have_sent()
    other = replace(JOB, endpoint="https://b")
    with pytest.raises(LedgerMismatch, match="https://b"):
        open_ledger(os.fspath(tmp_path / "a"), other, version="1", moved_root=False, utc_s=START_S)


async def test_a_ledger_that_sent_nothing_follows_a_corrected_address(tmp_path: Path) -> None:
    """The endpoint is replaced, which is said and recorded, and what the wrong one rejected is pending again."""
    with stored(tmp_path / "a") as store:
        one, two = store.known(entry("a"), entry("b"))
        store.tried(one, Rejected(http_status=404, reason="HTTP 404: Not Found"))
        store.tried(two, Unavailable(reason="refused"))
    with LedgerReader(os.fspath(tmp_path / "a")) as reader:
        assert not reader.may_have_sent()
    other = replace(JOB, endpoint="https://b")
    for team in ("team-2", None):
        with pytest.raises(LedgerMismatch, match="team"):
            open_ledger(
                os.fspath(tmp_path / "a"),
                replace(other, team=team),
                version="1",
                moved_root=False,
                utc_s=START_S,
            )
    async with opened(tmp_path / "a", job=other) as ledger:
        assert (
            ledger.notice
            == f"the ledger now belongs to endpoint https://b: nothing was sent to {JOB.endpoint}"
        )
    async with opened(tmp_path / "a", job=other) as ledger:
        assert ledger.notice is None
    with LedgerReader(os.fspath(tmp_path / "a")) as reader:
        facts = reader.job()
        assert facts is not None
        assert facts.endpoint == "https://b"
        assert reader.states() == {EntryState.PENDING: 2}
    with closing(sqlite3.connect(tmp_path / "a")) as connection:
        ((by, decision),) = connection.execute("SELECT decided_by, decision FROM decisions")
    assert (by, "https://b" in decision) == ("bulk-upload", True)


async def test_a_job_is_known_by_profile_endpoint_and_team(tmp_path: Path) -> None:
    """A ledger serves one job; another one's is refused with both named, and unchanged."""
    _sent_one(tmp_path / "a")
    async with opened(tmp_path / "a"):
        pass
    before = files(tmp_path)["a"]
    for others, words in (
        (JobIdentity(profile="x", endpoint=JOB.endpoint, team="team-1", root="/data"), "profile flow"),
        (JobIdentity(profile="flow", endpoint="https://b", team="team-1", root="/data"), "https://b"),
        (
            JobIdentity(profile="flow", endpoint=JOB.endpoint, team=None, root="/data"),
            "this run is for no team",
        ),
    ):
        with pytest.raises(LedgerMismatch, match=words):
            open_ledger(os.fspath(tmp_path / "a"), others, version="1", moved_root=False, utc_s=START_S)
    assert files(tmp_path)["a"] == before
    async with opened(tmp_path / "a"):
        pass


async def test_a_moved_tree_must_be_announced(tmp_path: Path) -> None:
    """Another root is refused unless the person says that the tree moved; then the ledger follows."""
    moved = JobIdentity(profile=JOB.profile, endpoint=JOB.endpoint, team=JOB.team, root="/else\udcff")
    async with opened(tmp_path / "a"):
        pass
    with pytest.raises(LedgerMismatch, match=r"/data.*/else\\xff") as caught:
        open_ledger(os.fspath(tmp_path / "a"), moved, version="1", moved_root=False, utc_s=START_S)
    assert "--moved-root" in str(caught.value.hint)
    async with opened(tmp_path / "a", job=moved, moved_root=True):
        pass
    async with opened(tmp_path / "a", job=moved):
        pass
    with LedgerReader(os.fspath(tmp_path / "a")) as reader:
        job = reader.job()
    assert job is not None
    assert job.root == "/else\udcff"


@pytest.mark.parametrize(
    ("ledger_root", "root", "hint"),
    [
        ("data", ".", "--ledger FILE"),
        (".", "data", "--ledger FILE"),
        ("data", "copy", "still there"),
        ("gone", "data", "if the same tree moved there, run again with --moved-root"),
    ],
)
async def test_a_tree_that_is_in_its_place_has_not_moved(
    tmp_path: Path, ledger_root: str, root: str, hint: str
) -> None:
    """A folder and a manifest beside it may share a ledger's name: that is another job, not a moved tree."""
    (tmp_path / "data").mkdir()

    def identity(name: str) -> JobIdentity:
        found = os.path.normpath(tmp_path / name)
        return JobIdentity(profile=JOB.profile, endpoint=JOB.endpoint, team=JOB.team, root=found)

    async with opened(tmp_path / "a", job=identity(ledger_root)):
        pass
    with pytest.raises(LedgerMismatch) as caught:
        open_ledger(os.fspath(tmp_path / "a"), identity(root), version="1", moved_root=False, utc_s=START_S)
    assert hint in str(caught.value.hint)
    is_nested = "." in (ledger_root, root)
    assert ("--moved-root" in str(caught.value.hint)) is not is_nested


async def test_a_team_that_is_no_text_is_still_one_team(tmp_path: Path) -> None:
    """A team from an environment that is not UTF-8 is recorded, and recognised again."""
    job = JobIdentity(profile="flow", endpoint=JOB.endpoint, team="t\udcff", root="/data")
    for _ in range(2):
        async with opened(tmp_path / "a", job=job) as ledger:
            assert ledger.writer.failure is None
    ((team,),) = query(tmp_path / "a", "SELECT team FROM job")
    assert team == "t\\udcff"
