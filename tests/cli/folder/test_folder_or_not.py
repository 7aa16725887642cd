"""Words that mean a folder, files, a manifest or a command, and mistakes in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bulk_upload.cli.folder.words import is_path
from bulk_upload.cli.main import COMMANDS
from bulk_upload.cli.options.suggestions import MEANT
from bulk_upload.errors import UsageError
from tests.cli.folder.stage import DONE, USAGE, typed
from tests.cli.stage import run_here


def test_a_manifest_is_run_as_one(desk: Path, server: str) -> None:
    """A single path whose lines name files is a manifest, and that is said; `run` takes any single file for one."""
    ended = typed("./good.csv", server=server)
    assert ended.status == DONE
    assert ended.stderr.startswith("./good.csv is a manifest: its lines name files")
    assert (desk / f"good@127.0.0.1-{server.rpartition(':')[2]}.ledger.db").exists()
    assert typed("data/a.jsonl", server=server).status == DONE


def test_a_manifest_among_files_is_left_out(desk: Path) -> None:
    """What a shell makes of `*` may hold a manifest: it is not data, and that is said."""
    ended = run_here("data", "good.csv", "--dry-run")
    assert ended.status == DONE
    assert "not data, of bulk-upload itself: 1: good.csv (a manifest)" in ended.stdout.decode()


def test_an_earlier_job_of_the_folder_is_named(desk: Path, server: str) -> None:
    """A manifest of the folder has a ledger of its own there: before its files are sent again, that is said."""
    (desk / "data" / "m.jsonl").write_text('{"path": "a.jsonl", "purpose": "pre-train"}\n')
    assert typed("run", "data/m.jsonl", server=server).status == DONE
    ended = typed("data", "--dry-run", server=server)
    assert "is the ledger of another job, which may have sent files of this folder" in ended.stderr
    (hint,) = [line for line in ended.stderr.splitlines() if "--ledger" in line]
    ledger = hint.rpartition(" ")[2]
    again = typed("data", "--ledger", ledger, server=server)
    assert again.status == DONE
    assert "1 settled before" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("./nothing",), ("nothing", "No such file")),
        (("good.csv", "good.jsonl"), ("good.csv and good.jsonl are manifests",)),
        (("run", "data/a.jsonl", "good.csv"), ("good.csv is a manifest", "takes one manifest, alone")),
        (("run", "good.csv", "--include", "*.jsonl"), ("--include", "a manifest names its files")),
        (("run", "good.csv", "--map", "*=pre-train"), ("--map", "give the folder")),
        (("./data", "--root", "."), ("--root is for manifests",)),
        (("./data", "--map", "*=pretrain"), ('Did you mean "pre-train"?',)),
        (("./data", "--purpose", "pretrain"), ('Did you mean "pre-train"?',)),
        (("./data", "--exclude", ""), ("--exclude", "is not a pattern")),
        (("./data", "--newer-than", "soon"), ("--newer-than", "neither a time nor a file")),
        (("./empty",), ("no file to upload", "mounted")),
        (("data", "-"), ("cannot upload",)),
        (("./data", "--api-key", "x"), ("SEEKR_API_KEY",)),
        (("--quiet", "run", "good.csv"), ("options go after the command",)),
        (("nope",), ('there is no command, file or folder "nope"',)),
        (("help",), ('there is no command "help". Did you mean "--help"?',)),
        (("./data", "fine-tune"), ('"fine-tune"', "for a purpose write --purpose fine-tune")),
        (("./data", "--map", "fine-tune=*.jsonl"), ("has the purpose first", '"*.jsonl=fine-tune"')),
    ],
)
def test_mistakes(desk: Path, arguments: tuple[str, ...], says: tuple[str, ...]) -> None:
    """What cannot be meant is a usage error that says what to write."""
    (desk / "empty").mkdir()
    ended = run_here(*arguments)
    assert ended.status == USAGE
    for words in (*says, "hint: "):
        assert words in ended.stderr


def test_nothing_newer_is_not_a_mistake(folder: Path) -> None:
    """A nightly job without news ends well."""
    for name in ("chat.jsonl", "README.md", "corpus/sea.jsonl"):
        os.utime(folder / name, (1, 1))
    for moment in ("2001-01-01", "2001-01-01T12:00:00Z", str(folder)):
        ended = run_here("./datasets", "--newer-than", moment)
        assert (ended.status, "no file is selected" in ended.stderr) == (DONE, True)
    (folder / "chat.jsonl").touch()
    assert b"To upload: 1 file, " in run_here("./datasets", "--dry-run", "--newer-than", "1d").stdout


@pytest.mark.parametrize("word", [*COMMANDS, *MEANT, "rnu", "sacn", "verfy", "Report", "statuss"])
def test_a_word_like_a_command_is_never_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """Even where a folder has the name: how to write it is said, and with a slash it is one."""
    monkeypatch.chdir(tmp_path)
    assert not is_path(word, COMMANDS, MEANT)
    Path(word).mkdir()
    assert is_path(f"./{word}", COMMANDS, MEANT)
    if word in COMMANDS:
        assert not is_path(word, COMMANDS, MEANT)
        return
    with pytest.raises(UsageError) as raised:
        is_path(word, COMMANDS, MEANT)
    assert f"./{word}" in str(raised.value.hint)


@pytest.mark.parametrize("word", ["datasets", "a.jsonl", "train", "corpus", "2026-01"])
def test_other_words_are_paths_where_they_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """A name that is no command and has something behind it is a path."""
    monkeypatch.chdir(tmp_path)
    assert not is_path(word, COMMANDS, MEANT)
    Path(word).touch()
    assert is_path(word, COMMANDS, MEANT)
