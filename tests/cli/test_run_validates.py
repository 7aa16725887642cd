"""`run` looks into files before it sends them: what a person sees of it, and the ways around it."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from tests.cli.stage import run_here, run_process, run_shell

GOOD = '{"text": "fine"}\n'
BAD = '{"text": "fine too"}\n{"txt": "no"}\n'


@pytest.fixture
def job(desk: Path) -> Path:
    """A manifest of a good file and a bad one."""
    (desk / "data/good.jsonl").write_text(GOOD)
    (desk / "data/bad.jsonl").write_text(BAD)
    manifest = desk / "m.jsonl"
    manifest.write_text(
        '{"path": "data/bad.jsonl", "purpose": "pre-train"}\n{"path": "data/good.jsonl", "purpose": "pre-train"}\n'
    )
    return manifest


def run_job(server: str, *options: str) -> tuple[int, str, dict[str, str]]:
    """Run the job; return exit code, words for people, and the status of each entry."""
    ended = run_here("run", "m.jsonl", "--ledger", "l.db", *options, SEEKR_BASE_URL=server)
    exported = run_here("ledger", "export", "l.db", "--format", "jsonl").stdout.decode().splitlines()
    rows = map(json.loads, exported)
    return ended.status, ended.stderr, {os.path.basename(row["path"]): row["status"] for row in rows}


@pytest.mark.parametrize("mode", ["ahead", "each"])
def test_an_invalid_file_is_not_sent(job: Path, server: str, mode: str) -> None:
    """Its reason is told with its place, everything else is uploaded, and the exit code is 3."""
    status, told, states = run_job(server, "--validate", mode)
    assert (status, states) == (3, {"bad.jsonl": "invalid", "good.jsonl": "accepted"})
    assert 'invalid: data/bad.jsonl: line 2, $.text: there is no "text"; there is txt (missing-key)' in told
    assert "1 entry invalid, not sent" in told


def next_commands(told: str) -> list[list[str]]:
    """The commands that the summary names, one below each other, as a shell reads them."""
    lines = told[told.rindex("\nNext, ") :].splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("  bulk-upload")]


def test_the_summary_names_what_shows_the_errors(job: Path, server: str) -> None:
    """The command has the options of the run that concern the data, and finds what the run found."""
    job.write_text('{"path": "bad.jsonl"}\n')
    _, told, _ = run_job(
        server,
        "--root",
        "data",
        "--purpose",
        "pre-train",
        "--ignore",
        "crlf,last-role",
        "--max-attempts",
        "2",
    )
    validate, _ = next_commands(told)
    assert " ".join(validate) == (
        "validate m.jsonl --purpose pre-train --ledger l.db --root data --ignore crlf --ignore last-role"
    )
    assert b"missing-key" in run_here(*validate).stdout
    read = run_shell(
        "bulk-upload run - --ledger x.db --root data --purpose pre-train < m.jsonl", SEEKR_BASE_URL=server
    )
    assert "Next, fix these files" in read.stderr


def test_the_summary_names_what_converts_the_only_invalid_file(desk: Path, server: str) -> None:
    """With the option that leaves the old file out, and the same command again, the folder is done."""
    (desk / "data" / "it's.jsonl").write_text('{"instruction": "i", "output": "o"}\n')
    ended = run_here("./data", "--map", "it*=fine-tune", SEEKR_BASE_URL=server)
    assert ended.status == 3
    # The command of this process is that of the tests; the option at its end is ours.
    convert, run = next_commands(ended.stderr)
    assert convert == ["convert", "data/it's.jsonl", "--purpose", "fine-tune"]
    assert run_here(*convert).status == 0
    ended = run_here("./data", "--map", "it*=fine-tune", *run[-2:], SEEKR_BASE_URL=server)
    assert ended.status == 0
    assert "Accepted 1 of 3 entries" in ended.stderr


def test_a_mended_file_follows(job: Path, server: str) -> None:
    """Nothing is asked for: the file changed, so that it is looked at again."""
    run_job(server)
    (job.parent / "data/bad.jsonl").write_text(GOOD)
    assert run_job(server)[::2] == (0, {"bad.jsonl": "accepted", "good.jsonl": "accepted"})


@pytest.mark.parametrize("options", [("--validate", "off"), ("--force",)])
def test_it_can_be_sent_as_it_is(job: Path, server: str, options: tuple[str, ...]) -> None:
    """Not looked at, or sent all the same with a note."""
    status, told, states = run_job(server, *options)
    assert (status, states["bad.jsonl"]) == (0, "accepted")
    assert ("invalid, but sent as requested: line 2" in told) == ("--force" in options)


def test_force_takes_up_what_was_invalid_before(job: Path, server: str) -> None:
    """`--force` after a run that refused sends what it refused; without it nothing changes."""
    assert run_job(server)[0] == 3
    assert run_job(server)[2]["bad.jsonl"] == "invalid"
    assert run_job(server, "--force")[::2] == (0, {"bad.jsonl": "accepted", "good.jsonl": "accepted"})


def test_a_schema_of_ones_own_rules_the_run(job: Path, server: str) -> None:
    """What the schema allows is sent; an entry may have a purpose that only the schema knows."""
    (job.parent / "s.toml").write_text(
        '[purposes.pre-train]\nfields = { text = "string?", txt = "string?" }\n'
    )
    assert run_job(server, "--schema", "s.toml")[0] == 0


def test_a_plan_says_what_would_be_looked_into(job: Path) -> None:
    """And reads none of it: the bad file is no finding of a plan."""
    ended = run_here("plan", "m.jsonl", "--validate", "each")
    assert "Validation: 2 files (52 B) would be validated just before each upload" in ended.stdout.decode()
    assert ended.status == 0
    assert (
        "Validation: none (--validate off)"
        in run_here("plan", "m.jsonl", "--validate", "off").stdout.decode()
    )


def test_large_files_are_looked_into_by_other_processes(job: Path, server: str) -> None:
    """As the real command, with a file that is worth a process; none is left when it ends."""
    many = "".join(f'{{"text": "{number} {"x" * 100}"}}\n' for number in range(5000))
    (job.parent / "data/good.jsonl").write_text(many)
    (job.parent / "data/bad.jsonl").write_text(many + BAD)
    ended = run_process("run", "m.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server)
    assert ended.status == 3
    assert "data/bad.jsonl: line 5,002, $.text" in ended.stderr


def test_an_ignored_rule_keeps_no_file_back(job: Path, server: str) -> None:
    """What it found invalid is validated again without it, unasked; other rules still apply; plan says the same."""
    (job.parent / "data/good.jsonl").write_text('{"text": 5}\n')
    assert run_job(server)[::2] == (3, {"bad.jsonl": "invalid", "good.jsonl": "invalid"})
    planned = run_here(
        "plan", "m.jsonl", "--ledger", "l.db", "--ignore", "missing-key", SEEKR_BASE_URL=server
    )
    assert b"2 x was invalid by other rules" in planned.stdout
    options = ("--ignore", "missing-key")
    assert run_job(server, *options)[::2] == (3, {"bad.jsonl": "accepted", "good.jsonl": "invalid"})
    assert run_job(server, *options)[::2] == (3, {"bad.jsonl": "accepted", "good.jsonl": "invalid"})


@pytest.mark.parametrize("value", ['"missing-key"', '["missing-key"]', '["last-role, missing-key"]'])
def test_the_settings_file_may_ignore_rules(job: Path, server: str, value: str) -> None:
    """One rule or several, as a text or a list."""
    (job.parent / "bulk-upload.toml").write_text(f"[defaults]\nignore = {value}\n")
    assert run_job(server)[::2] == (0, {"bad.jsonl": "accepted", "good.jsonl": "accepted"})
    shown = run_here("config", "show").stdout.decode()
    assert "missing-key" in next(line for line in shown.splitlines() if line.startswith("ignore "))


def test_a_person_decides_what_is_an_error(desk: Path, server: str) -> None:
    """--error and --strict raise warnings, on the command line and in the file; what is ignored is let pass."""
    mix(desk, pairs=0, chats=1)
    (desk / "data/q0.jsonl").write_text(ASKED_ON)
    assert run_job(server, "--error", "last-role")[::2] == (3, {"q0.jsonl": "invalid"})
    settings = desk / "bulk-upload.toml"
    settings.write_text('[defaults]\nerror = ["role-order"]\nignore = "last-role"\n')
    assert run_job(server, "--retry", "invalid")[::2] == (3, {"q0.jsonl": "invalid"})
    settings.write_text("[defaults]\nstrict = true\n")
    assert run_here("validate", "data/q0.jsonl", "--purpose", "fine-tune", "--strict").status == 10
    status, told, states = run_job(server, "--ignore", "last-role,role-order", "--retry", "invalid")
    assert (status, states) == (0, {"q0.jsonl": "accepted"}), told


PAIR = (
    '{"messages": [{"role": "user", "content": "a"}], "chosen": [{"role": "assistant", "content": "b"}],'
    ' "rejected": [{"role": "assistant", "content": "c"}]}\n'
)
CHAT = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
ASKED_ON = CHAT.replace("}]", '}, {"role": "user", "content": "c"}, {"role": "user", "content": "d"}]')
HEADED = "of another purpose than the manifest says (purpose-mismatch), first data/p0.jsonl."


def mix(desk: Path, *, pairs: int, chats: int) -> None:
    """Lay out a manifest of fine-tune files, so many of which are preference data."""
    names = [f"p{number}" for number in range(pairs)] + [f"q{number}" for number in range(chats)]
    for name in names:
        (desk / f"data/{name}.jsonl").write_text(PAIR if name.startswith("p") else CHAT)
    (desk / "m.jsonl").write_text(
        "".join(f'{{"path": "data/{name}.jsonl", "purpose": "fine-tune"}}\n' for name in names)
    )


def test_some_files_of_another_purpose_are_invalid(desk: Path, server: str) -> None:
    """They are not sent, the others are; before the run and after it this is the first thing said."""
    mix(desk, pairs=2, chats=2)
    planned = run_here("plan", "m.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server)
    head = 'warning: 2 of the first 4 fine-tune files are of another purpose (purpose-mismatch), first "data/p0.jsonl"'
    assert (planned.status, planned.stdout.decode().startswith(head)) == (0, True)
    status, told, states = run_job(server)
    assert (status, states) == (
        3, {"p0.jsonl": "invalid", "p1.jsonl": "invalid", "q0.jsonl": "accepted", "q1.jsonl": "accepted"}
    )  # fmt: skip
    lines = told.splitlines()
    assert next(line for line in lines if line.startswith(("warning:", "plan:"))).startswith(head)
    summary = lines.index(f"2 files are {HEADED}")
    assert lines[summary + 2].startswith("Accepted 2 of 4 entries")


@pytest.mark.parametrize("command", ["run", "plan"])
def test_most_files_of_another_purpose_stop_the_run(desk: Path, command: str) -> None:
    """Before the first byte; the message names purpose, number and files, and what passes it."""
    mix(desk, pairs=3, chats=2)
    ended = run_here(command, "m.jsonl", "--ledger", "l.db")
    assert ended.status == 10
    assert ended.stderr.startswith("purpose-mismatch on 3 lines, first in m.jsonl:1\n")
    assert "3 of the first 5 fine-tune files are of another purpose; nothing was sent" in ended.stderr
    assert "--ignore purpose-mismatch" in ended.stderr
    assert run_here("plan", "m.jsonl", "--force").status == 0
    assert run_here("plan", "m.jsonl", "--validate", "off").status == 0


def test_ignoring_the_rule_sends_files_of_another_purpose(desk: Path, server: str) -> None:
    """Those that have all that their purpose needs; what was found is counted as a warning."""
    mix(desk, pairs=3, chats=2)
    for number in range(3):
        (desk / f"data/p{number}.jsonl").write_text(
            PAIR.replace('"a"}]', '"a"}, {"role": "assistant", "content": "d"}]')
        )
    status, told, states = run_job(server, "--ignore", "purpose-mismatch")
    assert (status, set(states.values())) == (0, {"accepted"})
    assert "  wrong-purpose in 3 files, first data/p0.jsonl:1" in told


def test_the_summary_counts_warnings_by_rule(desk: Path, server: str) -> None:
    """Each rule once, with its lines and files, the first of which was shown during the run."""
    for name in ("p0", "p1"):
        mix(desk, pairs=0, chats=2)
        (desk / f"data/{name}.jsonl").write_text(CHAT + ASKED_ON)
    with (desk / "m.jsonl").open("a") as file:
        file.writelines(f'{{"path": "data/{name}.jsonl", "purpose": "fine-tune"}}\n' for name in ("p0", "p1"))
    status, told, _ = run_job(server)
    assert status == 0
    assert told.count("warning: last-role on 1 of 2 lines in 1 file, first in data/p0.jsonl:2") == 1
    assert "4 warnings about the data:\n" in told
    assert "  last-role on 2 of 4 lines in 2 files, first in data/p0.jsonl:2\n" in told


def test_scan_says_a_mixup_first(desk: Path) -> None:
    """The manifest is written; `scan && run` does not go on with it."""
    mix(desk, pairs=1, chats=2)
    ended = run_here(
        "scan", "data", "--map", "q*.jsonl=fine-tune", "--map", "*.jsonl=pre-train", "-o", "s.jsonl"
    )
    assert ended.status == 3
    assert ended.stderr.startswith(
        'bulk-upload: 1 of the first 3 pre-train files is of another purpose (purpose-mismatch), first "p0.jsonl"'
    )
    assert (desk / "s.jsonl").exists()
    options = ("--map", "*.jsonl=pre-train", "--ignore", "purpose-mismatch", "-o", "s.jsonl")
    assert run_here("scan", "data", *options).status == 0
