"""Setting bad lines apart: what is kept, what is not, where it came from, and that the original is only read."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from bulk_upload.core.purposes import PURPOSES, Purpose, Schema
from bulk_upload.core.validation.quarantine import place_of
from bulk_upload.edge.validation.quarantine import Quarantine, Quarantined, QuarantineFailed
from bulk_upload.edge.validation.reading import CheckTask, check_file

PRETRAIN = list(PURPOSES.values())[3]
GOOD = [b'{"text": "%d"}\n' % number for number in range(6)]
BAD = [b'{"text": 1}\n', b"\xff\xfe bytes\n", b'{"text": "x"} y\n']
DATA = b"\xef\xbb\xbf" + GOOD[0] + BAD[0] + GOOD[1] + b"\n" + BAD[1] + GOOD[2] + BAD[2]


def set_apart(
    folder: Path, data: bytes, *, path: str = "sub/a.jsonl", purpose: Purpose = PRETRAIN
) -> Quarantined:
    """Write a file and set its bad lines apart."""
    original = folder / "original.jsonl"
    original.write_bytes(data)
    descriptor = os.open(original, os.O_RDONLY)
    try:
        task = CheckTask(path=path, purpose=purpose, known=())
        return Quarantine(str(folder / "q"), version="1").set_apart(descriptor, task)
    finally:
        os.close(descriptor)
        assert original.read_bytes() == data


def test_good_lines_bad_lines_and_lineage(tmp_path: Path) -> None:
    """The copy has the good lines and is valid; every bad line is there with its number and its findings."""
    made = set_apart(tmp_path, DATA)
    assert made.repaired == str(tmp_path / "q/sub/a.jsonl")
    repaired = Path(made.repaired).read_bytes()
    assert repaired == b"".join(GOOD[:3])
    assert Path(made.bad).read_bytes() == b"".join(BAD)
    notes = [json.loads(line) for line in Path(f"{made.repaired}.findings.jsonl").read_bytes().splitlines()]
    assert [(one["line"], one["bad_line"], one["findings"][0]["rule"]) for one in notes] == [
        (2, 1, "wrong-type"), (5, 2, "not-utf-8"), (7, 3, "trailing-garbage"),
    ]  # fmt: skip
    lineage = json.loads(Path(made.lineage).read_bytes())
    assert lineage["original"] == "sub/a.jsonl"
    assert lineage["original_sha256"] == hashlib.sha256(DATA).hexdigest()
    assert lineage["repaired_sha256"] == hashlib.sha256(repaired).hexdigest()
    assert lineage["bad_lines"] == [2, 5, 7]
    assert (lineage["original_lines"], lineage["repaired_lines"], lineage["blank_lines_left_out"]) == (
        7,
        3,
        1,
    )
    assert (made.good_count, made.bad_count) == (3, 3)
    descriptor = os.open(made.repaired, os.O_RDONLY)
    report = check_file(descriptor, CheckTask(path="a.jsonl", purpose=PRETRAIN, known=()))
    os.close(descriptor)
    assert report.findings == ()


def test_nothing_good_leaves_no_copy(tmp_path: Path) -> None:
    """A copy without a line would be another invalid file."""
    made = set_apart(tmp_path, BAD[0] * 3)
    assert made.repaired is None
    assert sorted(path.name for path in (tmp_path / "q/sub").iterdir()) == [
        "a.jsonl.bad", "a.jsonl.findings.jsonl", "a.jsonl.lineage.json",
    ]  # fmt: skip


def test_a_huge_line_stays_in_the_original(tmp_path: Path) -> None:
    """A line beyond the limit is named and not copied."""
    small = Purpose(
        name="p", summary="", suffixes=(), schema=Schema(fields=PRETRAIN.schema.fields, line_bytes_max=100)
    )
    made = set_apart(
        tmp_path, GOOD[0] + b'{"text": "' + b"x" * 500 + b'"}\n' + GOOD[1] + BAD[0], purpose=small
    )
    notes = [json.loads(line) for line in Path(f"{made.repaired}.findings.jsonl").read_bytes().splitlines()]
    assert [(one["line"], one["bad_line"]) for one in notes] == [(2, None), (4, 1)]


def test_again_replaces_what_it_made_and_nothing_else(tmp_path: Path) -> None:
    """A second time is fine; a file of somebody else's is left alone, and so is the original."""
    set_apart(tmp_path, DATA)
    assert set_apart(tmp_path, GOOD[5] + BAD[0]).good_count == 1
    assert (tmp_path / "q/sub/a.jsonl").read_bytes() == GOOD[5]
    (tmp_path / "q/other.jsonl").write_bytes(b"mine")
    with pytest.raises(QuarantineFailed, match="not from a quarantine"):
        set_apart(tmp_path, DATA, path="other.jsonl")
    assert (tmp_path / "q/other.jsonl").read_bytes() == b"mine"
    (tmp_path / "q").rename(tmp_path / "p")
    (tmp_path / "q").symlink_to(tmp_path)
    with pytest.raises(QuarantineFailed, match="the file itself"):
        set_apart(tmp_path, DATA, path="original.jsonl")


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk fails there is no half-written copy, under no name."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(QuarantineFailed, match="No space left"):
        set_apart(tmp_path, DATA)
    assert list((tmp_path / "q/sub").iterdir()) == []


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("a/b.jsonl", "a/b.jsonl"),
        ("/etc/passwd", "etc/passwd"),
        ("../../x", "__/__/x"),
        ("./a//b", "a/b"),
        ("..", "__"),
    ],
)
def test_copies_stay_beneath_the_folder(path: str, place: str) -> None:
    """No path leads out of the quarantine."""
    assert place_of(path) == place
