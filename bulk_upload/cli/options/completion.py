"""Shell completion of words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    from bulk_upload.core.api.profile import BUILT_IN_NAMES  # noqa: PLC0415

    return _beginning(incomplete, "profiles", BUILT_IN_NAMES)


def _beginning(incomplete: str, table: str, known: Iterable[str] = ()) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    from bulk_upload.cli.config.reading import names_in  # noqa: PLC0415

    try:
        names = dict.fromkeys([*known, *names_in(table)])
    except UsageError:
        return []  # A shell that completes has no place for complaints; the command itself makes them.
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
