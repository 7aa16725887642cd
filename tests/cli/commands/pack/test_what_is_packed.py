"""`bulk-upload pack`: which files go together, and which are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands.pack.stage import CHAT, TEXT, pack, packed, write
from tests.cli.stage import run_here


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


def test_objects_are_not_packed(place: Path) -> None:
    """A prefix is no folder here, and no manifest."""
    ended = run_here("pack", "s3://training/x", "-o", "packed")
    assert ended.status == 2
    assert "address of objects, and packs are made of files on this machine" in ended.stderr
    assert "download the files" in ended.stderr
