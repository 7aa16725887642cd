"""What the commands share that work on a ledger and its server: options, and asking the person first."""

from __future__ import annotations

import functools
import os
import pwd
import socket
import sys
from typing import TYPE_CHECKING, Any

import click

from bulk_upload.cli.job_options import KEY_VARIABLE, api_key_of
from bulk_upload.cli.output import tell
from bulk_upload.cli.units import POSITIVE_DURATION, WORD
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.job_ledger import JobLedger

if TYPE_CHECKING:
    from collections.abc import Callable

_OPTIONS = (
    click.option(
        "--api-key-file",
        type=WORD,
        metavar="FILE",
        help=f"Read the API key from a file only you can read (default: ${KEY_VARIABLE}).",
    ),
    click.option(
        "--allow-plain-http",
        is_flag=True,
        help="Send the key unencrypted to a server that is not this machine.",
    ),
    click.option(
        "--stall",
        type=POSITIVE_DURATION,
        default="60s",
        show_default=True,
        help="Give a question up when nothing moved for so long.",
    ),
)


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how to reach the ledger's server."""
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), command)


def job_ledger_of(ledger: str, options: dict[str, Any]) -> JobLedger:
    """Return the job of a ledger, with the key that its server is asked with."""
    return JobLedger(
        ledger,
        api_key=api_key_of(options),
        allow_plain_http=options["allow_plain_http"],
        stall_s=options["stall"],
    )


def require_yes(question: str, *, yes: bool) -> None:
    """Ask, unless the person said yes beforehand. Ends the command after a no; UsageError where nobody answers."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"nobody is there to answer: {question}", hint="pass --yes to say so beforehand; nothing was done"
        )
    if not click.confirm(question, default=False, err=True):
        tell("Nothing was done.")
        raise click.exceptions.Exit(ExitStatus.UNFINISHED)


def person() -> str:
    """Return who is at the keyboard, for the ledger: user@host."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    return f"{name}@{socket.gethostname()}"
