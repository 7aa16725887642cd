"""A group of commands that suggests a name for an unknown one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bulk_upload.cli.options.completion import file_names
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.wording import did_you_mean, nearest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_PATH = click.Argument(["path"])
WITHOUT_COMMAND = "bulk_upload.without_command"
"""Set in a context's `meta` where paths were given and no command."""

MEANT = {
    "upload": "run",
    "send": "run",
    "start": "run",
    "resume": "run",
    "continue": "run",
    "dry-run": "plan",
    "show": "ledger show",
    "list": "ledger show",
    "export": "ledger export",
    "check": "verify",
    "reconcile": "resolve",
    "delete": "undo",
    "rollback": "undo",
    "server": "sandbox",
}
"""Names that people try first, and the command that does it."""

_MEANT_IN_GROUPS = {
    "list": ("ls", "show"),
    "get": ("show",),
    "cat": ("get",),
    "download": ("get",),
    "fetch": ("get",),
    "delete": ("rm",),
    "remove": ("rm",),
    "restore": ("rebuild",),
}
"""The same for the members of groups: the first that a group has."""
_MEANT_OPTIONS = {"help": "--help", "version": "--version"}


class SuggestingGroup(click.Group):
    """A click group whose error about an unknown command suggests the probable one.

    `takes_paths` says that paths may stand in the place of a command.
    """

    takes_paths = False

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer commands, and files where no command begins so and a path may stand there."""
        found = super().shell_complete(ctx, incomplete)
        return found if found or not self.takes_paths else file_names(ctx, _PATH, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that `args` begin with. Raises click.UsageError with a suggestion."""
        names = tuple(self.list_commands(ctx))
        word = args[0]
        if word in names or word.startswith("-"):
            return super().resolve_command(ctx, args)
        # What people try first may be misspelt, too.
        meant = MEANT.get(nearest(word, (*names, *MEANT)) or "", "")
        group, _, member = meant.rpartition(" ")
        in_group = next((one for one in _MEANT_IN_GROUPS.get(word, ()) if one in names), None)
        if word in _MEANT_OPTIONS:
            suggestion = f'. Did you mean "{_MEANT_OPTIONS[word]}"?'
        elif in_group is not None:
            suggestion = f'. Did you mean "{in_group}"?'
        elif group in names or member in names:
            suggestion = f'. Did you mean "{meant if group in names else member}"?'
        else:
            suggestion = f". {did_you_mean(word, names)}".rstrip(" .")
        what = "command, file or folder" if self.takes_paths and not suggestion else "command"
        raise click.UsageError(f'there is no {what} "{printable(word)}"{suggestion}', ctx)
