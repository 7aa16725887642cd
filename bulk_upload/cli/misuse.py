"""What to do about a command line that cannot be understood: the answer that helps, by what was probably meant."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import click

from bulk_upload.core.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCAN = "`bulk-upload scan FOLDER --map '*.jsonl=PURPOSE' -o FOLDER/manifest.jsonl`"
_KEY_OPTIONS = ("--api-key", "--apikey", "--key", "--token", "--password", "--api-token", "--secret")
_AGAIN = "run the same command again: what is accepted is not sent again"
_OF_OTHER_TOOLS = {
    "--dry-run": "`bulk-upload plan MANIFEST` shows what a run would send; nothing is sent",
    "--include": f"the manifest says which files are sent, and --map of `scan` chooses them: {_SCAN}",
    "--exclude": "`bulk-upload scan FOLDER --exclude PATTERN` leaves files out of the manifest",
    "--recursive": f"subfolders are always read: {_SCAN}",
    "--output": "`--results FILE` says where the results go",
    "--resume": _AGAIN,
    "--continue": _AGAIN,
    "--overwrite": "a changed file is sent again by itself; `--retry rejected,failed,invalid` sends failed ones again",
    "--retries": "`--max-attempts N` says how often a file is tried, `--retry WHAT` which failed entries are tried again",
    "--max-retries": "`--max-attempts N` says how often a file is tried",
    "--limit-rate": "`--bandwidth 10MB/s` caps the bytes, `--rate 5/s` the starts",
    "--bwlimit": "`--bandwidth 10MB/s` caps the bytes",
    "--timeout": "`--stall 60s` ends a request without progress, `--answer 5m` the wait for its answer, `--deadline 2h` the run",
    "--url": "`--base-url URL` is the server's address",
    "--endpoint": "`--base-url URL` is the server's address",
    "--host": "`--base-url URL` is the server's address",
    "--debug": "`-vv` prints each request, `--log-file FILE` keeps a log",
    "--progress": "progress is shown by itself; `--no-progress` prints plain lines, `bulk-upload status LEDGER` asks from elsewhere",
    "--no-validate": "`--validate off` sends files unchecked, `--ignore RULE` leaves one rule out",
    "--skip-validation": "`--validate off` sends files unchecked, `--ignore RULE` leaves one rule out",
    "--purposes": "`--purpose P` is the purpose of entries that name none",
    "--type": "`--purpose P` is the purpose of entries that name none",
    **dict.fromkeys(
        ("--workers", "--jobs", "--threads", "--parallel", "--transfers", "--num-workers", "-j", "-P"),
        "`--concurrency N` sets the uploads in flight; without it the run finds the number",
    ),
}
"""Options that other tools have, or that belong to another command, and what does it here."""

_OF_THE_LEDGER = ("--profile", "--base-url", "--team")
"""Options of `run` that a ledger records."""

_LETTERS = {
    "c": ("--config", "--concurrency"),
    "d": ("--dir", "--dry-run"),
    "e": ("--exclude",),
    "f": ("--force", "--format"),
    "i": ("--include",),
    "j": ("--jobs", "--json"),
    "k": ("--api-key-file",),
    "l": ("--ledger", "--list"),
    "n": ("--dry-run", "--limit"),
    "o": ("--output", "--results"),
    "p": ("--purpose", "--port"),
    "q": ("--quiet",),
    "s": ("--quiet",),
    "u": ("--base-url",),
    "x": ("--exclude",),
}
"""What single letters usually stand for; what a command has of it comes before options that begin with the letter."""
_SHOWN_MAX = 4


def misuse_message(error: click.ClickException) -> str:
    """Return the complaint about a command line in one line."""
    if isinstance(error, click.NoSuchOption) and (
        error.option_name in _OF_OTHER_TOOLS
        or (error.option_name in _OF_THE_LEDGER and _takes_a_ledger(error.ctx))
    ):
        # What click suggests by spelling is not what was meant.
        return f"No such option {error.option_name!r}."
    # click sets choices one below the other.
    return " ".join(line.strip() for line in error.format_message().splitlines())


def misuse_hint(error: click.ClickException) -> str:
    """Return what to do about a command line that cannot be understood."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = "bulk-upload" if context is None else context.command_path
    if isinstance(error, click.NoSuchOption):
        if error.option_name in _KEY_OPTIONS:
            from bulk_upload.core.api.profile import FLOW  # noqa: PLC0415 - `--help` must not wait for msgspec

            return f"set {FLOW.key_variable}, or pass --api-key-file FILE; others can see the command line"
        if context is not None and isinstance(context.command, click.Group) and context.parent is None:
            return (
                f"options go after the command: `bulk-upload run MANIFEST {_in_full(error.option_name)} ...`"
            )
        is_letter = len(error.option_name) == len("-j")
        if error.option_name in _OF_OTHER_TOOLS and not (is_letter and _lacks(context, "--concurrency")):
            return _of_other_tool(error.option_name, command)
        if context is not None and (hint := _of_this_command(error.option_name, context)):
            return hint
    if isinstance(error, click.MissingParameter) and context is not None:
        return f"`{command} --help` shows examples"
    if isinstance(error, click.BadOptionUsage) and context is None:
        # click knows no command for an option that lacks its value.
        return f"write its value after it; the --help of the command shows {error.option_name}"
    if context is not None and "unexpected extra argument" in error.message:
        return _one_argument(context, command)
    what = "commands" if context is not None and isinstance(context.command, click.Group) else "options"
    return f"`{command} --help` lists the {what}"


_TAKE_OBJECTS = ("run", "plan", "scan", "validate")
"""Commands that take the address of objects."""


def address_hint(arguments: Sequence[str], message: str) -> str | None:
    """Return what to do where an address stands in the place of a file that `message` complains about, else None."""
    from bulk_upload.core.objects.address import is_prefix, meant_address  # noqa: PLC0415 - help must not wait for it

    takes_objects = not arguments or arguments[0] in _TAKE_OBJECTS or is_prefix(arguments[0])
    takes_objects = takes_objects or meant_address(arguments[0]) is not None
    for before, one in pairwise(("", *arguments)):
        # The value of an option has an error of its own.
        if before.startswith("-"):
            continue
        if takes_objects and is_prefix(one):
            continue
        if one.startswith(("http://", "https://", "s3://", "gs://", "file://")) and one in message:
            if one.startswith("http"):
                return "this takes a path on this machine; the server's address goes to --base-url URL"
            return "this takes a path on this machine: download the files first, or mount them"
        if takes_objects and one in message and (meant := meant_address(one)) is not None:
            return meant
    return None


def _of_this_command(option: str, context: click.Context) -> str | None:
    """Return what a command has in place of an option, None where it has nothing like it."""
    command = context.command_path
    if option in _OF_THE_LEDGER and _takes_a_ledger(context):
        return f"`{command}` takes it from the ledger, which has that of its runs: leave the option out"
    if option == "--port" and not _lacks(context, "--address"):
        return "did you mean --address? A port alone is one, such as --address 8080"
    if meant := _meant_by_letter(option, context):
        return f"did you mean {meant}? `{command} --help` lists the options"
    return None


def _takes_a_ledger(context: click.Context | None) -> bool:
    return context is not None and any(
        isinstance(one, click.Argument) and one.name == "ledger" for one in context.command.params
    )


def _lacks(context: click.Context | None, option: str) -> bool:
    return context is None or not any(option in param.opts for param in context.command.params)


def _in_full(option: str) -> str:
    """Return the long form of what a single letter usually stands for; any other option as it is."""
    return next(iter(_LETTERS.get(option.removeprefix("-"), ())), option) if len(option) == 2 else option


def _meant_by_letter(option: str, context: click.Context) -> str:
    """Return the options that a single letter may be short for; nothing where there is none."""
    letter = option.removeprefix("-")
    if len(letter) != 1:
        return ""
    known = [one for param in context.command.params if isinstance(param, click.Option) for one in param.opts]
    usual = [one for one in _LETTERS.get(letter, ()) if one in known]
    found = usual or [one for one in known if one.startswith(f"--{letter}")]
    shown = found[:_SHOWN_MAX]
    return " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _of_other_tool(option: str, command: str) -> str:
    if option == "--dry-run" and command.endswith(" rebuild"):
        return f"`{command}` sends and deletes nothing, and replaces no receipt: leave the option out"
    if option == "--dry-run" and command.endswith((" plan", " validate", " status")):
        return f"`{command}` changes nothing and sends nothing: leave the option out"
    return _OF_OTHER_TOOLS[option]


def _one_argument(context: click.Context, command: str) -> str:
    arguments = [one for one in context.command.params if isinstance(one, click.Argument)]
    if any(one.name == "manifest" for one in arguments):
        return f"`{command}` takes one manifest, a file that lists the files: {_SCAN} writes one; `{command} --help` shows examples"
    names = " ".join(one.make_metavar(context) for one in arguments) or "no argument"
    return f"`{command}` takes {printable(names)} and options; `{command} --help` shows examples"
