"""Shared by the commands that work on a ledger and its server: its job, and the confirmation."""

from __future__ import annotations

import os
import pwd
import socket
import sys
from typing import Any

import click

from bulk_upload.cli.config.file import current_configuration
from bulk_upload.cli.options.api_key import api_key_of
from bulk_upload.cli.options.server import network_of
from bulk_upload.cli.output.questions import ended_by_abort, is_agreed
from bulk_upload.cli.output.streams import tell
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.job_ledger import JobLedger, facts_of, profile_of_job


def job_ledger_of(ledger: str, options: dict[str, Any]) -> JobLedger:
    """Return the job of a ledger, with the key for its server."""
    facts = facts_of(ledger)
    configuration = current_configuration()
    profiles = configuration.profiles
    return JobLedger(
        ledger,
        # The ledger determines the profile whose key is used.
        api_key=api_key_of(options, profile_of_job(facts, profiles)),
        network=network_of(options, facts.endpoint),
        allow_plain_http=options["allow_plain_http"],
        stall_s=options["stall"],
        profiles=profiles,
        sources=configuration.source_options(),
    )


def require_yes(question: str, *, yes: bool) -> None:
    """Ask for confirmation, unless given in advance. Ends the command after a no; UsageError where there is no
    answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"cannot ask without a terminal: {question}", hint="pass --yes to confirm; nothing was done"
        )
    with ended_by_abort("Nothing was done."):
        agreed = is_agreed(question)
    if not agreed:
        tell("Nothing was done.")
        raise click.exceptions.Exit(ExitStatus.UNFINISHED)


def person() -> str:
    """Return who is at the keyboard, for the ledger: user@host."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    return f"{name}@{socket.gethostname()}"
