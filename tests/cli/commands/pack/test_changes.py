"""Packs of a folder that changes: what is packed anew, and what the export says of every member."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from bulk_upload.edge.pack import PackFolder
from bulk_upload.sandbox import Sandbox
from tests.cli.commands.pack.stage import (
    TEXT,
    exported,
    members,
    pack,
    packed,
    require_truth,
    uploaded,
    write,
)
from tests.cli.stage import run_here


@pytest.mark.parametrize(
    "count", [300, pytest.param(20_000, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])]
)
def test_three_changed_five_new_two_gone(place: Path, store: Sandbox, count: int) -> None:
    """Only the packs of changed and vanished files are made anew, new files make one more, and the export is the truth."""
    files = {f"{number}.jsonl": TEXT % f"text number {number}" for number in range(count)}
    write(files)
    size = f"{sum(map(len, files.values())) // 25}B"
    first = packed("--size", size)
    assert len(first["made"]) in range(25, 30)
    uploaded(store)
    require_truth(store, count)
    of_member = {one["path"]: one["pack"] for one in members()}
    before = {
        name: (Path("packed", name).read_bytes(), os.stat(f"packed/{name}").st_ino) for name in first["made"]
    }
    sent_count = len(store.uploads)

    changed, vanished = (7, count // 2, count - 3), (count // 3, count // 3 + 1)
    files |= {f"{number}.jsonl": TEXT % f"changed {number}" for number in changed}
    for number in vanished:
        del files[f"{number}.jsonl"]
    files |= {f"new-{number}.jsonl": TEXT % f"new {number}" for number in range(5)}
    write(files)
    second = packed("--size", size)
    rebuilt = {of_member[f"data/{number}.jsonl"] for number in (*changed, *vanished)}
    assert set(second["rebuilt"]) == rebuilt
    assert (len(second["made"]), second["gone"], second["member_count"]) == (1, [], count + 3)
    for name, (content, inode) in before.items():
        same = (Path("packed", name).read_bytes(), os.stat(f"packed/{name}").st_ino) == (content, inode)
        assert same is (name not in rebuilt)

    uploaded(store)
    assert len(store.uploads) - sent_count == len(rebuilt) + 1
    require_truth(store, count + 3)
    undone = run_here(
        "undo", "packed/manifest.jsonl", "--only", "superseded", "--yes", SEEKR_BASE_URL=store.url
    )
    assert undone.status == 0, undone.text
    assert len(store.files) == len(first["made"]) + 1
    require_truth(store, count + 3)
    assert run_here("unpack", "packed").status == 0


def test_nothing_changed(place: Path, store: Sandbox) -> None:
    """Run again, nothing is written; files that were only touched, or moved to another inode, change the list alone."""
    write({"a.jsonl": TEXT % "a", "b.jsonl": TEXT % "b"})
    made = packed()
    assert made["made"] == ["pre-train-00001.jsonl"]
    before = {path: path.read_bytes() for path in Path("packed").iterdir()}
    times = {path: path.stat().st_ctime_ns for path in before}
    assert packed()["kept_count"] == 1
    assert {path: path.stat().st_ctime_ns for path in before} == times
    os.utime("data/a.jsonl", (1, 1))
    Path("data/b.new").write_text(TEXT % "b")
    os.replace("data/b.new", "data/b.jsonl")
    touched = packed()
    assert (touched["kept_count"], touched["rebuilt"]) == (1, [])
    assert Path("packed/pre-train-00001.jsonl").read_bytes() == before[Path("packed/pre-train-00001.jsonl")]
    assert [one["sha256"] for one in members()] == [
        hashlib.sha256(Path(f"data/{name}.jsonl").read_bytes()).hexdigest() for name in "ab"
    ]


def test_the_name_at_the_server_ends_in_the_hash(place: Path, store: Sandbox) -> None:
    """The pack's manifest names it by purpose, number and the beginning of its SHA-256."""
    write({"a.jsonl": TEXT % "a"})
    packed()
    digest = hashlib.sha256(Path("packed/pre-train-00001.jsonl").read_bytes()).hexdigest()
    assert json.loads(Path("packed/manifest.jsonl").read_text()) == {
        "path": "pre-train-00001.jsonl",
        "purpose": "pre-train",
        "remote_name": f"pre-train-00001-{digest[:16]}.jsonl",
    }
    uploaded(store)
    assert [file.filename for file in store.files] == [f"pre-train-00001-{digest[:16]}.jsonl"]


def test_a_change_of_the_same_size(place: Path, store: Sandbox) -> None:
    """A pack whose size stays is sent under its new name, and changed back takes up its first name."""
    for text in ("one", "two", "one"):
        write({"a.jsonl": TEXT % text})
        packed()
        uploaded(store)
        require_truth(store, 1)
    names = [one.filename for one in store.uploads]
    assert len(names) == 3
    assert names[0] == names[2] != names[1]
    undone = run_here(
        "undo", "packed/manifest.jsonl", "--only", "superseded", "--yes", SEEKR_BASE_URL=store.url
    )
    assert undone.status == 0, undone.text
    assert len(store.files) == 1
    require_truth(store, 1)


def test_a_file_that_changes_meanwhile(place: Path) -> None:
    """A file that is another one when it is packed than when it was validated is not packed."""
    write({"a.jsonl": TEXT % "a"})
    look = PackFolder.intact

    def change(self: PackFolder, known: Any) -> frozenset[str]:
        Path("data/a.jsonl").write_text("{\n")
        return look(self, known)

    with patch.object(PackFolder, "intact", change):
        ended = pack()
    assert (ended.status, "data/a.jsonl changed while it was packed" in ended.stderr) == (2, True)
    assert [path.name for path in Path("packed").iterdir()] == ["members.jsonl"]


def test_the_export_never_maps_to_another_content(place: Path, store: Sandbox) -> None:
    """A rebuilt pack that was not uploaded yet has no id, whatever the ledger has under its path."""
    write({"a.jsonl": TEXT % "a", "b.jsonl": TEXT % "b"})
    packed("--size", "20B")
    uploaded(store)
    Path("data/b.jsonl").write_text(TEXT % "longer")
    Path("data/c.jsonl").write_text(TEXT % "c")
    write({"a.jsonl": TEXT % "a", "b.jsonl": TEXT % "longer", "c.jsonl": TEXT % "c"})
    packed("--size", "20B")
    rows = {row["path"]: row for row in exported()}
    assert [(one["status"], one["file_id"] is None, one["reason"]) for one in rows.values()] == [
        ("accepted", False, None),
        ("pending", True, "the ledger has another version of the pack"),
        ("pending", True, "the ledger does not have the pack"),
    ]
    ended = run_here(
        "ledger", "export", "packed/manifest.jsonl", "--members", "packed/members.jsonl", "-o", "m.csv"
    )
    assert ended.stderr == "3 rows written to m.csv\n"
    with open("m.csv", newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == list(rows)
    ended = run_here(
        "ledger",
        "export",
        "packed/manifest.jsonl",
        "--members",
        "packed/members.jsonl",
        "--format",
        "parquet",
        "-o",
        "m.parquet",
    )
    assert ended.status == 0
    both = run_here("ledger", "export", "packed/manifest.jsonl", "--members", "packed/members.jsonl", "--all")
    assert both.status == 2


def test_a_sent_pack_may_be_gone(place: Path, store: Sandbox) -> None:
    """Its receipt holds and nothing is to be sent; `unpack` says what is missing, and the next `pack` writes it again."""
    write({"a.jsonl": TEXT % "a"})
    assert pack().status == 0
    uploaded(store)
    (gone,) = place.glob("packed/pre-train-*.jsonl")
    content = gone.read_bytes()
    gone.unlink()
    uploaded(store)
    assert len(store.files) == 1
    assert run_here("unpack", "packed").stdout == f"{gone.name}: No such file or directory\n".encode()
    assert pack().status == 0
    assert gone.read_bytes() == content
