"""`bulk-upload scan`, as it is typed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bulk_upload.cli.commands import scan as scan_command
from bulk_upload.core.folder.sightings import PassedOver, Skipped
from bulk_upload.core.manifest.reader import read_manifest
from bulk_upload.core.manifest.rules import ManifestRules
from bulk_upload.core.model import Entry
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.edge.folder.walk import Found, walk
from bulk_upload.errors import UsageError
from tests.cli.stage import run_here
from tests.core.folder.test_likeness import EXAMPLES, lines

FIRST, SECOND, *_ = PURPOSES
JSONL = f"*.jsonl={FIRST}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a little tree in `data`."""
    monkeypatch.chdir(tmp_path)
    for name in ("data/a.jsonl", "data/corpus/b.jsonl", "data/readme.md", "data/\udcff.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def scan(*arguments: str) -> Result:
    # As within the whole command: click keeps the first help option that it makes.
    return CliRunner().invoke(scan_command.scan, arguments, help_option_names=["-h", "--help"])


def manifest_paths(content: bytes) -> list[str]:
    rules = ManifestRules(where="m.jsonl", root="/data")
    entries = list(read_manifest(content.splitlines(keepends=True), rules))
    assert all(isinstance(entry, Entry) for entry in entries)
    return [entry.path for entry in entries if isinstance(entry, Entry)]


def test_manifest_on_standard_output(folder: Path) -> None:
    """Without -o the manifest alone is on standard output, in ASCII, and everything for people on the other."""
    result = scan("data", "--map", f"corpus/**={SECOND}", "--map", JSONL)
    assert result.exit_code == 0
    assert result.stdout_bytes.isascii()
    assert manifest_paths(result.stdout_bytes) == ["a.jsonl", "corpus/b.jsonl", "\udcff.jsonl"]
    assert result.stderr.splitlines() == [
        f"Entries: 3 ({FIRST} 2, {SECOND} 1)",
        "Matched by no --map pattern: 1",
        "  readme.md",
        "Next: bulk-upload run MANIFEST --root data",
    ]
    assert scan("data", "--map", f"corpus/**={SECOND}", "--map", JSONL, "-o", "-").stdout == result.stdout


def test_manifest_in_a_file(folder: Path) -> None:
    """With -o the manifest is in the file, nothing is on standard output, and the next command names the root."""
    result = scan("data", "--map", JSONL, "-o", "m.jsonl")
    assert result.stdout == ""
    assert len(manifest_paths(Path("m.jsonl").read_bytes())) == 3
    assert result.stderr.splitlines()[-1] == "Next: bulk-upload run m.jsonl --root data"


def test_manifest_in_the_scanned_folder(folder: Path) -> None:
    """A manifest in DIR needs no --root, and does not name itself when it is made again."""
    for _ in range(2):
        result = scan("data", "--map", JSONL, "-o", "data/m.jsonl")
        assert result.stderr.splitlines()[-1] == "Next: bulk-upload run data/m.jsonl"
        assert "m.jsonl" not in manifest_paths(Path("data/m.jsonl").read_bytes())
    os.chdir("data")
    assert (
        scan(".", "--map", JSONL, "-o", "m.jsonl").stderr.splitlines()[-1] == "Next: bulk-upload run m.jsonl"
    )


@pytest.mark.parametrize(
    "name", ["two words", "it's", "-dash", "$HOME;ls", "tab\there", "\udcff'\\", "caf\u00e9"]
)
def test_next_command_is_quoted(folder: Path, name: str) -> None:
    """The next command gives the shell exactly the names that were given, and the terminal nothing odd."""
    os.rename("data", name)
    result = scan("--map", JSONL, "-o", f"{name}.manifest", "--", name)
    assert result.exit_code == 0
    command = result.stderr.splitlines()[-1].removeprefix("Next: ")
    assert command.isprintable()
    arguments = command.removeprefix("bulk-upload run ")
    echo = ["bash", "-c", f"printf '%s\\0' {arguments}"]
    given = [
        os.fsdecode(word)
        for word in subprocess.run(echo, capture_output=True, check=True).stdout.split(b"\0")
    ]
    dash = "./" if name.startswith("-") else ""
    assert given == [f"{dash}{name}.manifest", "--root", f"{dash}{name}", ""]


def test_examples_are_few(folder: Path) -> None:
    """Of many files that match nothing only some are shown, and how many more there are."""
    for number in range(1200):
        Path(f"data/{number:04}.bin").touch()
    lines = scan("data", "--map", JSONL).stderr.splitlines()
    assert "Matched by no --map pattern: 1,201" in lines
    assert "  and 1,196 more" in lines
    assert len(lines) == 9


def test_names_are_printable(folder: Path) -> None:
    """No name of a file steers the terminal."""
    Path("data/\x1b[31m.bin").touch()
    Path("data/bad\udcfe.bin").touch()
    os.mkfifo("data/\x1b]0;pipe")
    result = scan("data", "--map", JSONL)
    assert "\x1b" not in result.stderr
    assert "bad\\xfe.bin" in result.stderr
    assert "is not a regular file" in result.stderr


def test_excluded(folder: Path) -> None:
    """--exclude keeps files and folders out."""
    result = scan("data", "--map", JSONL, "--exclude", "corpus", "--exclude", "a.*")
    assert manifest_paths(result.stdout_bytes) == ["\udcff.jsonl"]


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_what_cannot_be_read_is_said_by_words_and_code(folder: Path, quiet: tuple[str, ...]) -> None:
    """`scan && run` stops where data may be missing; the manifest is written all the same, and --quiet hides nothing."""
    for number in range(7):
        Path(f"data/gone-{number}\x1b.jsonl").symlink_to("nowhere")
    ended = run_here("scan", "data", "--map", JSONL, "-o", "m.jsonl", *quiet)
    assert ended.status == 3
    assert len(manifest_paths(Path("m.jsonl").read_bytes())) == 3
    lines = ended.stderr.splitlines()
    start = lines.index("bulk-upload: not all files could be read, and the manifest may be incomplete: 7")
    assert lines[start + 1] == r"  gone-0\x1b.jsonl cannot be read: No such file or directory"
    assert lines[start + 6 : start + 7] == ["  and 2 more"]
    assert lines[-1].startswith("  hint: ")
    assert bool(quiet) == (start == 0)


def test_what_no_pattern_takes_need_not_be_readable(folder: Path) -> None:
    """A dangling link that would not be data is skipped and said, and the scan is complete."""
    Path("data/x.md").symlink_to("nowhere")
    ended = run_here("scan", "data", "--map", JSONL, "-o", "m.jsonl")
    assert ended.status == 0
    assert "Skipped: 1\n  x.md cannot be read" in ended.stderr


@pytest.mark.parametrize("options", [("--map", JSONL), ("--purpose", FIRST), ()])
def test_a_folder_that_cannot_be_read_may_hold_data(
    folder: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """Whatever gives the purposes: files in it may belong to the job, so the exit code is 3, and the folder is named."""

    def walk_with_a_closed_folder(*arguments: Any, **options: Any) -> Iterator[Found | Skipped | PassedOver]:
        closed = Skipped(path="corpus", reason="cannot be read: Permission denied", may_be_data=True)
        yield from (one for one in walk(*arguments, **options) if not one.path.startswith("corpus/"))
        yield closed

    monkeypatch.setattr("bulk_upload.engine.folder.scan.walk", walk_with_a_closed_folder)
    Path("data/a.jsonl").write_bytes(lines(EXAMPLES[FIRST]))
    ended = run_here("scan", "data", "--exclude", "*.md", *options, "-o", "m.jsonl")
    assert ended.status == 3
    assert "the manifest may be incomplete: 1\n  corpus cannot be read: Permission denied" in ended.stderr


def test_nothing_but_what_cannot_be_read(folder: Path) -> None:
    """Where no file is left for the manifest, what could not be read is said, too."""
    Path("data/only.txt").symlink_to("nowhere")
    ended = run_here("scan", "data", "--map", f"*.txt={FIRST}", "--quiet")
    assert ended.status == 2
    assert "only.txt cannot be read" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("data", "--map", f"*.parquet={FIRST}"),
        ("data", "--map", "*.jsonl"),
        ("data", "--map", "*.jsonl=nothing"),
        ("data", "--map", JSONL, "--exclude", ""),
        ("nothing", "--map", JSONL),
        ("data/a.jsonl", "--map", JSONL),
        ("data", "--map", JSONL, "-o", "data/readme.txt"),
        ("data", "--map", JSONL, "-o", "data"),
        ("data", "--map", JSONL, "-o", "nowhere/m.jsonl"),
    ],
)
def test_usage_errors(folder: Path, arguments: tuple[str, ...]) -> None:
    """What cannot be is a usage error with a hint; no manifest is written and none is lost."""
    Path("data/readme.txt").write_text("not a manifest")
    result = scan(*arguments)
    assert isinstance(result.exception, UsageError)
    assert result.exception.hint
    assert result.stdout == ""
    assert Path("data/readme.txt").read_text() == "not a manifest"
    assert not [name for name in os.listdir("data") if name.endswith(".tmp")]


def test_nothing_matched_keeps_the_old_manifest(folder: Path) -> None:
    """A scan that finds nothing says what it saw and leaves the manifest that was there."""
    scan("data", "--map", JSONL, "-o", "m.jsonl")
    before = Path("m.jsonl").read_bytes()
    result = scan("data", "--map", f"*.nope={FIRST}", "-o", "m.jsonl")
    assert isinstance(result.exception, UsageError)
    assert "readme.md" in result.stderr
    assert Path("m.jsonl").read_bytes() == before


def test_help_lists_every_purpose() -> None:
    """The help names the purposes of the table, and shows its examples as they are written."""
    result = scan("--help")
    words = " ".join(result.stdout.replace("-\n", "-").split())
    assert all(purpose in words.replace("- ", "-") for purpose in PURPOSES)
    assert "\n    --map '*.jsonl=PURPOSE'" in result.stdout


def test_a_pattern_that_gets_no_file_is_named(tmp_path: Path) -> None:
    """An earlier one took them all: the order was wrong, and the manifest would be."""
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.jsonl").write_text("{}\n")
    maps = ["--map", f"*.jsonl={FIRST}", "--map", f"corpus/**={SECOND}"]
    ended = run_here("scan", str(tmp_path), *maps, "-o", str(tmp_path / "m.jsonl"))
    assert f"Entries: 1 ({FIRST} 1)\n" in ended.stderr
    assert f"No file for --map 'corpus/**={SECOND}': the first matching pattern applies" in ended.stderr
    turned = run_here("scan", str(tmp_path), *maps[2:], *maps[:2], "-o", str(tmp_path / "m.jsonl"))
    assert f"No file for --map '*.jsonl={FIRST}'" in turned.stderr
