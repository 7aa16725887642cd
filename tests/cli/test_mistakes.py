"""Mistakes people make: each gets one clear message with a remedy, the documented exit code, and no traceback."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from pathlib import Path

import click
import pytest

from bulk_upload.cli.main import COMMANDS, bulk_upload
from bulk_upload.cli.options.limit_units import Size
from bulk_upload.cli.options.units import Duration
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.edge.ledger.file.lock import RunLock
from bulk_upload.exit_status import ExitStatus
from tests.cli.mistakes import ENTRY, INVALID, LEDGER, MISTAKES, USAGE
from tests.cli.stage import KEY, NOWHERE, Ended, run_here, run_process


def test_the_table_has_what_people_get_wrong() -> None:
    """A hundred and more wrong inputs, each with its message and its exit code."""
    assert len(MISTAKES) >= 100


@pytest.fixture
def trouble(desk: Path) -> Path:
    """The desk, with everything on it that can go wrong."""
    (desk / "link").symlink_to("/etc/passwd")
    os.mkfifo(desk / "fifo")
    for name, content, mode in (
        ("open.key", KEY, 0o644),
        ("empty.key", "\n", 0o600),
        ("bearer.key", f"Bearer {KEY}\n", 0o600),
    ):
        (desk / name).write_text(content)
        (desk / name).chmod(mode)
    with sqlite3.connect("other.db") as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    return desk


def assert_told_well(ended: Ended, status: ExitStatus, says: tuple[str, ...]) -> None:
    """One message with a remedy, the right code, nothing on stdout, no traceback, and never the key."""
    assert ended.status == status, ended.text
    assert KEY not in ended.text
    assert "Traceback" not in ended.text
    assert ended.stdout == b""
    assert ended.stderr.count("bulk-upload: ") == 1
    assert ended.stderr.count("  hint: ") == 1
    for words in says:
        assert words in ended.stderr


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_clear_message(name: str, trouble: Path, server: str) -> None:
    """The message names what is wrong, where, and what to do; the exit code is the documented one."""
    mistake = MISTAKES[name]
    for file, content in mistake.files.items():
        (trouble / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    if "empty.db" in mistake.arguments:
        assert run_here("run", "good.jsonl", "--ledger", "empty.db", SEEKR_BASE_URL=server).status == 0
    assert_told_well(run_here(*mistake.arguments, **mistake.env), mistake.status, mistake.says)


@pytest.mark.parametrize(
    "name", ["missing file", "key with Bearer", "ledger of another program", "bad duration"]
)
def test_a_process_says_the_same(name: str, trouble: Path) -> None:
    """What a real process prints and returns is what the function does that the other tests call."""
    mistake = MISTAKES[name]
    for file, content in mistake.files.items():
        (trouble / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    here = run_here(*mistake.arguments, **mistake.env)
    assert run_process(*mistake.arguments, **mistake.env) == here
    assert_told_well(here, mistake.status, mistake.says)


@pytest.mark.parametrize("command", ["run", "plan", "validate", "scan", ""])
def test_a_ledger_in_the_place_of_its_manifest(desk: Path, server: str, command: str) -> None:
    """It is named as what it is, with the commands that show its job and that run it again."""
    assert run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0
    assert run_here("./data", "--purpose", "pre-train", SEEKR_BASE_URL=server).status == 0
    (beside,) = desk.glob("data@*.ledger.db")
    for path, again in (("./l.db", "run good.jsonl --ledger ./l.db"), (f"./{beside.name}", "./data")):
        typed = (command, path) if command else (path,)
        assert_told_well(
            run_here(*typed, SEEKR_API_KEY=None),
            INVALID,
            ("is a ledger", f"`bulk-upload status {typed[-1]}` shows its job", f"`bulk-upload {again}"),
        )
    (desk / "good.jsonl").unlink()
    assert_told_well(run_here("run", "l.db"), INVALID, ("is a ledger", "a run takes its manifest or folder"))


@pytest.mark.parametrize(
    "command", [*COMMANDS, "resolve reconcile", "files ls", "ledger show", "ledger rebuild"]
)
def test_help_says_what_a_bare_number_is(command: str) -> None:
    """Of each duration and size: seconds, or that a unit is needed."""
    context = click.Context(bulk_upload, **bulk_upload.context_settings)
    found: click.Command | None = bulk_upload
    for word in command.split():
        assert isinstance(found, click.Group)
        found = found.get_command(context, word)
    assert found is not None
    durations = [one for one in found.params if isinstance(one.type, Duration)]
    shown = " ".join(found.get_help(click.Context(found, parent=context)).split())
    for one in durations:
        assert f"{one.opts[0]} SECONDS|15m|2h" in shown
    for one in found.params:
        if isinstance(one.type, Size):
            assert f"{one.opts[0]} SIZE" in shown
            assert f"[default: {one.default}]" in shown


def test_findings_come_all_at_once(desk: Path) -> None:
    """Every bad line has a line of its own, and the last words say how many there are."""
    (desk / "m.jsonl").write_text(f"{ENTRY}\n{{}}\n{ENTRY.replace('a.jsonl', 'z.jsonl')}\n")
    ended = run_here("run", "m.jsonl")
    lines = ended.stderr.splitlines()
    assert ended.status == INVALID
    assert [line.partition(" ")[0] for line in lines[:3]] == ["m.jsonl:2", "m.jsonl:2", "m.jsonl:3"]
    assert lines[3:] == [
        "bulk-upload: the manifest has 3 problems; nothing was sent",
        "  hint: fix the lines listed above and run the same command again",
    ]


def test_a_wrong_key_ends_the_run(desk: Path, server: str) -> None:
    """The server's refusal ends the run with its own code, says what to check, and leaves every entry pending."""
    wrong = "sk-wrong-key-0815"
    ended = run_here("run", "good.jsonl", SEEKR_API_KEY=wrong, SEEKR_BASE_URL=server)
    assert ended.status == ExitStatus.CREDENTIALS_REFUSED
    assert "refused the API key: HTTP 401" in ended.stderr
    assert "check SEEKR_API_KEY or --api-key-file" in ended.stderr
    assert "2 entries not finished" in ended.stderr
    assert wrong not in ended.text


def test_a_base_path_that_the_server_does_not_have(desk: Path, server: str) -> None:
    """Where every upload gets 404, the address is named as the suspect, and every entry stays pending."""
    ended = run_here("run", "good.jsonl", "--base-url", f"{server}/api/beta")
    assert ended.status == ExitStatus.UNFINISHED
    assert "the server answers HTTP 404: Not Found to every upload" in ended.stderr
    assert "check --base-url: it is the address without the path" in ended.stderr
    assert "2 entries not finished" in ended.stderr


def test_an_unreachable_server_ends_the_run_soon(desk: Path) -> None:
    """Nobody waits long for a server that is not there; the run ends as unfinished and names the address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
    (desk / "m.jsonl").write_text("".join(f"{ENTRY.replace('pre-train', one)}\n" for one in PURPOSES))
    began = time.monotonic()
    ended = run_here("run", "m.jsonl", "--base-url", dead, "--max-attempts", "2", "--validate", "off")
    assert time.monotonic() - began < 10
    assert ended.status == ExitStatus.UNFINISHED
    assert f"cannot connect to {dead.removeprefix('http://')}" in ended.stderr
    assert "check --base-url and the network" in ended.stderr
    assert "Run the same command to resume:" in ended.stderr


def test_a_folder_that_may_not_be_written(desk: Path, server: str) -> None:
    """A ledger that cannot be made is told before anything is sent."""
    folder = "/proc" if os.geteuid() == 0 else "sealed"
    if folder == "sealed":
        (desk / folder).mkdir(mode=0o500)
    ended = run_here("run", "good.jsonl", "--ledger", f"{folder}/x.ledger.db", SEEKR_BASE_URL=server)
    assert_told_well(ended, LEDGER, (f"{folder}/x.ledger.db", "may write"))


def test_the_ledger_of_another_server(desk: Path, server: str) -> None:
    """A ledger serves one server: a run to another one names both and how to get a ledger of its own."""
    assert run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0
    ended = run_here("run", "good.jsonl", "--ledger", "l.db")
    assert_told_well(ended, LEDGER, (server, NOWHERE, "--ledger FILE"))


def test_a_second_run_at_once(desk: Path, server: str) -> None:
    """While one run works on a ledger a second one is told whose it is, and that `watch` shows its progress."""
    lock = RunLock.acquire("l.db")
    try:
        ended = run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server)
    finally:
        lock.release()
    assert_told_well(ended, LEDGER, ("l.db", f"pid {os.getpid()}", "bulk-upload watch"))


def test_a_port_that_is_taken(server: str) -> None:
    """A sandbox on a port in use says which one, and how to take another."""
    port = server.rpartition(":")[2]
    assert_told_well(run_here("sandbox", "--port", port), USAGE, (f"port {port}", "in use", "another port"))


def test_a_current_folder_that_is_gone(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that stands in a removed folder gets a sentence, not a bug report."""
    (desk / "gone").mkdir()
    monkeypatch.chdir(desk / "gone")
    (desk / "gone").rmdir()
    assert_told_well(run_here("plan", "good.jsonl"), USAGE, ("current folder no longer exists", "cd"))
