"""The `bulk-upload` command, its sub-commands, and what an error looks like."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback

import click

from bulk_upload import __version__
from bulk_upload.core.display import printable
from bulk_upload.errors import BulkUploadError, ManifestInvalid
from bulk_upload.exit_status import ExitStatus

COMMANDS = {
    "demo": "bulk_upload.cli.demo_command:demo",
    "scan": "bulk_upload.cli.scan_command:scan",
    "plan": "bulk_upload.cli.plan_command:plan",
    "run": "bulk_upload.cli.run_command:run",
    "status": "bulk_upload.cli.status_command:status",
    "ledger": "bulk_upload.cli.ledger_commands:ledger",
    "sandbox": "bulk_upload.cli.sandbox_command:sandbox",
}
"""Where each command lives; imported only when it is asked for, so that `--help` is quick."""

_SUMMARIES = {
    "demo": "Upload a small sample to a local sandbox and show the ledger.",
    "scan": "Walk a folder into a manifest.",
    "plan": "Show what `run` would do, and why; touch nothing.",
    "run": "Upload a manifest; run again to go on.",
    "status": "Show where a job stands.",
    "ledger": "Show or export the mapping from path to file id.",
    "sandbox": "Serve the Flow Files API on this machine, to rehearse.",
}


class _Commands(click.Group):
    """Sub-commands that are imported when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module_name, _, attribute = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module_name), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name]} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _SUMMARIES[name]) for name in self.list_commands(ctx)])


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="bulk-upload")
def bulk_upload() -> None:
    """Upload training data in bulk, and keep a ledger that never lies."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    status = _status_of_command()
    _flush()
    # Not sys.exit: a thread that hangs in a read on a dead mount must not keep the process.
    os._exit(status)


def _status_of_command() -> int:
    try:
        result = bulk_upload(standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        click.echo("\nStopped.", err=True)
        return ExitStatus.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BulkUploadError as error:
        return show_error(error)
    except KeyboardInterrupt:
        click.echo("\nStopped.", err=True)
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left (`| head`); there is nobody to tell.
        return 128 + signal.SIGPIPE
    except Exception:  # noqa: BLE001 - the last line of defence turns a bug into exit code 1
        return _show_bug()
    return result if isinstance(result, int) else ExitStatus.DONE


def show_error(error: BulkUploadError) -> ExitStatus:
    """Print what is wrong and what to do about it; return the exit code that goes with it."""
    if isinstance(error, ManifestInvalid) and error.findings:
        from bulk_upload.report.findings import findings_lines  # noqa: PLC0415 - only this path needs it

        for line in findings_lines(error.findings, error.finding_count):
            click.echo(line, err=True)
    click.echo(f"bulk-upload: {printable(str(error))}", err=True)
    if error.hint:
        click.echo(f"  hint: {printable(error.hint)}", err=True)
    return error.exit_status


def _show_bug() -> ExitStatus:
    click.echo("".join(traceback.format_exc()), err=True)
    click.echo(
        "bulk-upload: this is a bug in bulk-upload; please report it with the lines above.\n"
        "  hint: the ledger is safe; running the same command again goes on where this one stopped",
        err=True,
    )
    return ExitStatus.UNEXPECTED


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            continue
