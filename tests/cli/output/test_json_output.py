"""`--json` on every command that prints data: one documented shape each, and quiet ends where nobody reads."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import click
import msgspec
import pytest

from bulk_upload.cli.main import COMMANDS, READER_LEFT, bulk_upload, status_of
from bulk_upload.core.report.export import COLUMNS
from bulk_upload.core.report.json_shapes import SHAPES, SINGLE
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.cli.stage import KEY, environment, run_here
from tests.docs import json_page

PRINT_NO_DATA = {
    "agent",
    "demo",
    "convert",
    "watch",
    "serve",
    "ledger rebuild",
    "report",
    "sandbox",
    "completion",
    "profiles show",
}
"""They show something to a person, write a file, serve, or print a script or settings to copy."""

SCAN = ("scan", "data", "--map", "*.jsonl=pre-train", "-o", "m.jsonl")
EXAMPLES = {
    "scan": (*SCAN, "--json"),
    "validate": ("validate", "bad.jsonl", "--purpose", "pre-train", "--json"),
    "plan": ("plan", "good.jsonl", "--ledger", "l.db", "--json"),
    "status": ("status", "l.db", "--json"),
    "resolve": ("resolve", "doubt.db", "--json"),
    "resolve reconcile|adopt|resend|abandon": ("resolve", "doubt.db", "--json", "abandon", "--all", "--yes"),
    "verify": ("verify", "l.db", "--json"),
    "undo": ("undo", "l.db", "--dry-run", "--json"),
    "files ls": ("files", "ls", "--json"),
    "doctor": ("doctor", "--json"),
    "config show": ("config", "show", "--json"),
    "profiles": ("profiles", "--json"),
}
ROWS = {
    "run": ("run", "good.jsonl", "--ledger", "new.db", "--json"),
    "ledger show": ("ledger", "show", "l.db", "--json", "--limit", "1"),
    "ledger export": ("ledger", "export", "l.db", "--json"),
}


@pytest.fixture
def done(desk: Path, server: str) -> Path:
    """The desk, with a ledger of a finished job, one of an entry in doubt, and a file with an error."""
    assert run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0
    (desk / "bad.jsonl").write_text('{"text": 5}\n')
    return desk


def commands() -> dict[str, click.Command]:
    """Every command that does something, by its name with that of its group."""
    context = click.Context(bulk_upload)
    found = {}
    for name in COMMANDS:
        command = bulk_upload.get_command(context, name)
        assert command is not None
        inner = {} if not isinstance(command, click.Group) else command.commands
        if not inner or (isinstance(command, click.Group) and command.invoke_without_command):
            found[name] = command
        if name != "resolve":
            found |= {f"{name} {one}": other for one, other in inner.items()}
    return found


def test_every_command_that_prints_data_takes_json() -> None:
    """And each has its shape in the page."""
    for name, command in commands().items():
        if name not in PRINT_NO_DATA:
            assert any("--json" in one.opts for one in command.params), name
            assert name in SHAPES or name in ROWS or name in ("control", "sample"), name


def test_the_page_is_made_of_the_shapes() -> None:
    """docs/reference/json.md says of each key what it means."""
    assert json_page.FILE.read_text("utf-8") == json_page.text(), f"run {json_page.COMMAND}"


@pytest.mark.parametrize("command", [one for one in EXAMPLES if not one.startswith("resolve")])
def test_the_output_has_its_shape(command: str, done: Path, server: str) -> None:
    """Exactly the documented keys, in their order, with values of their types."""
    if command == "verify":
        assert run_here("undo", "l.db", "--yes", SEEKR_BASE_URL=server).status == 0
        assert run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0
    ended = run_here(*EXAMPLES[command], SEEKR_BASE_URL=server)
    lines = ended.stdout.decode("ascii").splitlines()
    assert len(lines) == 1 if command in SINGLE else lines or command == "verify"
    for line in lines:
        assert list(json.loads(line)) == list(SHAPES[command].__struct_fields__)
        msgspec.json.decode(line, type=SHAPES[command])


@pytest.mark.parametrize("command", ROWS)
def test_rows_have_the_columns_of_exports(command: str, done: Path, server: str) -> None:
    """One row per entry; `ledger show` ends at its limit."""
    ended = run_here(*ROWS[command], SEEKR_BASE_URL=server)
    rows = [json.loads(line) for line in ended.stdout.decode("ascii").splitlines()]
    assert ended.status == 0
    assert len(rows) == (1 if command == "ledger show" else 2)
    assert all(tuple(row) == COLUMNS for row in rows)


def test_doubts_and_what_became_of_them(desk: Path) -> None:
    """An object per entry in doubt; a command prints one per entry that it settles."""
    faults = parse_faults("drop-stored")
    with sandbox_in_thread(SandboxConfig(keys=(KEY,), faults=faults)) as sandbox:
        options = ("--ledger", "doubt.db", "--in-doubt", "hold", "--concurrency", "1")
        assert run_here("run", "good.jsonl", *options, SEEKR_BASE_URL=sandbox.url).status == 4
    for command, status in (("resolve", 4), ("resolve reconcile|adopt|resend|abandon", 0)):
        ended = run_here(*EXAMPLES[command])
        assert ended.status == status
        (line,) = ended.stdout.decode("ascii").splitlines()
        assert list(json.loads(line)) == list(SHAPES[command].__struct_fields__)
        msgspec.json.decode(line, type=SHAPES[command])


def test_format_json_is_the_same(done: Path) -> None:
    """The older spelling stays."""
    options = ("validate", "bad.jsonl", "--purpose", "pre-train")
    assert run_here(*options, "--format", "json").stdout == run_here(*options, "--json").stdout != b""
    export = ("ledger", "export", "l.db")
    assert run_here(*export, "--format", "jsonl").stdout == run_here(*export, "--json").stdout != b""


class Closed(io.RawIOBase):
    """A pipe whose reader is gone, as after `| head`."""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize(
    "arguments",
    [
        *(one for name, one in EXAMPLES.items() if not name.startswith(("resolve", "scan", "verify"))),
        ("ledger", "show", "l.db"),
        ("ledger", "show", "l.db", "--json"),
        ("ledger", "export", "l.db"),
        ("status", "l.db"),
        ("plan", "good.jsonl", "--ledger", "l.db"),
        ("plan", "good.jsonl", "--ledger", "l.db", "--list"),
        ("validate", "bad.jsonl", "--purpose", "pre-train"),
        ("undo", "l.db", "--dry-run"),
        ("doctor",),
        ("config", "show"),
        ("completion", "bash"),
        ("scan", "data", "--map", "*.jsonl=pre-train"),
        ("--help",),
        ("run", "--help"),
    ],
    ids=" ".join,
)
def test_a_reader_that_left_is_no_error_of_ours(arguments: tuple[str, ...], done: Path, server: str) -> None:
    """`| head` ends the command quietly with the code of a broken pipe: no traceback, no advice."""
    out = io.TextIOWrapper(io.BufferedWriter(Closed(), 1), encoding="utf-8", write_through=True)
    err = io.StringIO()
    with (
        patch.dict("os.environ", environment({"SEEKR_BASE_URL": server}), clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        status = status_of(list(arguments))
    assert status == READER_LEFT
    assert "Traceback" not in err.getvalue()
    assert "hint" not in err.getvalue()
    out.detach().detach()
