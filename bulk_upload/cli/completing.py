"""What a shell offers when it completes a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

COMPLETE_VARIABLE = "_BULK_UPLOAD_COMPLETE"
"""Set by the shell's script when it asks for completions, in the environment of a call of its own."""


def file_names(_: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell to offer files, or folders where a DIR is wanted."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - only a shell asks for it

    return [CompletionItem(incomplete, type="dir" if param.metavar == "DIR" else "file")]


def job_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the jobs of bulk-upload.toml in the current folder."""
    return _beginning(incomplete, "jobs")


def profile_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the profiles, built in and of bulk-upload.toml in the current folder."""
    return _beginning(incomplete, "profiles")


def _beginning(incomplete: str, what: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    from bulk_upload.cli.configuration_reading import configuration_for  # noqa: PLC0415

    try:
        configuration = configuration_for(None)
    except UsageError:
        return []  # A shell that completes has no place for complaints; the command itself makes them.
    names = configuration.jobs if what == "jobs" else configuration.profiles
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
