"""`bulk-upload ./datasets`, as it is typed in scripts."""

from __future__ import annotations

import gzip
import json
import os
import shlex
from pathlib import Path

import pytest

from bulk_upload.exit_status import ExitStatus
from tests.cli.folder.stage import DONE, SHORT, statuses, typed
from tests.cli.stage import run_here
from tests.core.folder.test_likeness import CHAT, EXAMPLES, lines


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
