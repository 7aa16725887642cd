"""`bulk-upload ./datasets`, as it is typed: in scripts, and at a terminal."""

from __future__ import annotations

import gzip
import json
import os
import pty
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
import pytest

from bulk_upload.cli.folder.uploading import agreed
from bulk_upload.cli.folder.words import is_path
from bulk_upload.cli.main import COMMANDS
from bulk_upload.cli.options.suggestions import MEANT
from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.folder.sightings import FolderRequest
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.settings import ValidateMode
from bulk_upload.engine.plan import Plan
from bulk_upload.errors import LedgerOlder, UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.job_plan import JobPlanner
from tests.cli.stage import KEY, NOWHERE, Ended, environment, run_here
from tests.core.folder.test_likeness import CHAT, EXAMPLES, lines

DONE, SHORT, USAGE = ExitStatus.DONE, ExitStatus.SOME_FAILED, ExitStatus.USAGE
WAIT_S = 60.0
CTRL_C, CTRL_C_AGAIN_S = "\x03", 2.0
AT_TERMINAL = """
import fcntl, termios
from bulk_upload.cli.main import main
# Ctrl-C is a signal only from the terminal that controls the session.
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
main()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `datasets` in the current one, with two files of sure purposes and one that may be anything."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "datasets"
    (root / "corpus").mkdir(parents=True)
    (root / "chat.jsonl").write_bytes(lines(CHAT))
    (root / "corpus" / "sea.jsonl").write_bytes(lines(EXAMPLES["pre-train"]))
    (root / "README.md").write_text("# Tides\n")
    return root


def typed(*arguments: str, server: str | None = None) -> Ended:
    """Run a command against a server, or against none."""
    return run_here(*arguments) if server is None else run_here(*arguments, SEEKR_BASE_URL=server)


def statuses(where: Path, stem: str = "datasets") -> dict[str, str]:
    (results,) = where.glob(f"{stem}@*.results.csv")
    rows = [line.split(",") for line in results.read_text().splitlines()[1:]]
    return {row[0]: f"{row[1]} {row[2]}" for row in rows}


@pytest.mark.parametrize(
    "command", [("./datasets",), ("datasets",), ("run", "datasets"), ("-y", "./datasets/")]
)
def test_without_a_terminal_the_sure_files_go(folder: Path, server: str, command: tuple[str, ...]) -> None:
    """Nothing is asked; what cannot be told is left out, named with the option to add, and exit code 3 says so."""
    ended = typed(*command, server=server)
    assert ended.status == SHORT
    assert statuses(folder.parent) == {
        "chat.jsonl": "fine-tune accepted",
        "corpus/sea.jsonl": "pre-train accepted",
    }
    # To run the same command again would change nothing.
    assert "Next, run it again with the options named below for what is left out:" in ended.stderr
    assert ended.stderr.splitlines()[-3:] == [
        "  README.md: text, which may be a document or anything else",
        "    add --map '*.md=alignment', or --exclude '*.md'",
        "  hint: --purpose PURPOSE gives one to every file that no --map pattern matches",
    ]


def test_the_options_that_are_named_settle_it(folder: Path, server: str) -> None:
    """With either option the same command sends or leaves out the rest, and ends well; what was sent is not sent again."""
    assert typed("./datasets", server=server).status == SHORT
    ended = typed("./datasets", "--exclude", "*.md", server=server)
    assert (ended.status, "Nothing to do" in ended.stderr) == (DONE, True)
    assert typed("./datasets", "--map", "*.md=alignment", server=server).status == DONE
    assert statuses(folder.parent)["README.md"] == "alignment accepted"
    # The ledger has its purpose now.
    assert typed("./datasets", server=server).status == DONE


def test_an_include_is_named_beside_what_it_drops(folder: Path, server: str) -> None:
    """The summary of a run of some files only does not offer to delete the others as if they were gone."""
    assert typed("./datasets", "--exclude", "*.md", server=server).status == DONE
    ended = typed("./datasets", "--include", "corpus/*", server=server)
    assert ended.status == DONE
    told = " ".join(ended.stderr.split())
    assert "1 entry of the ledger is not among these files (dropped), or left out by --include" in told


def test_the_ledger_has_the_verdict_of_a_run_that_left_files_out(folder: Path, server: str) -> None:
    """Who watches, or looks later, is told the exit code that the run had."""
    assert typed("./datasets", server=server).status == SHORT
    ended = typed("watch", "datasets", server=server)
    assert ended.status == SHORT
    assert "Exit code 3" in ended.text
    *_, last = typed("status", "datasets", server=server).stdout.decode().splitlines()
    assert (
        last
        == f"The last run left files out, or could not read them: `bulk-upload plan {folder.resolve()}` names them."
    )
    assert typed("./datasets", "--exclude", "*.md", server=server).status == DONE
    assert typed("watch", "datasets", server=server).status == DONE


def test_what_must_be_converted_names_its_command(folder: Path, server: str) -> None:
    """The command that is named makes a file that the next run knows; a purpose alone would only be invalid."""
    (folder / "it's pairs.jsonl").write_bytes(lines({"prompt": "a", "chosen": "b", "rejected": "c"}))
    (folder / "nothing.jsonl").write_bytes(b"")
    said = typed("./datasets", "--exclude", "*.md", server=server).stderr.splitlines()
    (pairs,) = (one.strip() for one in said if "bulk-upload convert" in one)
    (empty,) = (one.strip() for one in said if one.strip().startswith("write the data"))
    assert empty == "write the data to it, or add --exclude /nothing.jsonl"
    command, _, exclude = pairs.removeprefix("run ").partition(", and add ")
    assert run_here(*shlex.split(command)[1:]).status == DONE
    options = ("--exclude", "*.md", "--exclude", "/nothing.jsonl", *shlex.split(exclude))
    assert typed("./datasets", *options, server=server).status == DONE
    assert statuses(folder.parent)["it's pairs.converted.jsonl"] == "preference-fine-tune accepted"


def test_what_is_converted_is_not_left_out_with_its_originals(folder: Path, server: str) -> None:
    """Where all files of a suffix are to be converted, the option that is named for them spares what that makes."""
    (folder / "chat.jsonl").unlink()
    (folder / "corpus" / "sea.jsonl").unlink()
    for name in ("a.jsonl", "b.jsonl"):
        (folder / name).write_bytes(lines({"instruction": "i", "output": "o"}))
    said = typed("./datasets", "--exclude", "*.md", server=server).stderr.splitlines()
    (advice,) = (one.strip() for one in said if "bulk-upload convert" in one)
    command, _, exclude = advice.removeprefix("run ").partition(", and add ")
    assert command == "bulk-upload convert datasets/a.jsonl datasets/b.jsonl --purpose fine-tune"
    assert run_here(*shlex.split(command)[1:]).status == DONE
    assert typed("./datasets", "--exclude", "*.md", *shlex.split(exclude), server=server).status == DONE
    assert statuses(folder.parent) == {
        "a.converted.jsonl": "fine-tune accepted",
        "b.converted.jsonl": "fine-tune accepted",
    }


def test_advice_for_what_no_purpose_helps(folder: Path) -> None:
    """Packed files, mixtures and data that cannot be converted are named with what helps, never with a purpose."""
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines(CHAT)))
    (folder / "half.jsonl").write_bytes(lines(CHAT, EXAMPLES["pre-train"]))
    (folder / "kto.jsonl").write_bytes(lines({"prompt": "p", "completion": "c", "label": True}))
    (folder / "alpaca.json").write_text('[{"instruction": "i", "output": "o"}]')
    said = typed("./datasets", "--dry-run", "--exclude", "*.md").stderr.splitlines()
    advice = {
        said[index - 1].split(":")[0].strip(): line.strip()
        for index, line in enumerate(said)
        if "--exclude" in line
    }
    assert advice == {
        "a.jsonl.gz": "run gunzip -k datasets/a.jsonl.gz, and add --exclude '*.gz'",
        "half.jsonl": "split it into a file for each purpose, and add --exclude /half.jsonl",
        "kto.jsonl": "add --exclude /kto.jsonl",
        "alpaca.json": "run bulk-upload convert datasets/alpaca.json --purpose fine-tune, and add --exclude '*.json'",
    }


def test_quiet_is_quiet_until_something_is_left_out(folder: Path, server: str) -> None:
    """--quiet prints nothing of a run that goes well, and what a person must settle."""
    ended = typed("./datasets", "--quiet", server=server)
    assert "left out, for their purpose cannot be told: 1 file" in ended.stderr
    assert "datasets: " not in ended.stderr
    assert typed("./datasets", "--quiet", "--exclude", "*.md", server=server).text == ""


def test_files_are_a_part_of_their_folder(folder: Path, server: str) -> None:
    """Files without a folder are uploaded as well, and their folder's next run knows them."""
    ended = typed("datasets/chat.jsonl", "datasets/corpus/sea.jsonl", server=server)
    assert ended.status == DONE
    assert set(statuses(folder.parent)) == {"chat.jsonl", "corpus/sea.jsonl"}
    assert "Nothing to do" in typed("./datasets", server=server).stderr


@pytest.mark.parametrize(
    "command", [("./datasets", "--dry-run"), ("plan", "datasets"), ("--dry-run", "datasets")]
)
def test_a_dry_run_sends_nothing_and_makes_nothing(folder: Path, command: tuple[str, ...]) -> None:
    """It shows what would be uploaded, needs no key and no server, and leaves no file behind."""
    before = sorted(folder.parent.rglob("*"))
    ended = run_here(*command, SEEKR_API_KEY=None)
    assert ended.status == SHORT
    out = ended.stdout.decode()
    assert "datasets: 2 files, 115 B\n" in out
    assert out.splitlines()[-1] == "To upload: 2 files, 115 B"
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["fine-tune", "pre-train"]
    assert "2 to send" in out
    assert "--map '*.md=alignment'" in ended.stderr
    assert sorted(folder.parent.rglob("*")) == before


def test_what_is_still_to_send_is_said(folder: Path, server: str) -> None:
    """What is accepted already is not counted as to upload, in a plan and in a run."""
    options = ("./datasets", "--exclude", "*.md")
    assert typed(*options, server=server).status == DONE
    planned = typed(*options, "--dry-run", server=server).stdout.decode()
    assert planned.startswith("./datasets: 2 files, 115 B\n")
    assert planned.splitlines()[-1] == "To upload: nothing; all 2 are accepted already"
    again = typed(*options, server=server).stderr
    assert "nothing to send, 2 settled before" in again
    (folder / "new.jsonl").write_bytes(lines(CHAT))
    (folder / "bad.jsonl").write_bytes(b'{"text": 1}\n')
    planned = typed(*options, "--map", "bad*=pre-train", "--dry-run", server=server).stdout.decode()
    assert "To upload: 2 of 4 files, " in planned
    assert planned.splitlines()[-1].endswith("; 2 accepted already")
    assert typed(*options, "--map", "bad*=pre-train", server=server).status == SHORT
    planned = typed(*options, "--dry-run", server=server).stdout.decode()
    assert "1 failed before, not retried" in planned
    assert "To upload: nothing; 3 accepted already; the others cannot be sent" in planned


def vanish(folder: Path) -> None:
    """As where the mount is not there: the folder is empty, or has what lies beneath the mount."""
    for one in ("chat.jsonl", "corpus/sea.jsonl"):
        (folder / one).unlink()


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
@pytest.mark.parametrize("left", ["nothing", "a few files", "files without a purpose"])
def test_a_folder_that_lost_most_of_its_files_stops(
    folder: Path, server: str, left: str, dry: tuple[str, ...]
) -> None:
    """Nothing is sent or marked as dropped; the mount is the suspect, and the option goes on."""
    options: tuple[str, ...] = ("./datasets", "--exclude", "*.md")
    assert typed(*options, server=server).status == DONE
    if left == "a few files":
        (folder / "new.jsonl").write_bytes(lines(CHAT))
    elif left == "files without a purpose":
        options = ("./datasets",)
    vanish(folder)
    ended = typed(*options, *dry, server=server)
    assert ended.status == ExitStatus.INVALID_INPUT
    gone = f'2 of 2 files that the ledger has of "{folder.resolve()}" are gone ("chat.jsonl", "corpus/sea.jsonl")'
    assert f"bulk-upload: {gone}; nothing was sent\n" in ended.stderr
    assert "hint: check that the disk or share is mounted" in ended.stderr
    assert b"dropped" not in typed("status", "./datasets", server=server).stdout
    ended = typed(*options, "--files-removed", server=server)
    assert ended.status == (SHORT if left == "files without a purpose" else DONE)


def test_files_that_are_replaced_by_others_are_not_lost(folder: Path, server: str) -> None:
    """A folder that is emptied after each upload and filled anew runs, as does one of which most is excluded."""
    options = ("./datasets", "--exclude", "*.md")
    assert typed(*options, server=server).status == DONE
    assert typed(*options, "--exclude", "corpus/", "--exclude", "/chat.jsonl", server=server).status == DONE
    for number in range(2):
        (folder / f"new-{number}.jsonl").write_bytes(lines(CHAT))
    vanish(folder)
    assert typed(*options, server=server).status == DONE


def test_a_dry_run_of_a_manifest(desk: Path) -> None:
    """It is the manifest's plan."""
    ended = run_here("run", "good.jsonl", "--dry-run", SEEKR_API_KEY=None)
    assert ended.status == DONE
    assert ended.stdout == run_here("plan", "good.jsonl").stdout
    assert not list(desk.glob("*.ledger.db"))


def test_nothing_of_ours_is_data(folder: Path, server: str) -> None:
    """Whatever a job wrote into its folder, under whatever name, is never uploaded, not even with --purpose for all."""
    inside = str(folder / "job.db")
    common = ("--ledger", inside, "--purpose", "pre-train", "--exclude", "*.md", "--exclude", "/chat.jsonl")
    outputs = (
        "--results",
        "datasets/r.jsonl",
        "--log-file",
        "datasets/l.jsonl",
        "--metrics-file",
        "datasets/m.txt",
    )
    assert typed("datasets", *common, *outputs, "--log-format", "json", server=server).status == DONE
    os.rename(folder / "job.results.csv", folder / "mapping.csv")
    assert (
        run_here("ledger", "export", inside, "-o", "datasets/e.parquet", "--format", "parquet").status == DONE
    )
    assert run_here("report", inside, "-o", "datasets/page.html").status == DONE
    assert (
        run_here("scan", "datasets/corpus", "--map", "*=pre-train", "-o", "datasets/list.jsonl").status
        == DONE
    )
    (folder / "copy of it").write_bytes(Path(inside).read_bytes())
    ended = typed("datasets", *common, "--dry-run")
    assert ended.stdout.decode().splitlines()[0].startswith("datasets: 1 file, ")
    assert "of bulk-upload itself: 10" in ended.stdout.decode()


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


def at_terminal(
    arguments: Sequence[str], answers: Sequence[tuple[str, str]], *, server: str
) -> tuple[int, str]:
    """Run a command at a terminal; each answer is typed once its question is there."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", AT_TERMINAL, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment({"SEEKR_BASE_URL": server, "SEEKR_API_KEY": KEY, "TERM": "dumb"}),
        start_new_session=True,
    )
    os.close(slave)
    shown, seen, typed = b"", 0, ""
    left = list(answers)
    ends_at = time.monotonic() + WAIT_S
    try:
        while time.monotonic() < ends_at:
            if not select.select([master], [], [], CTRL_C_AGAIN_S)[0]:
                if typed == CTRL_C:
                    # Readline misses a signal that comes between its prompt and its wait; so does a person's first Ctrl-C.
                    os.write(master, CTRL_C.encode())
                continue
            piece = b""
            with suppress(OSError):
                # At the end Linux says EIO.
                piece = os.read(master, 65536)
            if not piece:
                break
            shown += piece
            if left and left[0][0].encode() in shown[seen:]:
                seen = len(shown)
                typed = left.pop(0)[1]
                os.write(master, typed.encode())
        return process.wait(WAIT_S), shown.decode().replace("\r", "")
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_at_a_terminal_the_plan_is_confirmed(folder: Path, server: str) -> None:
    """A misspelt purpose is asked again, the plan comes before the question, and no means that nothing was sent."""
    purpose = "purpose of 1 file, perhaps alignment: "
    answers = [(purpose, "alignmen\n"), (purpose, "alignment\n"), ("[y/N]: ", "n\n")]
    status, shown = at_terminal(["./datasets"], answers, server=server)
    assert status == ExitStatus.UNFINISHED
    assert 'Did you mean "alignment"?' in shown
    assert "To be asked nothing next time, add: --map '*.md=alignment'\n" in shown
    assert shown.index("3 to send") < shown.index("Upload 3 files (") < shown.index("Nothing was sent.")
    assert not list(folder.parent.glob("*.ledger.db"))
    status, shown = at_terminal(["./datasets"], [(purpose, "\n"), ("[y/N]: ", "y\n")], server=server)
    assert status == DONE
    assert set(statuses(folder.parent)) == {"chat.jsonl", "corpus/sea.jsonl"}


def test_an_older_ledger_is_no_dead_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its plan is known once the run has brought it up to date: a person is asked about the whole folder."""
    wanted = FolderRequest(paths=("datasets",), purpose="pre-train")
    connection = Connection(endpoint=NOWHERE, profile=FLOW)
    planner = JobPlanner(connection)
    found = planner.folder_job(Job(manifest=""), wanted)

    def plan(*_: object, **__: object) -> Plan:
        raise LedgerOlder("older")

    asked: list[str] = []

    def prompt(question: str, **_: object) -> str:
        asked.append(question)
        return "n"

    monkeypatch.setattr(JobPlanner, "plan", plan)
    monkeypatch.setattr(click, "prompt", prompt)
    with planner.listing(found) as listing:
        assert not agreed(planner, found, listing, connection, ValidateMode.AHEAD)
    assert "Upload 3 files (" in asked[0]
    assert "older version" in capsys.readouterr().err


PURPOSE_QUESTION, CONFIRMATION = "purpose of 1 file, perhaps alignment: ", "[y/N]: "


@pytest.mark.parametrize(
    ("answers", "status", "says"),
    [
        ([(PURPOSE_QUESTION, "\n"), (CONFIRMATION, "\n")], ExitStatus.UNFINISHED, "Nothing was sent."),
        (
            [(PURPOSE_QUESTION, "none\n"), (CONFIRMATION, "perhaps\n"), (CONFIRMATION, "No\n")],
            ExitStatus.UNFINISHED,
            "Type y for yes; n or Enter for no.",
        ),
        (
            [(PURPOSE_QUESTION, "y\n"), (PURPOSE_QUESTION, " alignment \n"), (CONFIRMATION, "YES\n")],
            DONE,
            "y is not a known purpose. Type one of those above, none, or Enter.",
        ),
        ([(PURPOSE_QUESTION, "\x03")], ExitStatus.INTERRUPTED, "Nothing was sent."),
        ([(PURPOSE_QUESTION, "\x04")], ExitStatus.INTERRUPTED, "Nothing was sent."),
        ([(PURPOSE_QUESTION, "\n"), (CONFIRMATION, "\x03")], ExitStatus.INTERRUPTED, "Nothing was sent."),
        ([(PURPOSE_QUESTION, "\n"), (CONFIRMATION, "\x04")], ExitStatus.INTERRUPTED, "Nothing was sent."),
    ],
    ids=["Enter", "no", "yes", "Ctrl-C at a purpose", "Ctrl-D at a purpose", "Ctrl-C", "Ctrl-D"],
)
def test_every_answer_to_the_questions(
    folder: Path, fresh_server: str, answers: list[tuple[str, str]], status: ExitStatus, says: str
) -> None:
    """Yes, no, Enter, another word, Ctrl-C, Ctrl-D: each does what is said, and nothing is sent but after a yes."""
    ended, shown = at_terminal(["./datasets"], answers, server=fresh_server)
    assert ended == status
    assert says in shown
    assert bool(list(folder.parent.glob("*.ledger.db"))) == (status is DONE)


def test_at_a_terminal_with_nothing_left_to_send_nothing_is_confirmed(folder: Path, server: str) -> None:
    """The screen says that all is accepted, and the command ends as it does without a terminal."""
    assert typed("./datasets", "--exclude", "*.md", server=server).status == DONE
    status, shown = at_terminal(["./datasets", "--exclude", "*.md"], [], server=server)
    assert (status, CONFIRMATION in shown) == (DONE, False)
    assert "To upload: nothing; all 2 are accepted already\n" in shown


def test_at_a_terminal_yes_asks_nothing(folder: Path, server: str, desk: Path) -> None:
    """With -y there is no question, and `run MANIFEST` never asks one."""
    status, shown = at_terminal(["-y", "./datasets"], [], server=server)
    assert (status, "[y/N]" in shown) == (SHORT, False)
    status, shown = at_terminal(["run", "good.jsonl"], [], server=server)
    assert (status, "[y/N]" in shown) == (DONE, False)


def test_a_job_of_the_settings_may_be_a_folder(folder: Path, server: str) -> None:
    """A named job has a folder for its manifest, and patterns as a list or alone."""
    Path("bulk-upload.toml").write_text(
        '[jobs.nightly]\nmanifest = "datasets"\nexclude = "*.md"\nmap = ["corpus/**=alignment"]\nforce = true\n'
    )
    ended = typed("run", "--job", "nightly", "--dry-run", server=server)
    assert ended.status == DONE
    assert "alignment  1 file" in ended.stdout.decode()
    assert (
        json.loads(typed("plan", "--job", "nightly", "--list").stdout.splitlines()[0])["path"] == "chat.jsonl"
    )
