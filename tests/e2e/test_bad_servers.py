"""Servers that refuse, fail, lie and lag: nothing is doubled, nothing is claimed that is not so.

The storms mostly wait, so the short ones are started together, each against a server of its own.

Long versions, 500 files a storm: pytest -n 0 -s -m soak tests/e2e/test_bad_servers.py
"""

from __future__ import annotations

import signal
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.servers import unlistable, upload_as_stranger
from tests.e2e.stage import Ended, Process, Stage, staged
from tests.e2e.trees import BORDER_SIZES, MIB, Tree, mixed_tree, plain_tree, written
from tests.e2e.witness import (
    assert_all_accepted,
    assert_gates_kept,
    assert_honest,
    assert_no_unsuspected_files,
    assert_nothing_sent_blindly,
    lists_of,
    results_of,
    row_by_path,
    stored_of,
    uploads_of,
)

QUIET_START = "ok*16"
"""Until the first file has its receipt: `duplicate-id` means a lie about that file, not about a stranger's."""

MIXED = (
    "429:1@4%,429:date+2@2%,429@2%,500@4%,502@4%,503@2%,503:1@3%,503:date+2@1%,504@4%,408@2%,"
    "drop-head@3%,drop-mid@4%,drop-stored@4%,stored-500@2%,stored-502@2%,stored-503@2%,stored-504@2%,"
    "no-id@2%,html@2%,empty@1%,truncated@2%,cut-answer@2%,garbage@2%,wrong-bytes@2%,bad-id@1%,duplicate-id@2%,"
    "early-429:1@2%,early-503:1@1%,budget=2"
)
STORMS = {
    "storm": "storm",
    "ambiguous": "ambiguous",
    "liar": "liar",
    "harsh": "harsh",
    "mixed": MIXED,
    "waits": "429:3,ok*15,early-503:date+4,answer-delay=0.3",
    "lag": "drop-stored@25%,stored-500@15%,500@10%,list-lag=1,budget=2",
}
SHORT = [name for name in STORMS if name != "mixed"]
"""The storms of the short test."""

SETTLE = {"harsh": "3s", "lag": "3s"}
"""Longer than the list lags in that storm; 300 ms in the others."""


@dataclass(frozen=True, slots=True)
class AtWork:
    """A run on its way through a storm."""

    stage: Stage
    tree: Tree
    process: Process
    settle: str


def at_work_in(stages: ExitStack, folder: Path, tree: Tree, name: str, seed: int) -> AtWork:
    """Start a run in a storm."""
    settle = SETTLE.get(name, "300ms")
    stage = stages.enter_context(staged(folder, f"{QUIET_START},{STORMS[name]},seed={seed}"))
    stage.use(tree)
    return AtWork(stage, tree, stage.start_run("--settle", settle), settle)


def weathered(run: AtWork, *, timeout_s: float, grace_s: float) -> Ended:
    """Wait until a run ends, check what the ledger says by then, and finish the job in fair weather."""
    stage, tree = run.stage, run.tree
    ended = run.process.wait(timeout_s)
    assert ended.code in (0, 4, 5), ended.stderr
    rows = assert_honest(stage, tree)
    assert_no_unsuspected_files(stage, rows)
    assert {row.status for row in rows.values()} <= {"accepted", "in_doubt", "pending"}
    assert_nothing_sent_blindly(stage)
    assert_gates_kept(stage, grace_s=grace_s)
    stage.use_faults("")
    if ended.code:
        stage.run("--settle", run.settle, expect=0, timeout_s=timeout_s)
        assert_nothing_sent_blindly(stage)
    assert_all_accepted(stage, tree)
    return ended


def test_a_file_among_strangers_stays_in_doubt_until_told(tmp_path: Path) -> None:
    """With two foreign files alike at the server: exit 4, never resent; `--in-doubt resend` sends it once more."""
    tree = written(tmp_path / "tree", {b"wanted.txt": b"our own bytes", b"other.txt": b"something else"})
    with staged(tmp_path, "delay:600") as stage:
        stage.use(tree)
        process = stage.start_run("--concurrency", "1")
        process.until(lambda: len(stored_of(stage)) == 1, "the upload whose answer waits")
        for content in (b"strange bytes", b"foreign bytes"):
            upload_as_stranger(stage.url, filename="wanted.txt", content=content)
        process.signal(signal.SIGINT)
        process.until(lambda: "SIGINT" in process.stderr, "the word that it drains")
        process.signal(signal.SIGINT)
        assert process.wait().code == 130
        assert sorted(row.status for row in results_of(stage)) == ["in_doubt", "pending"]

        ended = stage.run("--settle", "300ms", expect=4)
        candidates = [one.file_id for one in stored_of(stage).values() if one.filename == "wanted.txt"]
        assert len(candidates) == 3
        assert all(str(one) in ended.stderr for one in candidates)
        stage.run("--settle", "300ms", expect=4)
        assert [one.filename for one in uploads_of(stage)] == ["wanted.txt"] * 3 + ["other.txt"]

        stage.run("--settle", "300ms", "--in-doubt", "resend", expect=0)
        row = row_by_path(stage)[b"tree/wanted.txt"]
        assert [one.filename for one in uploads_of(stage)][4:] == ["wanted.txt"]
        assert row.file_id == uploads_of(stage)[4].file_id


def test_storms_double_nothing_and_lose_nothing(tmp_path: Path) -> None:
    """In each storm an entry is sent again only after the list showed its absence, and named waits are kept."""
    with ExitStack() as stages:
        runs = {}
        for name in SHORT:
            folder = tmp_path / name
            tree = mixed_tree(folder / "tree", count=50, seed=3, sizes=(10, 3000), large=(300_000, MIB + 1))
            runs[name] = at_work_in(stages, folder, tree, name, seed=4)
        for name, run in runs.items():
            try:
                weathered(run, timeout_s=90, grace_s=1.0)
            except AssertionError as error:
                error.add_note(f"in the storm {name!r}")
                raise


def test_a_failing_list_leaves_everything_in_doubt(tmp_path: Path) -> None:
    """Where answers are lost and the list fails: exit 4, every entry in doubt, each sent once."""
    tree = plain_tree(tmp_path / "tree", count=3, size=100)
    with unlistable() as server, staged(tmp_path) as stage:
        stage.use(tree)
        stage.run("--settle", "300ms", url=server.url, expect=4)
        assert [row.status for row in results_of(stage)] == ["in_doubt"] * 3
        assert server.upload_count == 3
        assert server.call_count > 1


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", STORMS)
def test_a_long_storm_doubles_nothing_and_loses_nothing(tmp_path: Path, name: str, seed: int) -> None:
    """The same with 500 files of up to 16 MiB."""
    large = (*BORDER_SIZES, 5 * MIB, 16 * MIB)
    sizes = (0, 1, 1000, 20_000, 400_000)
    tree = mixed_tree(tmp_path / "tree", count=500, seed=seed, sizes=sizes, large=large)
    with ExitStack() as stages:
        run = at_work_in(stages, tmp_path, tree, name, seed)
        ended = weathered(run, timeout_s=1200, grace_s=0.4)
        uploads = uploads_of(run.stage)
        faulted = sum(bool(one.fault) for one in uploads)
        print(
            f"\n{name} seed {seed}: exit {ended.code} after {ended.seconds:.1f} s, {ended.peak_kib // 1024} MiB,"
            f" {len(uploads)} uploads of which {faulted} met a fault, {len(lists_of(run.stage))} lists"
        )


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_failing_list_is_asked_again_and_again(tmp_path: Path) -> None:
    """Running again at such a server sends nothing, unless told to resend; then each entry is sent once more."""
    tree = plain_tree(tmp_path / "tree", count=3, size=100)
    with unlistable() as server, staged(tmp_path) as stage:
        stage.use(tree)
        for options, upload_count in (((), 3), ((), 3), (("--in-doubt", "hold"), 3)):
            stage.run("--settle", "300ms", *options, url=server.url, expect=4)
            assert server.upload_count == upload_count
        stage.run("--settle", "300ms", "--in-doubt", "resend", "--max-attempts", "1", url=server.url)
        assert server.upload_count > 3
