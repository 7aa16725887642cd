"""From a manifest to a plan, over real files and a real ledger."""

from __future__ import annotations

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
from bulk_upload.engine.plan import Preparation
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
            sent_name=name, purpose="pre-train", file_bytes=source.size, complete=True, sha256="a" * 64
        )
        store.conclude(
            AttemptEnd(attempt_id=attempt_id, entry_id=entry_id, outcome=outcome, sent=sent, at_utc_s=0.0)
        )


@contextmanager
def prepared(root: Path, ledger: Path | None) -> Iterator[Preparation]:
    """What a plan is made with."""
    tree = SourceTree(os.fspath(root))
    staging = Staging(None if ledger is None else os.fspath(ledger))
    try:
        yield Preparation(
            rules=ManifestRules(where="m.jsonl", root=tree.root),
            tree=tree,
            staging=staging,
            profile=FLOW,
            retry=frozenset(),
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
