"""A packing that was ended, or whose packs were damaged, is made whole by the next one."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from bulk_upload.edge.pack import PackFolder, writing
from tests.cli.commands.pack.stage import TEXT, members, pack, packed, write
from tests.cli.stage import run_here


def test_one_packing_at_a_time(place: Path) -> None:
    """While a folder is packed, another packing into it is refused; so is one that read an older list."""
    write({"a.jsonl": TEXT % "a"})
    packed()
    write({"a.jsonl": TEXT % "other"})
    folder = PackFolder("packed")
    with folder.claimed(folder.members()):
        ended = pack()
    assert (ended.status, "another command is packing into packed" in ended.stderr) == (2, True)
    look = PackFolder.intact

    def meanwhile(self: PackFolder, known: Any) -> frozenset[str]:
        Path("packed/members.jsonl").write_bytes(b"")
        return look(self, known)

    with patch.object(PackFolder, "intact", meanwhile):
        ended = pack()
    assert (ended.status, "was packed by another command meanwhile" in ended.stderr) == (2, True)


def test_a_lost_manifest_is_written_again(place: Path) -> None:
    """The manifest of the packs follows from the list, also where nothing changed."""
    write({"a.jsonl": TEXT % "a"})
    packed()
    content = Path("packed/manifest.jsonl").read_bytes()
    for damage in (Path.unlink, lambda path: path.write_text("")):
        damage(Path("packed/manifest.jsonl"))
        assert packed()["kept_count"] == 1
        assert Path("packed/manifest.jsonl").read_bytes() == content


def test_an_interrupted_packing_is_finished(place: Path) -> None:
    """Where packs were written and the lists were not, the next packing makes what it would have made, and no more."""
    write({f"{number}.jsonl": TEXT % number for number in range(6)})
    with patch.object(PackFolder, "commit", side_effect=KeyboardInterrupt):
        assert pack("--size", "40B").status == 130
    assert members() == []
    assert len(list(Path("packed").glob("pre-train-*"))) == 3
    write({"0.jsonl": TEXT % 0, "1.jsonl": TEXT % 1})
    assert packed("--size", "40B")["made"] == ["pre-train-00001.jsonl"]
    assert [path.name for path in Path("packed").glob("pre-train-*")] == ["pre-train-00001.jsonl"]
    Path("data/1.jsonl").write_text(TEXT % "other")
    with patch.object(PackFolder, "commit", side_effect=KeyboardInterrupt):
        pack("--size", "40B")
    assert run_here("unpack", "packed").status == 3
    assert packed("--size", "40B")["rebuilt"] == ["pre-train-00001.jsonl"]
    assert run_here("unpack", "packed").status == 0


def test_ctrl_c_ends_the_writing(place: Path) -> None:
    """An interruption ends a large pack at once, with the usual exit code, and leaves no part of it."""
    write({"a.jsonl": TEXT % "a"})
    writer: list[threading.Thread] = []

    def endless(descriptor: int) -> Iterator[bytes]:
        writer.append(threading.current_thread())
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            yield b"x"

    # Tests may be run where the signal is ignored, as by `nohup`.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with patch.object(writing, "_pieces", endless):
            ended = pack()
            assert ended.status == 130
            writer[0].join(60)
    finally:
        signal.signal(signal.SIGINT, before)
    assert [path.name for path in Path("packed").iterdir()] == ["members.jsonl"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data.replace(b'"b"', b'"x"'), b"data/b.jsonl: does not come back as it was"),
        (lambda data: data[:-5], b"data/c.jsonl: does not come back as it was"),
        (lambda data: data + b"{}\n", b"pre-train-00001.jsonl: has more lines than its members"),
        (lambda data: b"", b"data/a.jsonl: does not come back as it was"),
        (None, b"pre-train-00001.jsonl: No such file or directory"),
    ],
)
def test_a_damaged_pack_is_found_and_made_anew(place: Path, damage: Any, said: bytes) -> None:
    """unpack names what does not come back; the next packing writes the pack as it was."""
    write({f"{name}.jsonl": TEXT % name for name in "abc"})
    packed()
    path = Path("packed/pre-train-00001.jsonl")
    good = path.read_bytes()
    path.unlink() if damage is None else path.write_bytes(damage(good))
    ended = run_here("unpack", "packed")
    assert ended.status == 3
    assert said in ended.stdout
    damaged = json.loads(run_here("unpack", "packed", "--json").stdout.splitlines()[0])
    assert set(damaged) == {"name", "detail"}
    assert packed()["kept_count"] == 1
    assert path.read_bytes() == good
    assert run_here("unpack", "packed").status == 0


def test_a_list_that_leads_out_of_the_folder(place: Path) -> None:
    """unpack writes beneath its folder only."""
    write({"a.jsonl": TEXT % "a"})
    packed()
    listed = Path("packed/members.jsonl")
    listed.write_text(listed.read_text().replace("data/a.jsonl", "../a.jsonl"))
    ended = run_here("unpack", "packed", "-o", "back")
    assert (ended.status, "would be written outside back" in ended.stderr) == (2, True)
    listed.write_text("{}\n")
    for command in (["unpack", "packed"], ["pack", "manifest.jsonl", "-o", "packed"]):
        assert "is no list of members: line 1" in run_here(*command).stderr
    assert run_here("unpack", "elsewhere").status == 2


def test_a_full_disk_is_said_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file that finds no room ends it."""
    write({"a.jsonl": TEXT % "a", "b.jsonl": TEXT % "b"})
    assert pack().status == 0

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("bulk_upload.edge.pack.reading.PackReader._read_member", full)
    ended = run_here("unpack", "packed", "-o", "out")
    assert ended.status == 2
    assert ended.stderr.count("No space left on device") == 1
    assert ended.stdout == b""


def test_a_damaged_list_of_members(place: Path) -> None:
    """It is not proposed to name the same file again."""
    write({"a.jsonl": TEXT % "a"})
    assert pack().status == 0
    with (place / "packed" / "members.jsonl").open("a") as members:
        members.write("garbage\n")
    for words in (("unpack", "packed"), ("pack", "manifest.jsonl", "-o", "packed")):
        ended = run_here(*words)
        assert ended.status == 2
        assert "restore it, or remove the folder and pack again" in ended.stderr
