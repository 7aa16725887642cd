"""From a manifest to a plan, over real files and a real ledger."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.manifest.rules import ManifestRules
from bulk_upload.core.model import Accepted, Entry, Fingerprint, Outcome, Rejected, SentBody
from bulk_upload.core.run.plan import Step, plan_entry
from bulk_upload.core.run.planned import PlannedEntry
from bulk_upload.core.run.records import AttemptEnd, Intent
from bulk_upload.edge.ledger import JobIdentity, LedgerStore, Staging
from bulk_upload.edge.ledger.file.identity import claim
from bulk_upload.edge.ledger.file.opening import open_for_writing
from bulk_upload.edge.source_tree import SourceTree
from bulk_upload.engine.plan import Plan, Preparation
from bulk_upload.errors import ManifestInvalid

NAMES = ("new", "unchanged", "touched", "resized", "gone", "rejected", "pending")


def fingerprint(path: Path) -> Fingerprint:
    """The fingerprint of a file that is there."""
    status = path.stat()
    return Fingerprint(
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        inode=status.st_ino,
        ctime_ns=status.st_ctime_ns,
    )


def line(name: str) -> bytes:
    """A line of a manifest."""
    return json.dumps({"path": name, "purpose": "pre-train"}).encode() + b"\n"


def record(connection: sqlite3.Connection, root: Path, outcomes: dict[str, Outcome | None]) -> None:
    """Record entries in a ledger, each with the outcome of its one attempt, if it has had any."""
    store = LedgerStore(connection)
    claim(
        connection,
        JobIdentity(profile="flow", endpoint="https://api.example", team=None, root=os.fspath(root)),
        moved_root=False,
        utc_s=0.0,
    )
    store.begin_run(version="1.0", utc_s=0.0)
    store.register([Entry(path=name, purpose="pre-train") for name in outcomes], utc_s=0.0)
    for entry_id, (name, outcome) in enumerate(outcomes.items(), start=1):
        if outcome is None:
            continue
        source = fingerprint(root / name)
        intent = Intent(entry_id=entry_id, attempt_no=1, sent_name=name, fingerprint=source, at_utc_s=0.0)
        (attempt_id,) = store.intend([intent])
        sent = SentBody(
            sent_name=name, purpose="pre-train", file_bytes=source.size, complete=True, content_hash="a" * 64
        )
        store.conclude(
            AttemptEnd(attempt_id=attempt_id, entry_id=entry_id, outcome=outcome, sent=sent, at_utc_s=0.0)
        )


@contextmanager
def prepared(root: Path, ledger: Path | None, *, strict_paths: bool = False) -> Iterator[Preparation]:
    """What a plan is made with."""
    tree = SourceTree(os.fspath(root))
    staging = Staging(None if ledger is None else os.fspath(ledger))
    try:
        yield Preparation(
            rules=ManifestRules(
                where="m.jsonl", root=tree.root, allow_outside=not strict_paths, strict_paths=strict_paths
            ),
            tree=tree,
            staging=staging,
            profile=FLOW,
            retry=frozenset(),
            strict_paths=strict_paths,
        )
    finally:
        staging.close()


def test_every_entry_is_decided_as_the_rule_says(tmp_path: Path) -> None:
    """Quickly or not, each entry gets the step that `plan_entry` has for what the ledger and the disk show."""
    root = tmp_path / "root"
    root.mkdir()
    for name in NAMES:
        (root / name).write_bytes(b"text")
    taken = {
        name: Accepted(file_id=f"id-{name}", http_status=200, size_confirmed=True) for name in NAMES[1:5]
    }
    connection = open_for_writing(os.fspath(tmp_path / "ledger"))
    record(
        connection,
        root,
        {**taken, "rejected": Rejected(http_status=400, reason="bad"), "pending": None},
    )
    connection.close()
    os.utime(root / "touched", ns=(1, 1))
    (root / "resized").write_bytes(b"longer text")
    (root / "gone").unlink()
    with prepared(root, tmp_path / "ledger") as preparation:
        plan = preparation.plan(line(name) for name in NAMES)
        staged = [one for page in preparation.staging.pages() for one in page]
    assert [one.entry.path for one in staged] == list(NAMES)
    assert [one.entry.line_no for one in staged] == list(range(1, len(NAMES) + 1))
    assert [(one.step, one.note) for one in staged] == [decided(one) for one in staged]
    assert {one.entry.path: one.fingerprint for one in staged if one.fingerprint is not None} == {
        name: fingerprint(root / name) for name in NAMES if name != "gone"
    }
    assert [one.step for one in staged] == [
        Step.SEND, Step.SETTLED, Step.COMPARE, Step.SEND, Step.SETTLED, Step.BLOCKED, Step.SEND,
    ]  # fmt: skip
    assert plan.reasons == {(one.step, one.note): 1 for one in staged}
    assert plan.entry_count == len(NAMES)


def decided(one: PlannedEntry) -> tuple[Step, str]:
    """What the rule says about a staged entry."""
    decided = plan_entry(one.known, one.fingerprint)
    return decided.step, decided.reason


def test_a_repeated_line_is_complained_about_once(tmp_path: Path) -> None:
    """A line that repeats one is a duplicate and nothing else, also where its file is missing."""
    (tmp_path / "there").touch()
    with prepared(tmp_path, None) as preparation, pytest.raises(ManifestInvalid) as caught:
        preparation.plan(map(line, ("there", "missing", "missing", "there")))
    assert [(one.line_no, one.rule) for one in caught.value.findings] == [
        (2, "missing-file"),
        (3, "duplicate-entry"),
        (4, "duplicate-entry"),
    ]


def planned(root: Path, *names: str, strict: bool = False) -> tuple[dict[str, Step], Plan]:
    """Plan a manifest of these paths; return the step of each, and the plan."""
    with prepared(root, None, strict_paths=strict) as preparation:
        plan = preparation.plan(map(line, names))
        return {
            one.entry.path: one.step for page in preparation.staging.pages() for one in page if one.step
        }, plan


def test_bad_paths_are_entries_with_a_reason(tmp_path: Path) -> None:
    """A missing file, a folder, a link that leads out and a path outside the root are planned beside the good ones."""
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    names = ("a", "b", "c", "d")
    for name in names:
        (root / name).touch()
    (root / "link").symlink_to("/etc/passwd")
    by_name = ("folder/", "..", "a/../b", "a\0b", "\ud800", "caf\udce9")
    bad = ("gone", "folder", "link", "../outside")
    steps, plan = planned(root, *names, *bad)
    outside = os.path.join(os.fspath(tmp_path.resolve()), "outside")
    assert steps == dict.fromkeys(names, Step.SEND) | dict.fromkeys(
        ("gone", "folder", "link", outside), Step.MISSING
    )
    words = {reason for step, reason in plan.reasons if step is Step.MISSING}
    assert 'there is no file "gone"' in words
    assert any("is not beneath the root" in one for one in words)
    with pytest.raises(ManifestInvalid) as caught:
        planned(root, *names, *bad, strict=True)
    assert [one.line_no for one in caught.value.findings] == [5, 6, 7, 8]
    for one in by_name:
        steps, plan = planned(root, *names, one)
        assert steps[one] is Step.MISSING
        with pytest.raises(ManifestInvalid):
            planned(root, *names, one, strict=True)
    with pytest.raises(ManifestInvalid, match="1 problem"):
        planned(root, *names, "")


def test_more_missing_than_there_stops_before_the_first_byte(tmp_path: Path) -> None:
    """Half of the files may be missing; more, and it is a mount that is not there, or the wrong root."""
    for name in ("a", "b"):
        (tmp_path / name).touch()
    steps, _ = planned(tmp_path, "a", "x", "b", "y")
    assert list(steps.values()).count(Step.MISSING) == 2
    with pytest.raises(ManifestInvalid, match="3 of 5 files are missing or unreadable") as caught:
        planned(tmp_path, "a", "x", "b", "y", "z")
    assert [one.line_no for one in caught.value.findings] == [2, 4, 5]
    assert "--root" in str(caught.value.hint)
    with pytest.raises(ManifestInvalid, match="1 of 1 file is missing"):
        planned(tmp_path, "x")


def test_what_was_accepted_and_is_gone_is_not_missed(tmp_path: Path) -> None:
    """Files that were cleaned up after their upload do not count; those that are still there do."""
    root = tmp_path / "root"
    root.mkdir()
    names = ("a", "b", "c")
    for name in names:
        (root / name).write_bytes(b"text")
    connection = open_for_writing(os.fspath(tmp_path / "ledger"))
    taken: dict[str, Outcome | None] = {
        name: Accepted(file_id=f"id-{name}", http_status=200, size_confirmed=True) for name in names
    }
    record(connection, root, taken)
    connection.close()
    (root / "a").unlink()
    with prepared(root, tmp_path / "ledger") as preparation:
        plan = preparation.plan(map(line, (*names, "x", "y")))
    assert (plan.total(Step.SETTLED).entry_count, plan.total(Step.MISSING).entry_count) == (3, 2)
    with prepared(root, tmp_path / "ledger") as preparation, pytest.raises(ManifestInvalid):
        preparation.plan(map(line, (*names, "x", "y", "z")))


def test_a_file_system_that_fails_is_not_the_file_s_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry whose disk or mount fails while it is planned is to stay pending."""
    for name in ("a", "b"):
        (tmp_path / name).touch()
    original = os.lstat
    failing = os.path.join(os.path.realpath(tmp_path), "b")

    def lstat(path: str) -> os.stat_result:
        if path == failing:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return original(path)

    monkeypatch.setattr(os, "lstat", lstat)
    steps, plan = planned(tmp_path, "a", "b")
    assert steps == {"a": Step.SEND, "b": Step.UNREACHABLE}
    assert (Step.UNREACHABLE, f'"b" cannot be read: {os.strerror(errno.ESTALE)}') in plan.reasons


def test_repeated_lines_far_apart(tmp_path: Path) -> None:
    """A duplicate is found however many lines lie between, and names the line of the first."""
    names = [f"f{number}" for number in range(1500)]
    for name in names:
        (tmp_path / name).touch()
    with prepared(tmp_path, None) as preparation, pytest.raises(ManifestInvalid) as caught:
        preparation.plan(map(line, [*names, "f7"]))
    (finding,) = caught.value.findings
    assert finding.line_no == 1501
    assert "line 8" in finding.found
