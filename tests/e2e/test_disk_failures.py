"""Each single change of the ledger's files fails once: the run says so and stops, and the next one goes on.

Long version, every change: pytest -n 0 -s -m soak tests/e2e/test_disk_failures.py
"""

from __future__ import annotations

import errno
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.crash_toll import Toll, shown_by
from tests.e2e.disk import Note, failure_in, watched
from tests.e2e.stage import Stage, staged
from tests.e2e.trees import plain_tree
from tests.e2e.witness import (
    assert_all_accepted,
    assert_honest,
    assert_no_unsuspected_files,
    assert_nothing_sent_blindly,
    rows_of,
    uploads_of,
)

COUNT = 10
SLOTS = 2
OPTIONS = ("--settle", "300ms", "--concurrency", str(SLOTS))
FAULTS = "answer-delay=0.02,ok*3,stored-503,drop-stored"
WHYS = (
    "disk I/O error",
    "disk is full",
    "unable to open",
    "readonly",
    "Input/output error",
    "No space left",
    "Read-only file system",
)
REMEDIES = ("free some space", "check the ledger's disk", "needs write permission")


def run_with_failure(
    folder: Path, toll: Toll, *, number: int, error: int, fail_on: bool = False
) -> int | None:
    """Run a job whose disk fails, hold the run to its promises, and complete the job on a healthy disk.

    Returns the exit code of the first run, None when it passed without meeting the failure.
    """
    folder.mkdir()
    tree = plain_tree(folder / "tree", count=COUNT, size=500)
    ledger, trace = folder / "job.ledger.db", folder / "trace"
    with staged(folder, FAULTS) as stage:
        stage.use(tree)
        env = watched(ledger, trace, fail_at=number, fail_errno=error, fail_on=fail_on)
        process = stage.start_run(*OPTIONS, "--ledger", str(ledger), "--results", "-", extra_env=env)
        ended = process.wait()
        failure = failure_in(trace)
        if failure is not None:
            toll.kills += 1
            assert_told(ended.code, ended.stderr)
            if ended.code == 11:
                assert_stopped(stage, failure)
            if ledger.exists() and uploads_of(stage):
                rows = rows_of(stage, ledger=ledger)
                toll.check_shown(shown_by(process), rows)
                assert_no_unsuspected_files(stage, assert_honest(stage, tree, rows))
            else:
                assert not uploads_of(stage)
            stage.run(*OPTIONS, "--ledger", str(ledger), expect=0)
        toll.take(stage, tree)
        assert_all_accepted(stage, tree)
        assert_nothing_sent_blindly(stage)
    shutil.rmtree(folder)
    return None if failure is None else ended.code


def assert_told(code: int, told: str) -> None:
    """The exit code says that the ledger is unusable and stderr says why and what to do; or the job is done.

    Done is done when only the tidying up after the last commit failed.
    """
    assert code in (0, 11), told
    assert "Traceback" not in told
    assert "Exception ignored" not in told
    assert "bug" not in told
    if code == 11:
        words = " ".join(told.split())
        assert "ledger" in words
        assert any(why in words for why in WHYS), told
        assert any(remedy in words for remedy in REMEDIES), told


def assert_stopped(stage: Stage, failure: Note) -> None:
    """After the failure no more is sent than what was at the point of being sent: a slot's worth or two."""
    after = [one for one in uploads_of(stage) if one.at_s > failure.offset / 1e9]
    assert len(after) <= 2 * SLOTS, f"{len(after)} uploads after the failure"


@pytest.mark.parametrize(
    ("number", "error"), [(1, errno.EIO), (20, errno.ENOSPC), (47, errno.ENOSPC), (90, errno.EIO)]
)
def test_a_change_that_fails_once_ends_the_run_and_loses_nothing(
    tmp_path: Path, number: int, error: int
) -> None:
    """A write or sync that fails once: exit 11 with a remedy, nothing new is sent, the next run completes."""
    toll = Toll(seed=0)
    assert run_with_failure(tmp_path / "job", toll, number=number, error=error) == 11
    assert toll.clean


def test_a_disk_that_turns_read_only_ends_the_run_and_loses_nothing(tmp_path: Path) -> None:
    """From some change on all of them fail, as when the system remounts a broken disk."""
    toll = Toll(seed=0)
    assert run_with_failure(tmp_path / "job", toll, number=60, error=errno.EROFS, fail_on=True) == 11
    assert toll.clean


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("fail_on", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_every_change_may_fail(tmp_path: Path, error: int, fail_on: bool) -> None:
    """As above for the first change, the second, and so on, until a run passes without meeting the failure."""
    toll = Toll(seed=0)
    codes: Counter[int | None] = Counter()
    number = 0
    while None not in codes:
        number += 1
        code = run_with_failure(tmp_path / str(number), toll, number=number, error=error, fail_on=fail_on)
        codes[code] += 1
    print(
        f"\n{errno.errorcode[error]} {fail_on=}: changes 1 to {number - 1}, exit codes {dict(codes)}; {toll}"
    )
    assert toll.clean
