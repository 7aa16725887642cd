"""The `bulk-upload` command, its sub-commands, and how errors are printed."""

from __future__ import annotations

import importlib
import os
import shlex
import signal
import sys
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import click

from bulk_upload import __version__
from bulk_upload.cli.misuse import address_hint, misuse_hint, misuse_message
from bulk_upload.cli.options.completion import COMPLETE_VARIABLE
from bulk_upload.cli.options.key_processes import end_key_commands
from bulk_upload.cli.options.suggestions import MEANT, WITHOUT_COMMAND, SuggestingGroup
from bulk_upload.cli.output.streams import failed, lines_for_people, tell
from bulk_upload.cli.uncollected import uncollected
from bulk_upload.core.machine.shortage import shortage_in
from bulk_upload.core.text.printable import printable
from bulk_upload.errors import BulkUploadError, ManifestInvalid, UsageError
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "demo": "bulk_upload.cli.commands.demo:demo",
    "scan": "bulk_upload.cli.commands.scan:scan",
    "validate": "bulk_upload.cli.commands.data.validate:validate",
    "sample": "bulk_upload.cli.commands.data.sample:sample",
    "convert": "bulk_upload.cli.commands.data.convert:convert",
    "pack": "bulk_upload.cli.commands.data.pack:pack",
    "unpack": "bulk_upload.cli.commands.data.unpack:unpack",
    "plan": "bulk_upload.cli.commands.plan:plan",
    "run": "bulk_upload.cli.commands.run:run",
    "agent": "bulk_upload.cli.commands.fleet.agent:agent",
    "control": "bulk_upload.cli.commands.control:control",
    "watch": "bulk_upload.cli.commands.live.watch:watch",
    "serve": "bulk_upload.cli.commands.live.serve:serve",
    "status": "bulk_upload.cli.commands.status:status",
    "ledger": "bulk_upload.cli.commands.ledgers.ledger:ledger",
    "files": "bulk_upload.cli.commands.ledgers.files:files",
    "report": "bulk_upload.cli.commands.report:report",
    "resolve": "bulk_upload.cli.commands.resolve:resolve",
    "verify": "bulk_upload.cli.commands.verify:verify",
    "undo": "bulk_upload.cli.commands.undo:undo",
    "sandbox": "bulk_upload.cli.commands.sandbox:sandbox",
    "doctor": "bulk_upload.cli.commands.doctor:doctor",
    "config": "bulk_upload.cli.commands.settings.config:config",
    "profiles": "bulk_upload.cli.commands.settings.profiles:profiles",
    "completion": "bulk_upload.cli.commands.completion:completion",
}
"""The module of each command; imported only when needed, so that `--help` is quick."""

_SUMMARIES = {
    "demo": "Upload a small sample to a local sandbox and show the ledger.",
    "scan": "Write a manifest for the files in a folder.",
    "validate": "Check training data line by line; sends nothing.",
    "sample": "Show examples of training data, taken by chance.",
    "convert": "Write training data in the shape that a purpose wants.",
    "pack": "Write many JSON Lines files as few large ones.",
    "unpack": "Prove that packs hold what was packed; write the files.",
    "plan": "Show what `run` would do, and why; changes nothing.",
    "run": "Upload a folder or a manifest; run again to resume.",
    "agent": "Read and send for a run on another machine.",
    "control": "Change a run in progress: limits, pause, resume.",
    "watch": "Show a run in progress, or how the last one ended.",
    "serve": "Serve a live page about a job, for browsers.",
    "status": "Show the state of a job.",
    "ledger": "Show, export or rebuild the mapping from path to file id.",
    "files": "List, fetch or delete files on the server.",
    "report": "Write an HTML report about a ledger.",
    "resolve": "Settle entries in doubt: reconcile, adopt, resend, abandon.",
    "verify": "Compare every receipt with the server.",
    "undo": "Delete a job's files from the server; asks first.",
    "sandbox": "Serve the Flow Files API on this machine, for rehearsals.",
    "doctor": "Check key, server, certificates, clock and disk before a run.",
    "config": "Show each setting and where its value comes from.",
    "profiles": "List the APIs that files can be sent to, and what is proven.",
    "completion": "Print a completion script for bash, zsh or fish.",
}

READER_LEFT = 128 + signal.SIGPIPE
"""The exit code when the reader of standard output is gone (`| head`), as a shell shows it for any tool."""

_DATA_FIELDS = frozenset({"messages", "text", "chosen", "rejected", "prompt"})


_WITHOUT_COMMAND = "run"
_OWN_OPTIONS = ("-h", "--help", "--version")


class _Commands(SuggestingGroup):
    """Sub-commands that are imported when they are run; paths without a command are uploaded."""

    takes_paths = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Accept the options of an upload before its paths, too."""
        if args and args[0].startswith("-") and args[0] not in _OWN_OPTIONS:
            from bulk_upload.cli.folder.words import names_paths_only  # noqa: PLC0415 - only where needed

            if names_paths_only(args, COMMANDS):
                args = self._without_command(ctx, args)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that `args` begin with; `run` where they begin with a path. Raises UsageError."""
        if args[0] not in COMMANDS:
            from bulk_upload.cli.folder.words import is_path  # noqa: PLC0415 - only where needed

            if is_path(args[0], COMMANDS, MEANT):
                args = self._without_command(ctx, args)
        return super().resolve_command(ctx, args)

    @staticmethod
    def _without_command(ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[WITHOUT_COMMAND] = True
        return [_WITHOUT_COMMAND, *args]

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module_name, _, attribute = COMMANDS[cmd_name].partition(":")
        with uncollected():
            command = getattr(importlib.import_module(module_name), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name]} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _SUMMARIES[name]) for name in self.list_commands(ctx)])


@click.group(
    cls=_Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "auto_envvar_prefix": "BULK_UPLOAD",
    },
)
# A pipeline may pin a version in BULK_UPLOAD_VERSION; that must not end every command.
@click.version_option(__version__, prog_name="bulk-upload", allow_from_autoenv=False)
def bulk_upload() -> None:
    """Upload training data in bulk, and keep a ledger that never lies.

    \b
    New here? See it all in a few seconds, on this machine only:
      bulk-upload demo

    \b
    With your own files (short for bulk-upload run FOLDER; shows a plan and asks):
      bulk-upload ./FOLDER

    \b
    Step by step, with a manifest that you can edit:
      bulk-upload scan FOLDER -o FOLDER/manifest.jsonl
      bulk-upload plan FOLDER/manifest.jsonl
      bulk-upload run FOLDER/manifest.jsonl
    """


def main() -> None:
    """Run the command line and end the process with its exit code."""
    _prepare_streams()
    with lines_for_people():
        status = _flushed(status_of(sys.argv[1:]))
    end_key_commands()
    # Not sys.exit: a thread that hangs in a read on a dead mount must not keep the process.
    os._exit(status)


def _prepare_streams() -> None:
    """Ensure that both streams exist and accept any text: `>&-` and a narrow encoding are no reason to fail."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        else:
            stream.reconfigure(errors="backslashreplace")


def status_of(arguments: list[str]) -> int:
    """Run the command that `arguments` name, print its error, if any, and return its exit code."""
    try:
        _require_current_folder()
        if (asked := os.environ.get(COMPLETE_VARIABLE)) is not None:
            from click.shell_completion import shell_complete  # noqa: PLC0415 - only a shell asks for it

            return shell_complete(bulk_upload, {}, "bulk-upload", COMPLETE_VARIABLE, asked)
        result = bulk_upload(arguments, prog_name="bulk-upload", standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        tell("\nStopped.")
        return ExitStatus.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        return _show_misuse(error)
    except BulkUploadError as error:
        return _show_bug() if error.exit_status is ExitStatus.UNEXPECTED else show_error(error, arguments)
    except KeyboardInterrupt:
        tell("\nStopped.")
        return ExitStatus.INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # click and rich answer a broken pipe with SystemExit; there is no reader left for a message.
        return READER_LEFT
    except Exception as error:  # noqa: BLE001 - the last resort turns a bug into exit code 1
        shortage = shortage_in(error)
        return _show_bug() if shortage is None else show_error(shortage)
    return result if isinstance(result, int) else ExitStatus.DONE


def _require_current_folder() -> None:
    try:
        os.getcwd()
    except OSError:
        raise UsageError("the current folder no longer exists", hint="cd to a folder that exists") from None


def show_error(error: BulkUploadError, arguments: Sequence[str] = ()) -> ExitStatus:
    """Print an error and its remedy; return its exit code. `arguments` are those of the command line."""
    if failed(error):
        return error.exit_status
    if isinstance(error, ManifestInvalid) and error.findings:
        from bulk_upload.report.live.manifest_findings import findings_lines  # noqa: PLC0415 - only this path needs it

        # The last line is the number of findings, which the message below contains too.
        lines = findings_lines(error.findings, error.finding_count, error.counts)[:-1]
        # Every line of training data has several: one shows what was taken for a manifest.
        for line in lines[:_DATA_LINES] if _is_training_data(error) else lines:
            tell(line)
    hint = address_hint(arguments, str(error)) or error.hint
    if isinstance(error, ManifestInvalid) and _is_training_data(error):
        hint = _data_hint(error.findings[0].where, arguments)
    tell(f"bulk-upload: {printable(str(error))}")
    if hint:
        tell(f"  hint: {printable(hint)}")
    return error.exit_status


_DATA_LINES = 2


def _data_hint(file: str, arguments: Sequence[str]) -> str:
    """Return what uploads training data that was given in the place of a manifest."""
    seen = "this looks like training data, not like a manifest, which lists files:"
    scan = "`bulk-upload scan FOLDER --map '*.jsonl=PURPOSE' -o FOLDER/manifest.jsonl`"
    if file not in arguments:
        return f"{seen} {scan} writes one"
    word = shlex.quote(f"./{file}" if file in COMMANDS or file.startswith("-") else file)
    command = f"bulk-upload {word} --purpose {_purpose_in(arguments)}"
    first = (
        f"`{command} --dry-run` shows the plan of this file"
        if "plan" in arguments
        else f"`{command}` uploads this file"
    )
    return f"{seen} {first}, {scan} writes a manifest for a folder"


def _purpose_in(arguments: Sequence[str]) -> str:
    for option, value in pairwise(arguments):
        if option == "--purpose":
            return shlex.quote(value)
    return "PURPOSE"


def _is_training_data(error: BulkUploadError) -> bool:
    """Whether the first thing that is wrong with a manifest is that its entries have the fields of training data."""
    findings = error.findings if isinstance(error, ManifestInvalid) else ()
    return bool(findings) and findings[0].rule == "unknown-field" and findings[0].place in _DATA_FIELDS


def _show_misuse(error: click.ClickException) -> int:
    """Print a complaint about the command line in the same form as every other error."""
    tell(f"bulk-upload: {printable(misuse_message(error))}")
    tell(f"  hint: {misuse_hint(error)}")
    return error.exit_code


def _show_bug() -> ExitStatus:
    import traceback  # noqa: PLC0415 - only a bug needs it

    tell("".join(traceback.format_exc()))
    tell("bulk-upload: this is a bug in bulk-upload; please report it with the lines above.")
    tell("  hint: the ledger is safe; run the same command again to resume")
    return ExitStatus.UNEXPECTED


def _flushed(status: int) -> int:
    """Write out what is buffered; return the exit code, which changes when output was lost."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = status or READER_LEFT
    except OSError as error:
        tell(f"bulk-upload: cannot write standard output: {error.strerror}")
        status = status or ExitStatus.USAGE
    with suppress(OSError):
        sys.stderr.flush()
    return status
