"""What a person can look up without doing anything."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from bulk_upload import __version__
from bulk_upload.cli.main import bulk_upload
from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import run_here, run_process


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            arguments = (
                one.make_metavar(context) for one in command.params if isinstance(one, click.Argument)
            )
            yield from commands(command, *path, name, *arguments)


COMMANDS = dict(commands(bulk_upload))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_of_every_command(path: tuple[str, ...]) -> None:
    """`--help` and `-h` show the same text on standard output and end with 0."""
    ended = run_here(*path, "--help")
    assert (ended.status, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"Usage: bulk-upload {' '.join(path)} ".encode())
    assert run_here(*path, "-h") == ended


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_is_explained(path: tuple[str, ...]) -> None:
    """An option without a help text would be a riddle: each one has a text, and the help lists it."""
    shown = run_here(*path, "--help").stdout.decode()
    for option in COMMANDS[path].params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert not option.hidden
            assert max(option.opts, key=len) in shown


def test_the_overview_names_every_command() -> None:
    """`bulk-upload` and `bulk-upload --help` show all commands, each with a sentence that is not cut off."""
    shown = run_here("--help").stdout.decode()
    for path in COMMANDS:
        if len(path) == 1:
            assert f"\n  {path[0]} " in shown
    assert "..." not in shown.partition("Commands:")[2]
    nothing = run_here()
    assert (nothing.status, nothing.stdout) == (ExitStatus.USAGE, b"")
    assert nothing.stderr == shown


def test_the_overview_of_a_group_is_not_cut_off() -> None:
    """The commands of a group are summed up in whole sentences, also in a narrow terminal."""
    assert b"..." not in run_here("ledger", "--help").stdout.replace(b"[ARGS]...", b"")


def test_run_explains_its_exit_codes() -> None:
    """Whoever has only the installed package finds every exit code of a run in its help."""
    shown = " ".join(run_here("run", "--help").stdout.decode().split())
    for one in ExitStatus:
        if one not in (ExitStatus.DIFFERENCES, ExitStatus.NO_RUN):
            assert f" {int(one)} {one.meaning}" in shown


def test_version() -> None:
    """`python -m bulk_upload --version` and `bulk-upload --version` say the same."""
    ended = run_process("--version")
    assert (ended.status, ended.stdout, ended.stderr) == (
        0,
        f"bulk-upload, version {__version__}\n".encode(),
        "",
    )
    assert run_here("--version") == ended


SLOW_TO_IMPORT = {
    "aiohttp",
    "anyio",
    "asyncio",
    "dataclasses",
    "rich",
    "sqlite3",
    "tenacity",
    "urllib.request",
}


def modules_after(*words: str) -> list[str]:
    """Return the names of the modules that a fresh process has loaded once it ran a command that succeeds."""
    script = (
        "import json, sys\n"
        "from bulk_upload.cli.main import status_of\n"
        f"status = status_of({list(words)!r})\n"
        "print(json.dumps([status, sorted(sys.modules)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == 0
    assert "bulk_upload.cli.main" in modules
    return [str(name) for name in modules]


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["config", "show", "--help"]])
def test_help_is_quick(words: list[str]) -> None:
    """Help loads neither the HTTP client nor what draws: a person who looks something up does not wait."""
    modules = modules_after(*words)
    assert not SLOW_TO_IMPORT & set(modules)


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_the_first_page_makes_no_values(word: str) -> None:
    """The list of commands and the version load nothing that values are made with: only a command's options need it."""
    assert "msgspec" not in modules_after(word)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_teaches_with_commands_that_parse(path: tuple[str, ...]) -> None:
    """Every command shows lines to type, and each of them is understood by the command it names."""
    examples = re.findall(r"^ {2,}(?:\d\. )?(bulk-upload .*)$", COMMANDS[path].help or "", re.MULTILINE)
    own = [one for one in examples if one.startswith(f"bulk-upload {path[0]} ")]
    if path not in NO_EXAMPLE:
        assert own, "no example"
    for example in own:
        words = shlex.split(example.partition(" | ")[0].partition(" > ")[0])[1:]
        assert parses(words), example


NO_EXAMPLE = {
    ("demo",), ("ledger",), ("config",), *(path for path in COMMANDS if path[:1] == ("resolve",) and len(path) > 1),
}  # fmt: skip
"""Commands that take no arguments, or whose group shows how they are used."""


def parses(words: list[str]) -> bool:
    """Whether a line is taken by the parser of the command it names; nothing runs."""
    command: click.Command = bulk_upload
    # With the group's own settings: click keeps the first help option that it makes of a command.
    context = click.Context(bulk_upload, info_name="bulk-upload", **bulk_upload.context_settings)
    while isinstance(command, click.Group):
        if command.name == "resolve" and len(words) > 1:
            del words[0]
        _, inner, words = command.resolve_command(context, words)
        assert inner is not None
        command = inner
        if command.name == "resolve" and len(words) == 1:
            break
    command.make_parser(context).parse_args(list(words))
    return True
