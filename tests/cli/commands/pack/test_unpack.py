"""`bulk-upload unpack`: members come back byte for byte, or are named."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.cli.commands.pack.stage import TEXT, pack, packed, write
from tests.cli.stage import run_here


def test_members_come_back_byte_for_byte(place: Path) -> None:
    """Marks, blank lines, missing ends and odd names: packs have whole lines only, and unpack gives the very files."""
    odd = os.fsdecode(b"data/\xff\xc3\xbc.jsonl")
    contents = {
        "data/mark.jsonl": b'\xef\xbb\xbf{"text": "m"}\r\n',
        "data/blank.jsonl": b'\n \t\n{"text": "b"}\n\r\n{"text": "c"}\n\n',
        "data/end.jsonl": b'{"text": "e"}\n{"text": "f"}',
        odd: b'{"text": "o"}',
    }
    for path, content in contents.items():
        Path(path).write_bytes(content)
    lines = [json.dumps({"path": path, "purpose": "pre-train"}) for path in contents]
    Path("manifest.jsonl").write_text("\n".join(lines) + "\n")
    assert packed()["member_count"] == 4
    whole = Path("packed/pre-train-00001.jsonl").read_bytes()
    assert whole == b'{"text": "m"}\r\n' + b"".join(b'{"text": "%c"}\n' % one for one in b"bcefo")
    assert run_here("unpack", "packed").stderr == "4 files, 93 B: proven, byte for byte\n"
    for _ in range(2):
        assert run_here("unpack", "packed", "-o", "back").status == 0
        assert {path: Path("back", path).read_bytes() for path in contents} == contents
    Path("back/data/end.jsonl").write_bytes(b"mine")
    ended = run_here("unpack", "packed", "-o", "back")
    assert (ended.status, ended.stdout) == (3, b"data/end.jsonl: is in back already, with another content\n")
    assert Path("back/data/end.jsonl").read_bytes() == b"mine"


def test_what_did_not_come_back_is_counted_in_files_and_packs(place: Path) -> None:
    """All files of a pack that is gone are missing, and one damaged file is one."""
    write({"a.jsonl": TEXT % "a", "b.jsonl": TEXT % "b"})
    assert pack().status == 0
    path = next(place.glob("packed/pre-train-*.jsonl"))
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"b"', b'"x"'))
    assert run_here("unpack", "packed").stderr == "1 file and 1 pack did not come back as packed\n"
    path.unlink()
    assert run_here("unpack", "packed").stderr == "2 files and 1 pack did not come back as packed\n"


def test_packs_and_files_are_written_to_folders_only(place: Path) -> None:
    """The address of a store would become a folder of that name, and look like an upload."""
    write({"a.jsonl": TEXT % "a"})
    assert pack().status == 0
    for words in (("pack", "manifest.jsonl"), ("unpack", "packed")):
        ended = run_here(*words, "-o", "s3://training/x")
        assert ended.status == 2
        assert "written on this machine only" in ended.stderr
    assert not (place / "s3:").exists()


def test_a_place_that_cannot_be_written_to_is_said_once(place: Path) -> None:
    """Not for each file: all would say the same."""
    write({"a.jsonl": TEXT % "a", "b.jsonl": TEXT % "b"})
    assert pack().status == 0
    (place / "file").write_text("")
    ended = run_here("unpack", "packed", "-o", "file")
    assert ended.status == 2
    assert ended.stderr.startswith("bulk-upload: nothing can be written to file: File exists\n")
    assert ended.stdout == b""
