"""`bulk-upload pack`, `unpack` and `ledger export --members`: few files, every one of which can be found again."""

from __future__ import annotations

import csv
import errno
import hashlib
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
from bulk_upload.sandbox import Sandbox, SandboxConfig, sandbox_in_thread
from tests.cli.stage import KEY, Ended, run_here

TEXT = '{"text": "%s"}\n'
CHAT = '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "a"}]}\n'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a folder for data."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox that keeps what it is sent."""
    folder = str(tmp_path_factory.mktemp("store"))
    with sandbox_in_thread(SandboxConfig(keys=(KEY,), directory=folder)) as sandbox:
        yield sandbox


def write(files: dict[str, str], *, purpose: str = "pre-train") -> None:
    """Write data files and their manifest."""
    for name, text in files.items():
        Path("data", name).write_bytes(text.encode())
    lines = [json.dumps({"path": f"data/{name}", "purpose": purpose}) for name in files]
    Path("manifest.jsonl").write_text("\n".join(lines) + "\n")


def pack(*options: str) -> Ended:
    return run_here("pack", "manifest.jsonl", "-o", "packed", *options)


def packed(*options: str) -> dict[str, Any]:
    """Pack, and return the summary."""
    ended = pack("--json", *options)
    assert ended.status == 0, ended.text
    return dict(json.loads(ended.stdout))


def members() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("packed/members.jsonl").read_text().splitlines()]


def uploaded(store: Sandbox) -> None:
    ended = run_here("run", "packed/manifest.jsonl", SEEKR_BASE_URL=store.url)
    assert ended.status == 0, ended.text


def exported() -> list[dict[str, Any]]:
    ended = run_here(
        "ledger", "export", "packed/manifest.jsonl", "--members", "packed/members.jsonl", "--json"
    )
    assert ended.status == 0, ended.text
    return [json.loads(line) for line in ended.stdout.splitlines()]


def require_truth(store: Sandbox, count: int) -> None:
    """The export has every file of the manifest once, and the server has its lines where the export says."""
    folder = store.config.directory
    assert folder is not None
    rows = exported()
    paths = [json.loads(line)["path"] for line in Path("manifest.jsonl").read_text().splitlines()]
    assert sorted(row["path"] for row in rows) == sorted(paths)
    assert len(rows) == count
    lines: dict[str, list[bytes]] = {}
    for row in rows:
        assert row["status"] == "accepted"
        if row["file_id"] not in lines:
            lines[row["file_id"]] = Path(folder, row["file_id"]).read_bytes().splitlines(keepends=True)
        data = Path(row["path"]).read_bytes()
        start = row["first_line"] - 1
        assert lines[row["file_id"]][start : start + row["lines"]] == data.splitlines(keepends=True)
        assert row["sha256"] == hashlib.sha256(data).hexdigest()


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


def test_a_finding_names_the_line_of_the_member(place: Path) -> None:
    """One bad line: nothing is written, and the exit code is 10."""
    write({"a.jsonl": TEXT % "a", "b.jsonl": TEXT % "b" + "{\n"})
    ended = pack()
    assert ended.status == 10
    assert b"data/b.jsonl:2" in ended.stdout
    assert ended.stderr.endswith("1 error, 0 warnings in 1 invalid file. Nothing was written.\n")
    assert not Path("packed").exists()
    (found,) = [json.loads(line) for line in pack("--json").stdout.splitlines()]
    assert (found["file"], found["line"]) == ("data/b.jsonl", 2)


def test_an_error_leaves_the_packs_as_they_are(place: Path) -> None:
    """Packs that are there stay usable while a changed file has an error."""
    write({"a.jsonl": TEXT % "a", "b.jsonl": TEXT % "b"})
    packed()
    before = {path: path.read_bytes() for path in Path("packed").iterdir()}
    Path("data/b.jsonl").write_text("{\n")
    assert pack().status == 10
    assert {path: path.read_bytes() for path in Path("packed").iterdir()} == before


@pytest.mark.parametrize(
    ("line", "rule", "options"),
    [
        ({"path": "data/a.parquet", "purpose": "pre-train"}, "not-packable", ()),
        ({"path": "data/a.jsonl", "purpose": "alignment"}, "not-packable", ()),
        ({"path": "data/a.jsonl", "purpose": "batch"}, "not-packable", ("--profile", "openai")),
        ({"path": "data/missing.jsonl", "purpose": "fine-tune"}, "missing-file", ()),
        ({"path": "data/a.jsonl", "purpose": "what"}, "unknown-purpose", ()),
    ],
)
def test_what_cannot_be_packed(
    place: Path, line: dict[str, str], rule: str, options: tuple[str, ...]
) -> None:
    """Files that are no lines, or whose lines depend on each other, are findings with the line of the manifest."""
    Path("data/a.jsonl").write_text(CHAT % "a")
    Path("data/a.parquet").write_text("PAR1")
    good = {"path": "data/a.jsonl", "purpose": "fine-tune"}
    Path("manifest.jsonl").write_text(f"{json.dumps(good)}\n{json.dumps(line)}\n")
    ended = pack("--json", *options)
    (found,) = [json.loads(one) for one in ended.stdout.splitlines()]
    assert (ended.status, found["rule"], found["line"]) == (10, rule, 2)


def test_a_file_twice(place: Path) -> None:
    """The same file for the same use is a finding; for another purpose it is another member."""
    line = json.dumps({"path": "data/a.jsonl", "purpose": "pre-train"})
    Path("data/a.jsonl").write_text(
        '{"text": "a", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'
    )
    Path("manifest.jsonl").write_text(f"{line}\n{line}\n")
    ended = pack("--json")
    assert (ended.status, json.loads(ended.stdout)["rule"]) == (10, "duplicate-entry")
    Path("manifest.jsonl").write_text(f"{line}\n{line.replace('pre-train', 'fine-tune')}\n")
    assert packed()["made"] == ["fine-tune-00002.jsonl", "pre-train-00001.jsonl"]


def test_one_kind_a_pack(place: Path) -> None:
    """Purpose, database and fields are those of the pack's entry."""
    Path("data/a.jsonl").write_text(TEXT % "a")
    one: dict[str, object] = {"path": "data/a.jsonl", "purpose": "pre-train"}
    lines: list[dict[str, object]] = [one, one | {"vector_database_id": "db"}, one | {"fields": {"k": "v"}}]
    Path("manifest.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    packed()
    entries = [json.loads(line) for line in Path("packed/manifest.jsonl").read_text().splitlines()]
    for entry, line in zip(entries, lines, strict=True):
        assert {key: entry.get(key) for key in line if key != "path"} == {
            key: value for key, value in line.items() if key != "path"
        }
    assert packed()["kept_count"] == 3


def test_a_folder_of_their_own(place: Path) -> None:
    """Packs are not written among other files, nor is a folder packed."""
    write({"a.jsonl": TEXT % "a"})
    ended = run_here("pack", "manifest.jsonl", "-o", ".")
    assert ended.status == 2
    assert "packs need a folder of their own" in ended.stderr
    assert sorted(path.name for path in Path().iterdir()) == ["data", "manifest.jsonl"]
    ended = run_here("pack", "data", "-o", "packed")
    assert (ended.status, "bulk-upload scan data" in ended.stderr) == (2, True)
    ended = pack("--ignore", "compressed")
    assert (ended.status, "compressed cannot be ignored here" in ended.stderr) == (2, True)
    assert pack("--size", "0B").status == 2


def test_packs_are_not_packed_into_themselves(place: Path) -> None:
    """The packs' own manifest is refused for their own folder, and nothing is removed."""
    write({"a.jsonl": TEXT % "a"})
    packed()
    before = {path: path.read_bytes() for path in Path("packed").iterdir()}
    ended = run_here("pack", "packed/manifest.jsonl", "-o", "packed")
    assert (ended.status, "is in the folder of the packs itself" in ended.stderr) == (2, True)
    assert {path: path.read_bytes() for path in Path("packed").iterdir()} == before


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


def test_objects_are_not_packed(place: Path) -> None:
    """A prefix is no folder here, and no manifest."""
    ended = run_here("pack", "s3://training/x", "-o", "packed")
    assert ended.status == 2
    assert "address of objects, and packs are made of files on this machine" in ended.stderr
    assert "download the files" in ended.stderr


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
